"""What nf_tables knows of a packet besides its bytes: meta, ct, and what acts on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netstack.environment import Environment
from netstack.filter.nat import Range
from netstack.filter.nft_chain import BREAK, CONTINUE, Expression, Frame
from netstack.filter.nft_expressions import name_field
from netstack.filter.passage import (
    ESTABLISHED,
    INVALID,
    NEW,
    NO_ID,
    RELATED,
    UNTRACKED,
    Passage,
)
from netstack.filter.table import DROP
from netstack.filter.targets import TCP_RESET, NatTarget
from netstack.packet import ETHERTYPE_IPV4, ETHERTYPE_IPV6

if TYPE_CHECKING:
    from netstack.filter.conntrack import Connection
    from netstack.filter.hooks import PacketFilter
    from netstack.interface import Interface

LITTLE: Final = "little"

# enum nft_meta_keys.
META_LEN: Final = 0
META_PROTOCOL: Final = 1
META_MARK: Final = 3
META_IIF: Final = 4
META_OIF: Final = 5
META_IIFNAME: Final = 6
META_OIFNAME: Final = 7
META_IIFTYPE: Final = 8
META_OIFTYPE: Final = 9
META_SKUID: Final = 10
META_SKGID: Final = 11
META_NFTRACE: Final = 12
META_NFPROTO: Final = 15
META_L4PROTO: Final = 16
META_PKTTYPE: Final = 19
META_CPU: Final = 20
META_PRANDOM: Final = 24

# enum nft_ct_keys.
CT_STATE: Final = 0
CT_DIRECTION: Final = 1
CT_STATUS: Final = 2
CT_MARK: Final = 3
CT_EXPIRATION: Final = 5
CT_L3PROTOCOL: Final = 7
CT_SRC: Final = 8
CT_DST: Final = 9
CT_PROTOCOL: Final = 10
CT_PROTO_SRC: Final = 11
CT_PROTO_DST: Final = 12
CT_SRC_IP: Final = 19
CT_DST_IP: Final = 20
CT_SRC_IP6: Final = 21
CT_DST_IP6: Final = 22
CT_ID: Final = 23

# Bits of states in registers.
STATE_BITS: Final = {INVALID: 1, ESTABLISHED: 2, RELATED: 4, NEW: 8, UNTRACKED: 64}

NFPROTO_IPV4: Final = 2
NFPROTO_IPV6: Final = 10
ARPHRD_ETHER: Final = 1
ARPHRD_LOOPBACK: Final = 772
ARPHRD_NONE: Final = 0xFFFE


class Meta(Expression):
    """Loads what is known of a packet: meta."""

    def __init__(self, environment: Environment, key: int, at: int) -> None:
        self.environment = environment
        self.key = key
        self.at = at

    def run(self, frame: Frame) -> int:
        value = self._value(frame.passage)
        if value is None:
            return BREAK
        frame.store(self.at, value)
        return CONTINUE

    def _value(self, passage: Passage) -> bytes | None:
        key = self.key
        if key == META_L4PROTO:
            return bytes((passage.protocol,))
        if key == META_IIFNAME:
            return name_field(passage.input.name if passage.input is not None else "")
        if key == META_OIFNAME:
            return name_field(passage.output.name if passage.output is not None else "")
        if key == META_NFPROTO:
            return bytes((NFPROTO_IPV6 if passage.version == 6 else NFPROTO_IPV4,))
        if key == META_MARK:
            return passage.mark.to_bytes(4, LITTLE)
        if key in {META_IIF, META_OIF}:
            interface = passage.input if key == META_IIF else passage.output
            return (interface.index if interface is not None else 0).to_bytes(4, LITTLE)
        if key in {META_IIFTYPE, META_OIFTYPE}:
            return type_of(passage.input if key == META_IIFTYPE else passage.output)
        if key in {META_SKUID, META_SKGID}:
            number = passage.user if key == META_SKUID else passage.group
            return number.to_bytes(4, LITTLE) if number != NO_ID else None
        return self._rare(passage)

    def _rare(self, passage: Passage) -> bytes | None:
        key = self.key
        if key == META_LEN:
            return passage.size().to_bytes(4, LITTLE)
        if key == META_PROTOCOL:
            ethertype = ETHERTYPE_IPV6 if passage.version == 6 else ETHERTYPE_IPV4
            return ethertype.to_bytes(2, "big")
        if key == META_PKTTYPE:
            return bytes((passage.arrived.kind if passage.arrived is not None else 0,))
        if key == META_CPU:
            return bytes(4)
        if key == META_PRANDOM:
            return self.environment.random_bytes(4)
        return None


def type_of(interface: Interface | None) -> bytes | None:
    """Return the ARPHRD_ number of an interface, as registers have it."""
    if interface is None:
        return None
    link = interface.link
    number = ARPHRD_LOOPBACK if link.is_loopback else ARPHRD_NONE
    if link.has_header and not link.is_loopback:
        number = ARPHRD_ETHER
    return number.to_bytes(2, LITTLE)


class MetaSet(Expression):
    """Sets a packet's mark: meta mark set.  Tracing (meta nftrace set) there is none."""

    def __init__(self, key: int, source: int) -> None:
        self.key = key
        self.source = source

    def run(self, frame: Frame) -> int:
        if self.key == META_MARK:
            frame.passage.mark = int.from_bytes(frame.load(self.source, 4), LITTLE)
        return CONTINUE


class Ct(Expression):
    """Loads what is known of a packet's connection: ct."""

    needs_tracking = True

    def __init__(self, key: int, at: int, direction: int) -> None:
        self.key = key
        self.at = at
        self.direction = direction  # 0: of the first packet, 1: of answers, -1: of this one

    def run(self, frame: Frame) -> int:
        passage = frame.passage
        if self.key == CT_STATE:
            frame.store(self.at, STATE_BITS[passage.state].to_bytes(4, LITTLE))
            return CONTINUE
        connection = passage.connection
        if connection is None:
            return BREAK
        value = self._value(passage, connection)
        if value is None:
            return BREAK
        frame.store(self.at, value)
        return CONTINUE

    def _value(self, passage: Passage, connection: Connection) -> bytes | None:
        key = self.key
        if key == CT_DIRECTION:
            return bytes((int(passage.is_reply),))
        if key == CT_STATUS:
            return connection.status_bits().to_bytes(4, LITTLE)
        if key == CT_MARK:
            return connection.mark.to_bytes(4, LITTLE)
        if key == CT_EXPIRATION:
            return (connection.seconds_left() * 1000).to_bytes(4, LITTLE)
        is_v6 = len(connection.original[0]) == 16
        if key == CT_L3PROTOCOL:
            return bytes((NFPROTO_IPV6 if is_v6 else NFPROTO_IPV4,))
        if key == CT_ID:
            return connection.ident.to_bytes(4, LITTLE)
        is_reply = passage.is_reply if self.direction < 0 else self.direction == 1
        item = connection.reply if is_reply else connection.original
        if key == CT_PROTOCOL:
            return bytes((item[2],))
        if key in {CT_PROTO_SRC, CT_PROTO_DST}:
            port = item[3] if key == CT_PROTO_SRC else item[4]
            return port.to_bytes(2, "big")
        if key in {CT_SRC_IP, CT_DST_IP} and is_v6 or key in {CT_SRC_IP6, CT_DST_IP6} and not is_v6:
            return None
        return item[0] if key in {CT_SRC, CT_SRC_IP, CT_SRC_IP6} else item[1]


class CtMarkSet(Expression):
    """Sets the mark of a packet's connection: ct mark set."""

    needs_tracking = True

    def __init__(self, source: int) -> None:
        self.source = source

    def run(self, frame: Frame) -> int:
        connection = frame.passage.connection
        if connection is not None:
            connection.mark = int.from_bytes(frame.load(self.source, 4), LITTLE)
        return CONTINUE


class Notrack(Expression):
    """Keeps a packet out of connection tracking: notrack."""

    needs_tracking = True

    def run(self, frame: Frame) -> int:
        if frame.passage.connection is None:
            frame.passage.state = UNTRACKED
        return CONTINUE


class Reject(Expression):
    """Drops a packet and tells its sender; a code for each version of IP, or TCP_RESET."""

    def __init__(self, filters: dict[int, PacketFilter], codes: dict[int, int]) -> None:
        self.filters = filters
        self.codes = codes

    def run(self, frame: Frame) -> int:
        passage = frame.passage
        rules = self.filters[passage.version]
        code = self.codes[passage.version]
        if code == TCP_RESET:
            rules.send_reset(passage)
        else:
            rules.send_unreachable(passage, code)
        return DROP


class NatRegisters:
    """Where registers have the addresses and ports of a translation; negative: nowhere."""

    def __init__(self) -> None:
        self.low = -1
        self.high = -1
        self.low_port = -1
        self.high_port = -1
        self.is_random = False
        self.is_persistent = False

    def range_of(self, frame: Frame, address_size: int) -> Range:
        """Return the range that a packet's registers give."""
        made = Range()
        if self.low >= 0 and address_size:
            made.low = frame.load(self.low, address_size)
            made.high = frame.load(self.high, address_size)
        if self.low_port >= 0:
            made.has_ports = True
            made.low_port = int.from_bytes(frame.load(self.low_port, 2), "big")
            made.high_port = int.from_bytes(frame.load(self.high_port, 2), "big")
        made.is_random = self.is_random
        made.is_persistent = self.is_persistent
        return made


class Nat(Expression):
    """Translates addresses of a connection: snat, dnat, masquerade, redirect."""

    needs_tracking = True

    def __init__(self, targets: dict[int, NatTarget], registers: NatRegisters) -> None:
        self.targets = targets  # by version of IP
        self.registers = registers

    def run(self, frame: Frame) -> int:
        passage = frame.passage
        target = self.targets.get(passage.version)
        if target is None:
            return CONTINUE
        wanted = self.registers.range_of(frame, len(passage.source))
        if wanted.low > wanted.high or wanted.low_port > wanted.high_port:
            return DROP
        return target.run_range(passage, frame.hook, wanted)
