"""Descriptors and open files: dup(2), fcntl(2), ioctl(2), lseek(2), fsync(2), ..."""

from typing import Final

from sentry.abi.capability import CAP_SYS_TTY_CONFIG
from sentry.abi.errno import EBADF, EFBIG, EINVAL, EOPNOTSUPP, EPERM, ESPIPE
from sentry.abi.fcntl import (
    F_ADD_SEALS,
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_GET_SEALS,
    F_GETFD,
    F_GETFL,
    F_GETPIPE_SZ,
    F_SETFD,
    F_SETFL,
    F_SETPIPE_SZ,
    O_APPEND,
    O_CLOEXEC,
    O_NOATIME,
    O_NONBLOCK,
)
from sentry.abi.types import Fd, Int, Off, Size, Uint, Ulong, s32
from sentry.errors import SysError
from sentry.fs.memfd import MemoryFile
from sentry.fs.pipefs import PipeFile
from sentry.fs.tty.terminal import Tty
from sentry.kernel.async_io import watch
from sentry.kernel.fault_signals import check_file_size
from sentry.kernel.task import Task
from sentry.mm.user import read_i32, write_u32
from sentry.syscalls.file_owner import OWNER_COMMANDS, owner_command
from sentry.syscalls.locks import COMMANDS, lock_command
from sentry.vfs.file import File
from sentry.vfs.inode import S_IFMT, S_IFREG, AttributeChange
from sentry.vfs.notify import WATCHES
from sentry.vfs.permission import drop_set_ids

FD_CLOEXEC: Final = 1
O_ASYNC: Final = 0o20000
O_DIRECT: Final = 0o40000
SETTABLE: Final = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME
SEEK_CUR: Final = 1
FIONREAD: Final = 0x541B
FIONBIO: Final = 0x5421
FIONCLEX: Final = 0x5450
_FALLOC_KNOWN: Final = 0x7B  # FALLOC_FL_, linux/falloc.h
FIOCLEX: Final = 0x5451
FIOASYNC: Final = 0x5452
MAX_FILE_SIZE: Final = (1 << 63) - 1


def sys_dup(task: Task, fd: Fd) -> int:
    """dup(2)."""
    return task.fds.install(task.fds.get_raw(fd), cloexec=False)


def sys_dup2(task: Task, old: Fd, new: Fd) -> int:
    """dup2(2): a descriptor onto itself is only checked."""
    file = task.fds.get_raw(old)
    if old != new:
        task.fds.replace(new, file, cloexec=False, caller=task)
    return new


def sys_dup3(task: Task, old: Fd, new: Fd, flags: Int) -> int:
    """dup3(2): unlike dup2, fails when both descriptors are the same."""
    if flags & ~O_CLOEXEC or old == new:
        raise SysError(EINVAL)
    file = task.fds.get_raw(old)
    task.fds.replace(new, file, cloexec=bool(flags & O_CLOEXEC), caller=task)
    return new


def sys_fcntl(task: Task, fd: Fd, command: Int, argument: Ulong) -> int:
    """fcntl(2); leases and notifications are refused."""
    fds = task.fds
    if not task.call.is_first_run:
        return lock_command(task, fd, command, argument)  # the only commands that sleep
    file = fds.get_raw(fd)
    if command in (F_DUPFD, F_DUPFD_CLOEXEC):
        lowest = s32(argument)
        if lowest < 0 or lowest >= fds.limit:
            raise SysError(EINVAL)
        return fds.install(file, cloexec=command == F_DUPFD_CLOEXEC, lowest=lowest)
    if command == F_GETFD:
        return FD_CLOEXEC if fds.is_cloexec(fd) else 0
    if command == F_SETFD:
        fds.set_cloexec(fd, cloexec=bool(argument & FD_CLOEXEC))
        return 0
    if command == F_GETFL:
        return file.shown_flags()
    file = fds.get(fd)
    if command == F_SETFL:
        kept = file.flags & ~SETTABLE
        file.set_status_flags(kept | argument & SETTABLE)
        _update_owner(task, fd, file)
        return 0
    return _owner_and_pipe(task, fd, command, argument)


def _update_owner(task: Task, fd: int, file: File) -> None:
    """Begin or end to send SIGIO after a change of O_ASYNC."""
    if file.flags & O_ASYNC or file.owner is not None:
        watch(task.kernel, fd, file, is_on=bool(file.flags & O_ASYNC))


def _owner_and_pipe(task: Task, fd: int, command: int, argument: int) -> int:
    """The commands of fcntl(2) for locks, SIGIO and pipes."""
    if command in COMMANDS:
        return lock_command(task, fd, command, argument)
    file = task.fds.get(fd)
    if command in OWNER_COMMANDS:
        return owner_command(task, file, command, argument)
    if command in (F_GETPIPE_SZ, F_SETPIPE_SZ):
        if not isinstance(file, PipeFile):
            raise SysError(EBADF)
        if command == F_GETPIPE_SZ:
            return file.pipe.capacity
        return file.pipe.set_capacity(argument & 0xFFFF_FFFF, task.creds)
    if command in (F_ADD_SEALS, F_GET_SEALS) and isinstance(file, MemoryFile):
        if command == F_GET_SEALS:
            return file.seals()
        file.add_seals(argument & 0xFFFF_FFFF)
        return 0
    raise SysError(EINVAL)


def sys_ioctl(task: Task, fd: Fd, request: Uint, argument: Ulong) -> int:
    """ioctl(2)."""
    file = task.fds.get(fd)
    if request in (FIOCLEX, FIONCLEX):
        task.fds.set_cloexec(fd, cloexec=request == FIOCLEX)
        return 0
    if request in (FIONBIO, FIOASYNC):
        flag = O_NONBLOCK if request == FIONBIO else O_ASYNC
        is_on = read_i32(task.memory, argument)
        file.set_status_flags(file.flags | flag if is_on else file.flags & ~flag)
        _update_owner(task, fd, file)
        return 0
    inode = file.inode
    if request == FIONREAD and inode is not None and inode.mode() & S_IFMT == S_IFREG:
        left = file.attributes().size - file.seek(0, SEEK_CUR)
        write_u32(task.memory, argument, left & 0xFFFF_FFFF)
        return 0
    return file.ioctl(task, request, argument)


def sys_lseek(task: Task, fd: Fd, offset: Off, whence: Uint) -> int:
    """lseek(2)."""
    file = task.fds.get(fd)
    if whence > 4:
        raise SysError(EINVAL)
    return file.seek(offset, whence)


def sys_ftruncate(task: Task, fd: Fd, length: Off) -> int:
    """ftruncate(2)."""
    file = task.fds.get(fd)
    if length < 0 or not file.can_write():
        raise SysError(EINVAL)
    if file.inode is None or file.inode.mode() & S_IFMT != S_IFREG:
        raise SysError(EINVAL)
    if length > file.attributes().size:
        check_file_size(task, length)
    drop_set_ids(task.creds, file.inode)
    change = AttributeChange()
    change.size = length
    file.set_attributes(change)
    if WATCHES.is_active:
        WATCHES.changed(file.path, change)
    return 0


def sys_fallocate(task: Task, fd: Fd, mode: Int, offset: Off, length: Off) -> int:
    """fallocate(2)."""
    file = task.fds.get(fd)
    if offset < 0 or length <= 0:
        raise SysError(EINVAL)
    if mode & ~_FALLOC_KNOWN or mode & 2 and not mode & 1:  # a hole needs FALLOC_FL_KEEP_SIZE
        raise SysError(EOPNOTSUPP)
    if not file.can_write():
        raise SysError(EBADF)
    if isinstance(file, PipeFile):
        raise SysError(ESPIPE)
    if offset + length > MAX_FILE_SIZE:
        raise SysError(EFBIG)
    check_file_size(task, offset + length)
    file.allocate(mode, offset, length)
    if WATCHES.is_active:
        WATCHES.modified(file)
    return 0


def sys_fsync(task: Task, fd: Fd) -> int:
    """fsync(2)."""
    task.fds.get(fd).sync(data_only=False)
    return 0


def sys_fdatasync(task: Task, fd: Fd) -> int:
    """fdatasync(2)."""
    task.fds.get(fd).sync(data_only=True)
    return 0


def sys_syncfs(task: Task, fd: Fd) -> int:
    """syncfs(2)."""
    path = task.fds.get(fd).path
    if path is not None:
        path.mount.filesystem.sync()
    return 0


def sys_sync(task: Task) -> int:
    """sync(2): every mounted file system of the container."""
    namespace = task.mounts
    if namespace is not None:
        for mount in namespace.mounts:
            mount.filesystem.sync()
    return 0


def sys_sync_file_range(task: Task, fd: Fd, offset: Off, size: Off, flags: Uint) -> int:
    """sync_file_range(2)."""
    if offset < 0 or size < 0 or flags & ~7:
        raise SysError(EINVAL)
    task.fds.get(fd).sync(data_only=True)
    return 0


def sys_fadvise64(task: Task, fd: Fd, offset: Off, size: Size, advice: Int) -> int:
    """posix_fadvise(2): advice changes nothing that can be seen."""
    file = task.fds.get(fd)
    if not 0 <= advice <= 5:
        raise SysError(EINVAL)
    if isinstance(file, PipeFile):
        raise SysError(ESPIPE)
    return 0


def sys_readahead(task: Task, fd: Fd, offset: Off, size: Size) -> int:
    """readahead(2)."""
    file = task.fds.get(fd)
    if not file.can_read():
        raise SysError(EBADF)
    if file.host_fd() < 0:
        raise SysError(EINVAL)
    return 0


def sys_vhangup(task: Task) -> int:
    """vhangup(2): of the controlling terminal; nothing happens where there is none."""
    if not task.creds.has_capability(CAP_SYS_TTY_CONFIG):
        raise SysError(EPERM)
    terminal = task.group.terminal
    if isinstance(terminal, Tty):
        terminal.hang_up()
    return 0
