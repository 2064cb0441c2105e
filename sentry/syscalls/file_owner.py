"""The commands of fcntl(2) about who gets SIGIO: F_SETOWN, F_SETOWN_EX, F_SETSIG, ..."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EINVAL, ESRCH
from sentry.abi.fcntl import F_GETOWN, F_GETSIG, F_SETOWN, F_SETSIG
from sentry.abi.signal import NSIG
from sentry.abi.types import s32
from sentry.errors import SysError
from sentry.kernel.async_io import F_OWNER_PGRP, F_OWNER_PID, F_OWNER_TID, owner_of
from sentry.kernel.task import Task
from sentry.vfs.file import File

F_SETOWN_EX: Final = 15
F_GETOWN_EX: Final = 16
F_GETOWNER_UIDS: Final = 17
OWNER_COMMANDS: Final = (
    F_SETOWN,
    F_GETOWN,
    F_SETSIG,
    F_GETSIG,
    F_SETOWN_EX,
    F_GETOWN_EX,
    F_GETOWNER_UIDS,
)
_OWNER: Final = Struct("<ii")  # struct f_owner_ex
_UIDS: Final = Struct("<II")


def owner_command(task: Task, file: File, command: int, argument: int) -> int:
    """Do one of OWNER_COMMANDS."""
    owner = file.owner
    if command == F_SETOWN:
        number = s32(argument)
        if number == -(1 << 31):
            raise SysError(EINVAL)
        _set_owner(task, file, F_OWNER_PGRP if number < 0 else F_OWNER_PID, abs(number))
    elif command == F_GETOWN:
        if owner is None:
            return 0
        return -owner.number if owner.kind == F_OWNER_PGRP else owner.number
    elif command == F_SETSIG:
        if argument > NSIG:
            raise SysError(EINVAL)
        owner_of(file).signal = argument
    elif command == F_GETSIG:
        return 0 if owner is None else owner.signal
    elif command == F_SETOWN_EX:
        kind, number = _OWNER.unpack(task.memory.read(argument, _OWNER.size))
        if kind not in (F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP):
            raise SysError(EINVAL)
        _set_owner(task, file, kind, number)
    elif command == F_GETOWN_EX:
        packed = (
            _OWNER.pack(F_OWNER_TID, 0) if owner is None else _OWNER.pack(owner.kind, owner.number)
        )
        task.memory.write(argument, packed)
    else:
        ids = (0, 0) if owner is None else (owner.uid, owner.euid)
        task.memory.write(argument, _UIDS.pack(*ids))
    return 0


def _set_owner(task: Task, file: File, kind: int, number: int) -> None:
    """Name the owner; SysError(ESRCH) if there is no such process, thread or group."""
    pids = task.group.pids
    if kind == F_OWNER_TID:
        exists = number in pids.tasks
    elif kind == F_OWNER_PID:
        exists = number in pids.groups
    else:
        exists = number in pids.process_groups
    if number and not exists:
        raise SysError(ESRCH)
    owner = owner_of(file)
    owner.kind = kind
    owner.number = number
    owner.pid_namespace = pids.number
    owner.uid = task.creds.uid
    owner.euid = task.creds.euid
