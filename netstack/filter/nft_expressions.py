"""The expressions of nf_tables that work on registers, and those that decide (nft(8)).

Places in registers and lengths were checked when a rule was made.  Numbers that Linux keeps in the
order of the host are little-endian here; those of packets are as they are in packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.environment import Environment
from netstack.filter.nft_chain import (
    BREAK,
    CONTINUE,
    GOTO,
    JUMP,
    RETURN,
    Expression,
    Frame,
    NftChain,
)
from netstack.filter.nft_set import ElementMaker, NftSet
from netstack.filter.table import RETURN as XT_RETURN
from netstack.filter.table import Match, Target

if TYPE_CHECKING:
    from netstack.network import NetworkProtocol

# Comparisons (enum nft_cmp_ops).
EQ: Final = 0
NEQ: Final = 1
LT: Final = 2
LTE: Final = 3
GT: Final = 4
GTE: Final = 5

# Where a payload begins (enum nft_payload_bases).
LINK_HEADER: Final = 0
NETWORK_HEADER: Final = 1
TRANSPORT_HEADER: Final = 2
LINK_HEADER_SIZE: Final = 14

# enum nft_bitwise_ops.
BITWISE_MASK: Final = 0
BITWISE_LEFT: Final = 1
BITWISE_RIGHT: Final = 2

# enum nft_dynset_ops.
SET_ADD: Final = 0
SET_UPDATE: Final = 1
SET_DELETE: Final = 2

LITTLE: Final = "little"
LIMIT_PACKETS: Final = 0


class Immediate(Expression):
    """Puts a constant into registers."""

    def __init__(self, at: int, data: bytes) -> None:
        self.at = at
        self.data = data

    def run(self, frame: Frame) -> int:
        frame.store(self.at, self.data)
        return CONTINUE


class ImmediateVerdict(Expression):
    """Says what becomes of the packet."""

    def __init__(self, verdict: int, chain: NftChain | None) -> None:
        self.verdict = verdict
        self.chain = chain

    def run(self, frame: Frame) -> int:
        frame.target = self.chain
        return self.verdict

    def target(self) -> NftChain | None:
        return self.chain


class Compare(Expression):
    """Goes on if registers compare to a constant: cmp."""

    def __init__(self, at: int, operator: int, data: bytes) -> None:
        self.at = at
        self.end = at + len(data)
        self.operator = operator
        self.data = data

    def run(self, frame: Frame) -> int:
        value = frame.registers[self.at : self.end]
        operator = self.operator
        if operator == EQ:
            holds = value == self.data
        elif operator == NEQ:
            holds = value != self.data
        elif operator == LT:
            holds = value < self.data
        elif operator == LTE:
            holds = value <= self.data
        elif operator == GT:
            holds = value > self.data
        else:
            holds = value >= self.data
        return CONTINUE if holds else BREAK


class RangeExpression(Expression):
    """Goes on if registers are between two constants, or are not: range."""

    def __init__(self, at: int, low: bytes, high: bytes, *, inverted: bool) -> None:
        self.at = at
        self.end = at + len(low)
        self.low = low
        self.high = high
        self.inverted = inverted

    def run(self, frame: Frame) -> int:
        value = bytes(frame.registers[self.at : self.end])
        return CONTINUE if (self.low <= value <= self.high) != self.inverted else BREAK


class BitwiseMask(Expression):
    """Ands and then xors registers with constants: bitwise."""

    def __init__(self, source: int, at: int, mask: bytes, xor: bytes) -> None:
        self.source = source
        self.at = at
        self.size = len(mask)
        self.mask = int.from_bytes(mask, LITTLE)
        self.xor = int.from_bytes(xor, LITTLE)

    def run(self, frame: Frame) -> int:
        value = int.from_bytes(frame.load(self.source, self.size), LITTLE)
        frame.store(self.at, (value & self.mask ^ self.xor).to_bytes(self.size, LITTLE))
        return CONTINUE


class BitwiseShift(Expression):
    """Shifts registers, the first of which has the highest bits; each is of the host's order."""

    def __init__(self, source: int, at: int, size: int, shift: int) -> None:
        self.source = source
        self.at = at
        self.size = size
        self.shift = shift  # to the left; negative: to the right

    def run(self, frame: Frame) -> int:
        size = (self.size + 3) & ~3
        value = int.from_bytes(swapped(frame.load(self.source, size), 4), "big")
        if self.shift >= 0:
            value = value << self.shift & (1 << size * 8) - 1
        else:
            value >>= -self.shift
        frame.store(self.at, swapped(value.to_bytes(size, "big"), 4))
        return CONTINUE


class ByteOrder(Expression):
    """Swaps the bytes of numbers of 2, 4 or 8 bytes: byteorder."""

    def __init__(self, source: int, at: int, length: int, size: int) -> None:
        self.source = source
        self.at = at
        self.length = length
        self.size = size

    def run(self, frame: Frame) -> int:
        frame.store(self.at, swapped(frame.load(self.source, self.length), self.size))
        return CONTINUE


def swapped(data: bytes, size: int) -> bytes:
    """Return numbers of `size` bytes in the other order; what is left over stays."""
    made = b""
    whole = len(data) - len(data) % size
    for at in range(0, whole, size):
        made += data[at : at + size][::-1]
    return made + data[whole:]


class Payload(Expression):
    """Loads bytes of the packet: payload."""

    def __init__(self, base: int, offset: int, size: int, at: int) -> None:
        self.base = base
        self.offset = offset
        self.size = size
        self.at = at

    def run(self, frame: Frame) -> int:
        passage = frame.passage
        if self.base == NETWORK_HEADER:
            begin = passage.network
        elif self.base == TRANSPORT_HEADER:
            if passage.offset:
                return BREAK
            begin = passage.transport
        else:
            begin = passage.network - LINK_HEADER_SIZE
            if begin < 0:
                return BREAK
        begin += self.offset
        if begin + self.size > passage.end:
            return BREAK
        frame.store(self.at, passage.data[begin : begin + self.size])
        return CONTINUE


class Lookup(Expression):
    """Goes on if a set has what registers have, and loads what a map has for it."""

    def __init__(self, table: NftSet, source: int, at: int, *, inverted: bool) -> None:
        self.table = table
        self.source = source
        self.at = at  # negative: nothing is loaded
        self.inverted = inverted

    def run(self, frame: Frame) -> int:
        table = self.table
        found = table.find(frame.load(self.source, table.key_length))
        if (found is None) != self.inverted:
            return BREAK
        if found is not None:
            for expression in found.expressions:
                if expression.run(frame) == BREAK:
                    return BREAK
            if self.at >= 0:
                frame.store(self.at, found.data)
        return CONTINUE

    def set_used(self) -> NftSet | None:
        return self.table


class VerdictLookup(Lookup):
    """Looks up what becomes of the packet: vmap."""

    def run(self, frame: Frame) -> int:
        found = self.table.find(frame.load(self.source, self.table.key_length))
        if found is None:
            return BREAK
        for expression in found.expressions:
            expression.run(frame)
        if found.verdict in {JUMP, GOTO}:
            frame.target = found.chain
        return found.verdict


class SetChange(Expression):
    """Adds what registers have to a set, or removes it: dynset."""

    def __init__(
        self,
        table: NftSet,
        maker: ElementMaker,
        operation: int,
        source: int,
        data_at: int,
        data_size: int,
    ) -> None:
        self.table = table
        self.maker = maker
        self.operation = operation
        self.source = source
        self.data_at = data_at
        self.data_size = data_size
        self.inverted = False  # goes on only if there is no room

    def run(self, frame: Frame) -> int:
        key = frame.load(self.source, self.table.key_length)
        found = self.table.find(key)
        if self.operation == SET_DELETE:
            if found is not None:
                self.maker.remove(found)
            return CONTINUE
        if found is None:
            found = self.maker.add(key, frame.load(self.data_at, self.data_size))
            if found is None:
                return CONTINUE if self.inverted else BREAK
        elif self.operation == SET_UPDATE:
            self.maker.renew(found)
        for expression in found.expressions:
            if expression.run(frame) == BREAK:
                return BREAK
        return BREAK if self.inverted else CONTINUE

    def set_used(self) -> NftSet | None:
        return self.table


class Counter(Expression):
    """Counts packets."""

    def __init__(self, packets: int, size: int) -> None:
        self.packets = packets
        self.bytes = size

    def run(self, frame: Frame) -> int:
        self.packets = (self.packets + 1) % (1 << 64)
        self.bytes = (self.bytes + frame.passage.size()) % (1 << 64)
        return CONTINUE


class Quota(Expression):
    """Goes on up to so many bytes, or beyond them: quota."""

    def __init__(self, quota: int, consumed: int, *, inverted: bool) -> None:
        self.quota = quota
        self.consumed = consumed
        self.inverted = inverted

    def run(self, frame: Frame) -> int:
        self.consumed = (self.consumed + frame.passage.size()) % (1 << 64)
        return CONTINUE if (self.consumed > self.quota) == self.inverted else BREAK


class Limit(Expression):
    """Goes on for so many packets or bytes in a time, or beyond them: limit (a token bucket)."""

    def __init__(
        self,
        environment: Environment,
        rate: int,
        unit_ns: int,
        burst: int,
        *,
        by_bytes: bool,
        inverted: bool,
    ) -> None:
        self.environment = environment
        self.rate = rate
        self.unit_ns = unit_ns
        self.burst = burst
        self.by_bytes = by_bytes
        self.inverted = inverted
        if by_bytes:
            self.capacity = unit_ns * (rate + burst) // rate
        else:
            self.capacity = unit_ns // rate * burst
        self.tokens = self.capacity
        self.filled_ns = environment.now_ns()

    def run(self, frame: Frame) -> int:
        now = self.environment.now_ns()
        tokens = min(self.tokens + now - self.filled_ns, self.capacity)
        self.filled_ns = now
        cost = self.unit_ns // self.rate
        if self.by_bytes:
            cost = self.unit_ns * frame.passage.size() // self.rate
        is_within = tokens >= cost
        self.tokens = tokens - cost if is_within else tokens
        return CONTINUE if is_within != self.inverted else BREAK


class Log(Expression):
    """Says that a packet came by: log.  There is nobody here who reads that."""

    def run(self, frame: Frame) -> int:
        return CONTINUE


class ObjectReference(Expression):
    """What rules share under a name: counter name, quota name, limit name."""

    def __init__(self, shared: Expression) -> None:
        self.shared = shared

    def run(self, frame: Frame) -> int:
        return self.shared.run(frame)


class NumberGenerator(Expression):
    """Loads the next of so many numbers, or any of them: numgen."""

    def __init__(
        self, environment: Environment, at: int, modulus: int, offset: int, *, is_random: bool
    ) -> None:
        self.environment = environment
        self.at = at
        self.modulus = modulus
        self.offset = offset
        self.is_random = is_random
        self.last = modulus - 1

    def run(self, frame: Frame) -> int:
        if self.is_random:
            drawn = int.from_bytes(self.environment.random_bytes(4), LITTLE)
            number = drawn * self.modulus >> 32
        else:
            number = self.last = (self.last + 1) % self.modulus
        frame.store(self.at, (number + self.offset & 0xFFFF_FFFF).to_bytes(4, LITTLE))
        return CONTINUE


class FibType(Expression):
    """Loads what the routing tables say an address is: fib ... type."""

    def __init__(
        self, networks: dict[int, NetworkProtocol], at: int, *, is_source: bool, device: int
    ) -> None:
        self.networks = networks
        self.at = at
        self.is_source = is_source
        self.device = device  # whose addresses alone are local: 8 that of the way in, 16 out

    def run(self, frame: Frame) -> int:
        passage = frame.passage
        address = passage.source if self.is_source else passage.destination
        kind = self.networks[passage.version].address_type(address)
        if kind == RTN_LOCAL and self.device:
            interface = passage.input if self.device == FIB_INPUT else passage.output
            if interface is not None and not any(
                own.host == address for own in interface.addresses
            ):
                kind = RTN_UNICAST
        frame.store(self.at, kind.to_bytes(4, LITTLE))
        return CONTINUE


class FibInterface(Expression):
    """Loads where a packet to an address would go: fib ... oif, oifname, or whether it would."""

    def __init__(
        self,
        networks: dict[int, NetworkProtocol],
        at: int,
        result: int,
        flags: int,
    ) -> None:
        self.networks = networks
        self.at = at
        self.result = result
        self.flags = flags

    def run(self, frame: Frame) -> int:
        passage = frame.passage
        interface = passage.input if passage.input is not None else passage.output
        is_looped = passage.input is not None and passage.input.link.is_loopback
        if not is_looped:
            address = passage.source if self.flags & FIB_SOURCE else passage.destination
            bound = 0
            if self.flags & FIB_INPUT and passage.input is not None:
                bound = passage.input.index
            elif self.flags & FIB_OUTPUT and passage.output is not None:
                bound = passage.output.index
            mark = passage.mark if self.flags & FIB_MARK else 0
            network = self.networks[passage.version]
            entry = network.routing.lookup(address, b"", bound, mark)
            interface = entry.interface if entry is not None else None
        index = interface.index if interface is not None else 0
        if self.flags & FIB_PRESENT:
            frame.store(self.at, bytes((1 if index else 0,)))
        elif self.result == FIB_RESULT_NAME:
            frame.store(self.at, name_field(interface.name if interface is not None else ""))
        else:
            frame.store(self.at, index.to_bytes(4, LITTLE))
        return CONTINUE


RTN_UNICAST: Final = 1
RTN_LOCAL: Final = 2
FIB_SOURCE: Final = 1
FIB_DESTINATION: Final = 2
FIB_MARK: Final = 4
FIB_INPUT: Final = 8
FIB_OUTPUT: Final = 16
FIB_PRESENT: Final = 32
FIB_RESULT_INDEX: Final = 1
FIB_RESULT_NAME: Final = 2
FIB_RESULT_TYPE: Final = 3
NAME_SIZE: Final = 16  # IFNAMSIZ


def name_field(name: str) -> bytes:
    """Return the name of an interface in its field."""
    return name.encode("ascii", "replace")[: NAME_SIZE - 1].ljust(NAME_SIZE, b"\0")


class CompatMatch(Expression):
    """A match of iptables: match."""

    def __init__(self, match: Match) -> None:
        self.match = match
        self.needs_tracking = match.needs_tracking

    def run(self, frame: Frame) -> int:
        return CONTINUE if self.match.matches(frame.passage) else BREAK


class CompatTarget(Expression):
    """A target of iptables: target."""

    def __init__(self, target: Target) -> None:
        self.inner = target
        self.needs_tracking = target.needs_tracking

    def run(self, frame: Frame) -> int:
        verdict = self.inner.run(frame.passage, frame.hook)
        if verdict >= 0:
            return verdict
        return RETURN if verdict == XT_RETURN else CONTINUE
