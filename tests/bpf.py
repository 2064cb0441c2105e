"""A small interpreter for classic BPF over struct seccomp_data (seccomp(2), linux/filter.h)."""

import struct

ARCH_X86_64 = 0xC000003E
ARCH_I386 = 0x40000003

RET_KILL_PROCESS = 0x80000000
RET_KILL_THREAD = 0x00000000
RET_TRAP = 0x00030000
RET_ERRNO = 0x00050000
RET_TRACE = 0x7FF00000
RET_ALLOW = 0x7FFF0000

_U32 = 0xFFFFFFFF
_SIZE = 64  # of struct seccomp_data
_SCRATCH = 16  # words of scratch memory

Instruction = tuple[int, int, int, int]


class BpfError(Exception):
    """The program does what the kernel's verifier refuses."""


def parse(program: bytes) -> list[Instruction]:
    """Return code, jt, jf, k of each struct sock_filter."""
    return list(struct.iter_unpack("=HBBI", program))


def seccomp_data(number: int, arguments: tuple[int, ...], *, arch: int, ip: int = 0) -> bytes:
    """Return struct seccomp_data; fewer than six arguments are filled with 0."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    return struct.pack("=iIQ6Q", number, arch, ip, *padded)


def run(program: list[Instruction], data: bytes) -> int:
    """Return the verdict of the program."""
    machine = _Machine(data)
    at = 0
    # Jumps go forward only, so this ends.
    while at < len(program):
        code, jump_true, jump_false, k = program[at]
        kind = code & 0x07
        at += 1
        if kind == 0x06:
            return machine.a if code & 0x18 == 0x10 else k
        if kind == 0x05:
            at += machine.jump(code, jump_true, jump_false, k)
        else:
            machine.step(code, k)
    raise BpfError("ran past the end")


class _Machine:
    def __init__(self, data: bytes) -> None:
        self.a = 0
        self.x = 0
        self.scratch = [0] * _SCRATCH
        self._data = data

    def step(self, code: int, k: int) -> None:
        kind = code & 0x07
        if kind == 0x00:
            self.a = self._load(code, k)
        elif kind == 0x01:
            self.x = self._load(code, k)
        elif kind == 0x02:
            self.scratch[k] = self.a
        elif kind == 0x03:
            self.scratch[k] = self.x
        elif kind == 0x04:
            self.a = self._compute(code, k)
        elif code & 0xF8:
            self.a = self.x  # TXA
        else:
            self.x = self.a  # TAX

    def jump(self, code: int, jump_true: int, jump_false: int, k: int) -> int:
        operand = self.x if code & 0x08 else k
        operation = code & 0xF0
        if operation == 0x00:
            return k
        if operation == 0x10:
            taken = self.a == operand
        elif operation == 0x20:
            taken = self.a > operand
        elif operation == 0x30:
            taken = self.a >= operand
        elif operation == 0x40:
            taken = bool(self.a & operand)
        else:
            raise BpfError(f"jump {code:#x}")
        return jump_true if taken else jump_false

    def _load(self, code: int, k: int) -> int:
        mode = code & 0xE0
        if mode == 0x20:
            if code & 0x18 or k % 4 or not 0 <= k <= _SIZE - 4:
                raise BpfError(f"load of {k}")
            value: int = struct.unpack_from("=I", self._data, k)[0]
            return value
        if mode == 0x00:
            return k
        if mode == 0x60:
            return self.scratch[k]
        if mode == 0x80:
            return _SIZE
        raise BpfError(f"load {code:#x}")

    def _compute(self, code: int, k: int) -> int:
        operand = self.x if code & 0x08 else k
        operation = code & 0xF0
        if operation in (0x30, 0x90) and operand == 0:
            raise BpfError("division by zero")
        results = {
            0x00: lambda: self.a + operand,
            0x10: lambda: self.a - operand,
            0x20: lambda: self.a * operand,
            0x30: lambda: self.a // operand,
            0x40: lambda: self.a | operand,
            0x50: lambda: self.a & operand,
            0x60: lambda: self.a << (operand & 31),
            0x70: lambda: self.a >> (operand & 31),
            0x80: lambda: -self.a,
            0x90: lambda: self.a % operand,
            0xA0: lambda: self.a ^ operand,
        }
        return results[operation]() & _U32
