"""SO_ATTACH_FILTER and its kind (socket(7)), for every family that has them."""

from struct import Struct
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.bpf import INSTRUCTION, MAX_INSTRUCTIONS, BpfProgram
from netstack.errors import NetError
from sentry.abi import socket as abi
from sentry.abi.errno import EINVAL, ENOENT, EPERM
from sentry.errors import SysError
from sentry.kernel.task import Task

FILTER_OPTIONS: Final = (
    abi.SO_ATTACH_FILTER,
    abi.SO_DETACH_FILTER,
    abi.SO_ATTACH_BPF,
    abi.SO_ATTACH_REUSEPORT_EBPF,
)
GROUP_OPTIONS: Final = (abi.SO_ATTACH_REUSEPORT_CBPF, abi.SO_DETACH_REUSEPORT_BPF)
_INT: Final = Struct("<i")
_FILTER_PROGRAM: Final = Struct("<H6xQ")  # struct sock_fprog


@mypyc_attr(allow_interpreted_subclasses=True)
class FilterSlot:
    """Where a socket keeps its filter."""

    def __init__(self) -> None:
        self.program: BpfProgram | None = None
        self.is_locked = False  # SO_LOCK_FILTER

    def set_option(self, task: Task, option: int, value: bytes) -> None:
        """Do one of FILTER_OPTIONS; SysError(EPERM) if the filter is locked."""
        program: BpfProgram | None = None
        if option in (abi.SO_ATTACH_BPF, abi.SO_ATTACH_REUSEPORT_EBPF):
            self._refuse_descriptor(task, value)
        if option == abi.SO_ATTACH_FILTER:
            program = self.read_program(task, value)
        elif self.is_locked:
            raise SysError(EPERM)
        elif self.program is None:
            raise SysError(ENOENT)
        self.program = program

    def read_program(self, task: Task, value: bytes) -> BpfProgram:
        """Copy in and verify the program of a struct sock_fprog; SysError(EINVAL, EPERM)."""
        if len(value) != _FILTER_PROGRAM.size:
            raise SysError(EINVAL)
        count, address = _FILTER_PROGRAM.unpack(value)
        if not 0 < count <= MAX_INSTRUCTIONS:
            raise SysError(EINVAL)
        if self.is_locked:
            raise SysError(EPERM)
        try:
            return BpfProgram(task.memory.read(address, count * INSTRUCTION.size))
        except NetError:
            raise SysError(EINVAL) from None

    def _refuse_descriptor(self, task: Task, value: bytes) -> None:
        """Refuse a program of bpf(2): there are none, so the descriptor is of something else."""
        if len(value) != _INT.size:
            raise SysError(EINVAL)
        if self.is_locked:
            raise SysError(EPERM)
        task.fds.get(_INT.unpack(value)[0])  # SysError(EBADF)
        raise SysError(EINVAL)

    def set_locked(self, is_locked: bool) -> None:
        """SO_LOCK_FILTER: a lock stays."""
        if self.is_locked and not is_locked:
            raise SysError(EPERM)
        self.is_locked = is_locked

    def inherit(self, other: "FilterSlot") -> None:
        """Take what the listener has, for a connection that was accepted."""
        self.program = other.program
        self.is_locked = other.is_locked

    def source(self) -> bytes:
        """Return the instructions of the filter; none if there is no filter (SO_GET_FILTER)."""
        return self.program.source if self.program is not None else b""
