"""Control messages of sendmsg(2) and recvmsg(2): descriptors and credentials (unix(7), cmsg(3))."""

from struct import Struct
from typing import Final

from sentry.abi import socket as abi
from sentry.abi.errno import EINVAL, ENOBUFS, EPERM
from sentry.errors import SysError
from sentry.kernel.task import Task
from sentry.socket.base import Message, Socket, pack_ucred_for
from sentry.socket.in_flight import IN_FLIGHT
from sentry.vfs.file import File

CONTROL_MAX: Final = 131072  # net.core.optmem_max
CAP_SYS_ADMIN: Final = 21
CAP_SETGID: Final = 6
CAP_SETUID: Final = 7
_INT: Final = Struct("<i")


def read_control(task: Task, header: abi.MsgHdr, message: Message) -> None:
    """Copy the control messages in; the descriptors among them are held from now on."""
    if header.control_len > CONTROL_MAX:
        raise SysError(ENOBUFS)
    raw = task.memory.read(header.control, header.control_len)
    files: list[File] = []
    offset = 0
    while offset + abi.CMSGHDR_SIZE <= len(raw):
        size, level, kind = abi.unpack_cmsghdr(raw, offset)
        if size < abi.CMSGHDR_SIZE or offset + size > len(raw):
            raise SysError(EINVAL)
        if level == abi.SOL_SOCKET:
            data = raw[offset + abi.CMSGHDR_SIZE : offset + size]
            if kind == abi.SCM_RIGHTS:
                for index in range(len(data) // 4):
                    fd: int = _INT.unpack_from(data, 4 * index)[0]
                    files.append(task.fds.get_raw(fd))
            elif kind == abi.SCM_CREDENTIALS:
                message.ucred = _checked_ucred(task, data)
            else:
                raise SysError(EINVAL)
        else:
            message.control.append((level, kind, raw[offset + abi.CMSGHDR_SIZE : offset + size]))
        offset += abi.cmsg_align(size)
    if len(files) > abi.SCM_MAX_FD:
        raise SysError(EINVAL)
    if files:
        IN_FLIGHT.add(task, files)
        message.rights = files


def _checked_ucred(task: Task, data: bytes) -> tuple[int, int, int, int]:
    """Return credentials that a task says are its own (scm_check_creds, net/core/scm.c)."""
    if len(data) != abi.UCRED_SIZE:
        raise SysError(EINVAL)
    pid, uid, gid = abi.unpack_ucred(data)
    creds = task.creds
    if (
        (pid == task.group.pid or creds.has_capability(CAP_SYS_ADMIN))
        and (uid in (creds.uid, creds.euid, creds.suid) or creds.has_capability(CAP_SETUID))
        and (gid in (creds.gid, creds.egid, creds.sgid) or creds.has_capability(CAP_SETGID))
    ):
        return pid, uid, gid, task.group.pids.number
    raise SysError(EPERM)


def write_control(
    task: Task, sock: Socket, header: abi.MsgHdr, message: Message, flags: int
) -> int:
    """Write what came along; return how much room it took.  Sets MSG_CTRUNC where it lacked."""
    room = min(header.control_len, CONTROL_MAX)
    parts = bytearray()
    if sock.passes_credentials():
        packed = abi.pack_cmsg(
            abi.SOL_SOCKET, abi.SCM_CREDENTIALS, pack_ucred_for(task, message.ucred)
        )
        if room < len(packed):
            message.flags |= abi.MSG_CTRUNC
        else:
            parts += packed.ljust(min(abi.cmsg_align(len(packed)), room), b"\0")
    if message.rights:
        _install_rights(task, parts, room, message, flags)
    for level, kind, data in message.control:
        _add(parts, room, message, abi.pack_cmsg(level, kind, data))
    if parts:
        task.memory.write(header.control, bytes(parts))
    return len(parts)


def _add(parts: bytearray, room: int, message: Message, packed: bytes) -> None:
    """Add a control message, cut where the room ends (put_cmsg, net/core/scm.c)."""
    left = room - len(parts)
    if left < abi.CMSGHDR_SIZE:
        message.flags |= abi.MSG_CTRUNC
        return
    if left < len(packed):
        message.flags |= abi.MSG_CTRUNC
        packed = left.to_bytes(8, "little") + packed[8:left]
    parts += packed.ljust(min(abi.cmsg_align(len(packed)), left), b"\0")


def _install_rights(task: Task, parts: bytearray, room: int, message: Message, flags: int) -> None:
    """Give the task the descriptors for which there is room; drop the others."""
    files = message.rights
    message.rights = []
    fits = max(0, (room - len(parts) - abi.CMSGHDR_SIZE) // 4)
    numbers = bytearray()
    taken = 0
    for file in files[:fits]:
        try:
            fd = task.fds.install(file, cloexec=bool(flags & abi.MSG_CMSG_CLOEXEC))
        except SysError:
            break
        numbers += _INT.pack(fd)
        taken += 1
    if taken < len(files):
        message.flags |= abi.MSG_CTRUNC
    # The table holds its own reference; ours of the message goes for all of them.
    IN_FLIGHT.drop(files)
    if numbers:
        packed = abi.pack_cmsg(abi.SOL_SOCKET, abi.SCM_RIGHTS, bytes(numbers))
        parts += packed.ljust(min(abi.cmsg_align(len(packed)), room - len(parts)), b"\0")
