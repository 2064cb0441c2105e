"""What the calls of System V IPC share: struct ipc64_perm, and the answers to ipcs(1)."""

from typing import Final

from sentry.abi.ipc import IPC64_PERM
from sentry.kernel.ipc import IpcObject
from sentry.kernel.task import Task

_FIELDS: Final = IPC64_PERM.unpack_from


def pack_permissions(found: IpcObject) -> bytes:
    """Return the struct ipc64_perm of an object."""
    return IPC64_PERM.pack(
        found.key,
        found.uid,
        found.gid,
        found.creator_uid,
        found.creator_gid,
        found.mode,
        found.sequence,
    )


def set_permissions(found: IpcObject, raw: bytes) -> None:
    """Take owner and mode from a struct that begins with a struct ipc64_perm (IPC_SET)."""
    fields = _FIELDS(raw)
    found.uid, found.gid = fields[1], fields[2]
    found.mode = found.mode & ~0o777 | fields[5] & 0o777


def seconds(task: Task) -> int:
    """Return the time as these structs have it."""
    return task.kernel.clock.realtime_ns() // 1_000_000_000
