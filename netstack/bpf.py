"""Classic BPF (linux/filter.h; bpf(4) of BSD): programs that choose what a socket receives."""

from __future__ import annotations

from struct import Struct
from typing import Final

from netstack.errors import INVALID, NetError
from netstack.packet import FrameFilter, InPacket

INSTRUCTION: Final = Struct("<HBBI")  # struct sock_filter: code, jt, jf, k
MAX_INSTRUCTIONS: Final = 4096
MEMORY_WORDS: Final = 16
U32: Final = 0xFFFF_FFFF

# What an instruction's code says: its class, then what each class makes of the rest.
CLASS: Final = 0x07
LD: Final = 0x00
LDX: Final = 0x01
ST: Final = 0x02
STX: Final = 0x03
ALU: Final = 0x04
JMP: Final = 0x05
RET: Final = 0x06
OPERAND_X: Final = 0x08
LD_IMM: Final = 0x00
LD_ABS: Final = (0x20, 0x28, 0x30)  # a word, two bytes, one
LD_IND: Final = (0x40, 0x48, 0x50)
LD_MEM: Final = 0x60
LD_LEN: Final = 0x80
LDX_IMM: Final = 0x01
LDX_MEM: Final = 0x61
LDX_LEN: Final = 0x81
LDX_MSH: Final = 0xB1  # four times the low half of a byte: the length of an IPv4 header
JA: Final = 0x05
RET_K: Final = 0x06
RET_A: Final = 0x16
TAX: Final = 0x07
TXA: Final = 0x87
ALU_NEG: Final = 0x84
ALU_OPERATIONS: Final = (0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xA0)
JUMPS: Final = (0x10, 0x20, 0x30, 0x40)
ALLOWED: Final = frozenset(
    [*LD_ABS, *LD_IND, LD_IMM, LD_MEM, LD_LEN, LDX_IMM, LDX_MEM, LDX_LEN, LDX_MSH]
    + [ST, STX, JA, RET_K, RET_A, TAX, TXA, ALU_NEG]
    + [ALU | operation | operand for operation in ALU_OPERATIONS for operand in (0, OPERAND_X)]
    + [JMP | jump | operand for jump in JUMPS for operand in (0, OPERAND_X)]
)

# Offsets that are no places in the packet, as unsigned numbers.
AD_OFFSET: Final = (-0x1000) & U32  # what the kernel knows of the packet
NETWORK_OFFSET: Final = (-0x10_0000) & U32  # from the network header on
LINK_OFFSET: Final = (-0x20_0000) & U32  # from the link header on
AD_PROTOCOL: Final = 0
AD_PACKET_TYPE: Final = 4
AD_INTERFACE: Final = 8
AD_XOR_X: Final = 40
AD_RANDOM: Final = 56
AD_MAX: Final = 64

NO_VALUE: Final = -1  # of a load outside of the packet


class BpfProgram(FrameFilter):
    """A program that was verified: it ends, and reads no memory but its own and the packet."""

    def __init__(self, code: bytes) -> None:
        """Take struct sock_filter after struct sock_filter; NetError(INVALID)."""
        rows = list(INSTRUCTION.iter_unpack(code)) if len(code) % INSTRUCTION.size == 0 else []
        if not 0 < len(rows) <= MAX_INSTRUCTIONS:
            raise NetError(INVALID)
        self.source = code
        self._codes: list[int] = [row[0] for row in rows]
        self._if_true: list[int] = [row[1] for row in rows]
        self._if_false: list[int] = [row[2] for row in rows]
        self._operands: list[int] = [row[3] for row in rows]
        for at in range(len(rows)):
            if not self._is_valid(at):
                raise NetError(INVALID)
        if self._codes[-1] not in {RET_K, RET_A} or not self._memory_is_set():
            raise NetError(INVALID)

    # Verifying (bpf_check_classic, net/core/filter.c).

    def _is_valid(self, at: int) -> bool:
        code, k = self._codes[at], self._operands[at]
        if code not in ALLOWED:
            return False
        left = len(self._codes) - at - 1
        if code == JA:
            return k < left
        if code & CLASS == JMP:
            return self._if_true[at] < left and self._if_false[at] < left
        if code in {LD_MEM, LDX_MEM, ST, STX}:
            return k < MEMORY_WORDS
        if code in {ALU | 0x30, ALU | 0x90}:
            return k != 0
        if code in {ALU | 0x60, ALU | 0x70}:
            return k < 32
        if code in LD_ABS and k >= AD_OFFSET:
            return k - AD_OFFSET < AD_MAX and (k - AD_OFFSET) % 4 == 0
        return True

    def _memory_is_set(self) -> bool:
        """Return whether every load of a word of memory comes after a store, on every way."""
        size = len(self._codes)
        everything = (1 << MEMORY_WORDS) - 1
        known = [everything] * (size + 1)  # by instruction: the words set on all ways to it
        state = 0
        for at in range(size):
            state &= known[at]
            code, k = self._codes[at], self._operands[at]
            if code in {ST, STX}:
                state |= 1 << k
            elif code in {LD_MEM, LDX_MEM}:
                if not state >> k & 1:
                    return False
            elif code == JA:
                known[at + 1 + k] &= state
                state = everything
            elif code & CLASS == JMP:
                known[at + 1 + self._if_true[at]] &= state
                known[at + 1 + self._if_false[at]] &= state
                state = everything
        return True

    # Running.

    def run(
        self, data: bytes, start: int, end: int, packet: InPacket | None, ethertype: int
    ) -> int:
        a = x = 0
        memory = [0] * MEMORY_WORDS
        at = 0
        while True:
            code, k = self._codes[at], self._operands[at]
            at += 1
            kind = code & CLASS
            if kind == ALU:
                operand = x if code & OPERAND_X else k
                if operand == 0 and code & 0xF0 in {0x30, 0x90}:
                    return 0
                a = compute(code & 0xF0, a, operand)
            elif kind == JMP:
                if code == JA:
                    at += k
                elif holds(code & 0xF0, a, x if code & OPERAND_X else k):
                    at += self._if_true[at - 1]
                else:
                    at += self._if_false[at - 1]
            elif kind == RET:
                return k if code == RET_K else a
            elif code in LD_ABS and k >= AD_OFFSET:
                a = a ^ x if k - AD_OFFSET == AD_XOR_X else known_of(k, packet, ethertype)
            elif code in LD_ABS or code in LD_IND:
                value = load(data, start, end, packet, k if code in LD_ABS else k + x, code & 0x18)
                if value == NO_VALUE:
                    return 0
                a = value
            elif code == LDX_MSH:
                value = load(data, start, end, packet, k, 0x10)
                if value == NO_VALUE:
                    return 0
                x = (value & 15) * 4
            elif code == ST:
                memory[k] = a
            elif code == STX:
                memory[k] = x
            elif code == TAX:
                x = a
            elif code == TXA:
                a = x
            else:
                value = k
                if code in {LD_MEM, LDX_MEM}:
                    value = memory[k]
                elif code in {LD_LEN, LDX_LEN}:
                    value = end - start
                if kind == LD:
                    a = value
                else:
                    x = value


def compute(operation: int, a: int, operand: int) -> int:
    """Return the result of an instruction of class ALU."""
    if operation == 0x00:
        a += operand
    elif operation == 0x10:
        a -= operand
    elif operation == 0x20:
        a *= operand
    elif operation == 0x30:
        a //= operand
    elif operation == 0x40:
        a |= operand
    elif operation == 0x50:
        a &= operand
    elif operation == 0x60:
        a <<= operand & 31
    elif operation == 0x70:
        a >>= operand & 31
    elif operation == 0x80:
        a = -a
    elif operation == 0x90:
        a %= operand
    else:
        a ^= operand
    return a & U32


def holds(jump: int, a: int, operand: int) -> bool:
    """Return whether a conditional jump goes to its first target."""
    if jump == 0x10:
        return a == operand
    if jump == 0x20:
        return a > operand
    if jump == 0x30:
        return a >= operand
    return a & operand != 0


def load(
    data: bytes, start: int, end: int, packet: InPacket | None, offset: int, size_bits: int
) -> int:
    """Return a big-endian number of the packet, or NO_VALUE outside of it."""
    offset &= U32
    size = 4 if size_bits == 0 else 2 if size_bits == 0x08 else 1
    position = start + offset
    if packet is None:
        pass  # there are no headers: the special offsets are outside
    elif offset >= NETWORK_OFFSET:
        position = packet.network + offset - NETWORK_OFFSET
    elif offset >= LINK_OFFSET:
        position = offset - LINK_OFFSET
    if position + size > end:
        return NO_VALUE
    return int.from_bytes(data[position : position + size], "big")


def known_of(offset: int, packet: InPacket | None, ethertype: int) -> int:
    """Return what is known of a packet (SKF_AD_ of linux/filter.h); 0 where nothing is."""
    what = offset - AD_OFFSET
    if what == AD_PROTOCOL:
        return ethertype
    if packet is None:
        return 0
    if what == AD_PACKET_TYPE:
        return packet.kind
    if what == AD_INTERFACE:
        return packet.interface.index
    if what == AD_RANDOM:
        random = packet.interface.stack.environment.random_bytes(4)
        return int.from_bytes(random, "big")
    return 0
