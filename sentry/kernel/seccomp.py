"""Filters of system calls that a guest puts up for itself (seccomp(2)): classic BPF programs."""

from __future__ import annotations

from struct import Struct
from typing import Final

from sentry.abi import seccomp as abi
from sentry.abi.errno import EINVAL
from sentry.errors import SysError

INSTRUCTION: Final = Struct("<HBBI")  # struct sock_filter: code, jt, jf, k
MAX_PATH: Final = 32768  # instructions of all filters of a task, with four more for each
FILTER_COST: Final = 4
DATA_SIZE: Final = abi.SECCOMP_DATA_SIZE
KNOWN_MAX: Final = 1024  # calls whose answer is remembered have lower numbers
ARCH_AT: Final = 4  # in struct seccomp_data, after the call's number; it is always the same
U32: Final = 0xFFFF_FFFF
S32_SIGN: Final = 0x8000_0000

CLASS: Final = 0x07
OPERATION: Final = 0xF0
LD_ABS: Final = abi.BPF_LD | abi.BPF_W | abi.BPF_ABS
LD_LEN: Final = abi.BPF_LD | abi.BPF_W | abi.BPF_LEN
LD_IMM: Final = abi.BPF_LD | abi.BPF_IMM
LD_MEM: Final = abi.BPF_LD | abi.BPF_MEM
LDX_LEN: Final = abi.BPF_LDX | abi.BPF_W | abi.BPF_LEN
LDX_IMM: Final = abi.BPF_LDX | abi.BPF_IMM
LDX_MEM: Final = abi.BPF_LDX | abi.BPF_MEM
RET_K: Final = abi.BPF_RET | abi.BPF_K
RET_A: Final = abi.BPF_RET | abi.BPF_A
TAX: Final = abi.BPF_MISC | abi.BPF_TAX
TXA: Final = abi.BPF_MISC | abi.BPF_TXA
NEG: Final = abi.BPF_ALU | abi.BPF_NEG
JA: Final = abi.BPF_JMP | abi.BPF_JA
LOADS: Final = (LD_ABS, LD_LEN, LD_IMM, LD_MEM, LDX_LEN, LDX_IMM, LDX_MEM)
ALU: Final = (
    abi.BPF_ADD,
    abi.BPF_SUB,
    abi.BPF_MUL,
    abi.BPF_DIV,
    abi.BPF_OR,
    abi.BPF_AND,
    abi.BPF_XOR,
    abi.BPF_LSH,
    abi.BPF_RSH,
)
JUMPS: Final = (abi.BPF_JEQ, abi.BPF_JGT, abi.BPF_JGE, abi.BPF_JSET)
ALLOWED: Final = frozenset(
    [*LOADS, abi.BPF_ST, abi.BPF_STX, RET_K, RET_A, TAX, TXA, NEG, JA]
    + [abi.BPF_ALU | operation | operand for operation in ALU for operand in (0, abi.BPF_X)]
    + [abi.BPF_JMP | jump | operand for jump in JUMPS for operand in (0, abi.BPF_X)]
)


class SeccompFilter:
    """One program, verified as Linux does it, and those that were there before it."""

    def __init__(self, code: bytes, previous: SeccompFilter | None) -> None:
        """Take struct sock_filter after struct sock_filter; SysError(EINVAL)."""
        rows = list(INSTRUCTION.iter_unpack(code))
        self.previous = previous
        self.count: int = 1 + (0 if previous is None else previous.count)
        self.cost: int = len(rows) + FILTER_COST + (0 if previous is None else previous.cost)
        self.looks_closer = False  # the last run read more of a call than its number
        self._codes: list[int] = [row[0] for row in rows]
        self._if_true: list[int] = [row[1] for row in rows]
        self._if_false: list[int] = [row[2] for row in rows]
        self._operands: list[int] = [row[3] for row in rows]
        for at in range(len(rows)):
            if not self._is_valid(at):
                raise SysError(EINVAL)
        if self._codes[-1] not in (RET_K, RET_A) or not self._memory_is_set():
            raise SysError(EINVAL)

    def is_ancestor_of(self, other: SeccompFilter | None) -> bool:
        """Return whether this filter is `other`, or was there before it."""
        while other is not None:
            if other is self:
                return True
            other = other.previous
        return False

    def _is_valid(self, at: int) -> bool:
        """Check one instruction (seccomp_check_filter and bpf_check_classic)."""
        code, k = self._codes[at], self._operands[at]
        if code not in ALLOWED:
            return False
        left = len(self._codes) - at - 1
        if code == JA:
            return k < left
        if code & CLASS == abi.BPF_JMP:
            return self._if_true[at] < left and self._if_false[at] < left
        if code == LD_ABS:
            return k < DATA_SIZE and k % 4 == 0
        if code in (LD_MEM, LDX_MEM, abi.BPF_ST, abi.BPF_STX):
            return k < abi.BPF_MEMWORDS
        if code == abi.BPF_ALU | abi.BPF_DIV:
            return k != 0
        if code in (abi.BPF_ALU | abi.BPF_LSH, abi.BPF_ALU | abi.BPF_RSH):
            return k < 32
        return True

    def _memory_is_set(self) -> bool:
        """Return whether every load of a word of memory comes after a store, on every way."""
        size = len(self._codes)
        everything = (1 << abi.BPF_MEMWORDS) - 1
        known = [everything] * (size + 1)
        state = 0
        for at in range(size):
            state &= known[at]
            code, k = self._codes[at], self._operands[at]
            if code in (abi.BPF_ST, abi.BPF_STX):
                state |= 1 << k
            elif code in (LD_MEM, LDX_MEM):
                if not state >> k & 1:
                    return False
            elif code & CLASS == abi.BPF_JMP:
                targets = (k,) if code == JA else (self._if_true[at], self._if_false[at])
                for target in targets:
                    known[at + 1 + target] &= state
                state = everything
        return True

    def run(self, words: list[int]) -> int:
        """Return what the program says of a call: struct seccomp_data in words of 32 bits."""
        a = x = at = 0
        self.looks_closer = False
        memory = [0] * abi.BPF_MEMWORDS
        while True:
            code, k = self._codes[at], self._operands[at]
            at += 1
            kind = code & CLASS
            if code == LD_ABS:
                a = words[k >> 2]
                if k > ARCH_AT:
                    self.looks_closer = True
            elif kind == abi.BPF_JMP:
                if code == JA:
                    at += k
                elif holds(code & OPERATION, a, x if code & abi.BPF_X else k):
                    at += self._if_true[at - 1]
                else:
                    at += self._if_false[at - 1]
            elif kind == abi.BPF_RET:
                return k if code == RET_K else a
            elif kind == abi.BPF_ALU:
                operand = x if code & abi.BPF_X else k
                if code & OPERATION == abi.BPF_DIV and operand == 0:
                    return abi.SECCOMP_RET_KILL_THREAD
                a = compute(code & OPERATION, a, operand)
            elif kind == abi.BPF_LD:
                a = memory[k] if code == LD_MEM else DATA_SIZE if code == LD_LEN else k
            elif kind == abi.BPF_LDX:
                x = memory[k] if code == LDX_MEM else DATA_SIZE if code == LDX_LEN else k
            elif kind == abi.BPF_ST:
                memory[k] = a
            elif kind == abi.BPF_STX:
                memory[k] = x
            elif code == TAX:
                x = a
            else:
                a = x


def compute(operation: int, a: int, operand: int) -> int:
    """Return the result of an instruction of class ALU."""
    if operation == abi.BPF_ADD:
        a += operand
    elif operation == abi.BPF_SUB:
        a -= operand
    elif operation == abi.BPF_MUL:
        a *= operand
    elif operation == abi.BPF_DIV:
        a //= operand
    elif operation == abi.BPF_OR:
        a |= operand
    elif operation == abi.BPF_AND:
        a &= operand
    elif operation == abi.BPF_XOR:
        a ^= operand
    elif operation == abi.BPF_LSH:
        a <<= operand & 31
    elif operation == abi.BPF_RSH:
        a >>= operand & 31
    else:
        a = -a
    return a & U32


def holds(jump: int, a: int, operand: int) -> bool:
    """Return whether a conditional jump goes to its first target."""
    if jump == abi.BPF_JEQ:
        return a == operand
    if jump == abi.BPF_JGT:
        return a > operand
    if jump == abi.BPF_JGE:
        return a >= operand
    return a & operand != 0


class SeccompState:
    """What a task may call: in strict mode nearly nothing, else what its filters say."""

    def __init__(self, newest: SeccompFilter | None) -> None:
        self.newest = newest  # None: strict mode
        self.always_allowed: set[int] = set()  # whatever the arguments are

    def mode(self) -> int:
        """Return the number of the mode."""
        return abi.SECCOMP_MODE_STRICT if self.newest is None else abi.SECCOMP_MODE_FILTER

    def verdict(self, words: list[int]) -> int:
        """Return the strictest of what the filters say, the newest one's among equals."""
        result = abi.SECCOMP_RET_ALLOW
        strictness = abi.SECCOMP_RET_ALLOW
        looks_closer = False
        at = self.newest
        while at is not None:
            said = at.run(words)
            looks_closer = looks_closer or at.looks_closer
            action = said & abi.SECCOMP_RET_ACTION_FULL
            signed = action - (1 << 32) if action & S32_SIGN else action
            if signed < strictness:
                strictness = signed
                result = said
            at = at.previous
        if result == abi.SECCOMP_RET_ALLOW and not looks_closer and words[0] < KNOWN_MAX:
            self.always_allowed.add(words[0])
        return result
