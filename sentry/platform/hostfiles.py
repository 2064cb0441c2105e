"""Host file calls for the layers above, with the host's errno as the guest's SysError.

Only descriptors that the sentry was given or opened itself come here, so an
error is the answer to the guest's own request (ENOSPC, EISDIR, EAGAIN, ...).
"""

import fcntl
import os
import resource
import select
from struct import Struct
from typing import Final

from sentry.errors import SysError
from sentry.platform._ptrace import ffi, lib


def read_some_from_host(host_fd: int, size: int, offset: int) -> bytes:
    """Return at most `size` bytes read at `offset` (-1: the descriptor's own)."""
    try:
        if offset < 0:
            return os.read(host_fd, size)
        return os.pread(host_fd, size, offset)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def write_all_to_host(host_fd: int, data: bytes, offset: int) -> int:
    """Write `data` at `offset` (-1: the descriptor's own); return how much was written."""
    try:
        if offset < 0:
            return os.write(host_fd, data)
        return os.pwrite(host_fd, data, offset)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def host_identity(host_fd: int) -> tuple[int, int]:
    """Return the host's device and inode number of an open descriptor."""
    try:
        status = os.fstat(host_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None
    return status.st_dev, status.st_ino


# The host's directories: every call is relative to a directory descriptor, with one name.

STAT_SIZE: Final = 144
# struct stat (asm/stat.h): dev ino nlink mode uid gid rdev size blksize blocks, three times.
_STAT: Final = Struct("<QQQIII4xQqqq6q24x")
_stat_buffer: Final = ffi.buffer(lib.pt_stat_buffer(), STAT_SIZE)
_ENOENT: Final = 2
_EBADF: Final = 9
# Bound once: each look into the extension costs as much as a call.
_close: Final = lib.pt_close
_open_at: Final = lib.pt_open_at
_stat_at: Final = lib.pt_stat_at
_stat_fd: Final = lib.pt_stat_fd


class HostStat:
    """What the host tells of a file; the fields of os.stat_result."""

    def __init__(self, image: bytes) -> None:
        fields = _STAT.unpack(image)
        self.st_dev: int = fields[0]
        self.st_ino: int = fields[1]
        self.st_nlink: int = fields[2]
        self.st_mode: int = fields[3]
        self.st_uid: int = fields[4]
        self.st_gid: int = fields[5]
        self.st_rdev: int = fields[6]
        self.st_size: int = fields[7]
        self.st_blksize: int = fields[8]
        self.st_blocks: int = fields[9]
        self.st_atime_ns: int = fields[10] * 1_000_000_000 + fields[11]
        self.st_mtime_ns: int = fields[12] * 1_000_000_000 + fields[13]
        self.st_ctime_ns: int = fields[14] * 1_000_000_000 + fields[15]


_PATH_FLAGS: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_LIST_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Umask:
    """Of this process; it must not meddle with the modes that guests ask for."""

    def __init__(self) -> None:
        self._is_clear = False

    def clear(self) -> None:
        """Make host files get exactly the modes that are asked for."""
        if not self._is_clear:
            os.umask(0)
            self._is_clear = True  # the confined sandbox may not make the call any more


UMASK: Final = Umask()


def open_directory(path: bytes) -> int:
    """Open a host directory (or a file to be mounted alone) by its path, before confinement."""
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def open_subdirectory(dir_fd: int, name: bytes) -> int:
    """Return a descriptor for a directory, good for naming what is in it only."""
    host_fd = _open_at(dir_fd, name, _PATH_FLAGS | os.O_DIRECTORY, 0)
    if host_fd < 0:
        raise SysError(-host_fd)
    return host_fd


def open_file(dir_fd: int, name: bytes, flags: int, mode: int = 0) -> int:
    """Open a file in a directory; a symbolic link at its place is ELOOP.

    Never sleeps for a FIFO that somebody put there (O_NONBLOCK means nothing
    to regular files).
    """
    host_fd = _open_at(dir_fd, name, flags | _OPEN_FLAGS, mode)
    if host_fd < 0:
        raise SysError(-host_fd)
    return host_fd


def close(host_fd: int) -> None:
    """Close a descriptor; errors of closing are of no use to anybody."""
    if _close(host_fd) == -_EBADF:
        raise OSError(_EBADF, f"descriptor {host_fd} is not open")


def stat_image_at(dir_fd: int, name: bytes) -> bytes | None:
    """Return the host's struct stat of a name in a directory; None without one, follows nothing."""
    error = _stat_at(dir_fd, name)
    if error < 0:
        if error == -_ENOENT:
            return None
        raise SysError(-error)
    return _stat_buffer[:STAT_SIZE]


def stat_image_of(host_fd: int) -> bytes:
    """Return the host's struct stat of what a descriptor refers to."""
    error = _stat_fd(host_fd)
    if error < 0:
        raise SysError(-error)
    return _stat_buffer[:STAT_SIZE]


def stat_at(dir_fd: int, name: bytes) -> HostStat | None:
    """Return what a name in a directory is, None if there is none; follows nothing."""
    image = stat_image_at(dir_fd, name)
    return None if image is None else HostStat(image)


def stat_fd(host_fd: int) -> HostStat:
    """Return what a descriptor refers to."""
    return HostStat(stat_image_of(host_fd))


def read_link(dir_fd: int, name: bytes) -> bytes:
    """Return the target of a symbolic link."""
    try:
        return os.readlink(name, dir_fd=dir_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def list_directory(dir_fd: int) -> list[tuple[bytes, int, int]]:
    """Return name, inode number and S_IF type of the entries, without `.` and `..`."""
    found: list[tuple[bytes, int, int]] = []
    try:
        list_fd = os.open(".", _LIST_FLAGS, dir_fd=dir_fd)
        try:
            with os.scandir(list_fd) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        kind = 0o100000
                    elif entry.is_dir(follow_symlinks=False):
                        kind = 0o040000
                    elif entry.is_symlink():
                        kind = 0o120000
                    else:
                        kind = 0
                    found.append((os.fsencode(entry.name), entry.inode(), kind))
        finally:
            os.close(list_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None
    return found


def make_directory(dir_fd: int, name: bytes, mode: int) -> None:
    """Do mkdirat(2)."""
    try:
        os.mkdir(name, mode, dir_fd=dir_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def make_node(dir_fd: int, name: bytes, mode: int, device: int) -> None:
    """Do mknodat(2)."""
    try:
        os.mknod(name, mode, device, dir_fd=dir_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def make_symlink(dir_fd: int, name: bytes, target: bytes) -> None:
    """Do symlinkat(2)."""
    try:
        os.symlink(target, name, dir_fd=dir_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def make_link(old_dir_fd: int, old_name: bytes, dir_fd: int, name: bytes) -> None:
    """Do linkat(2) without following a symbolic link."""
    try:
        os.link(old_name, name, src_dir_fd=old_dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def remove_name(dir_fd: int, name: bytes) -> None:
    """Do unlinkat(2) of what is not a directory."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def remove_directory(dir_fd: int, name: bytes) -> None:
    """Do unlinkat(2) of an empty directory."""
    try:
        os.rmdir(name, dir_fd=dir_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def rename(old_dir_fd: int, old_name: bytes, dir_fd: int, name: bytes, flags: int) -> None:
    """Do renameat2(2)."""
    result = lib.pt_rename(old_dir_fd, old_name, dir_fd, name, flags)
    if result < 0:
        raise SysError(-result)


def change_mode_at(dir_fd: int, name: bytes, mode: int) -> None:
    """Change the mode of what is known not to be a symbolic link."""
    try:
        os.chmod(name, mode, dir_fd=dir_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def change_mode(host_fd: int, mode: int) -> None:
    """Do fchmod(2)."""
    try:
        os.fchmod(host_fd, mode)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def change_owner_at(dir_fd: int, name: bytes, uid: int, gid: int) -> None:
    """Do fchownat(2) without following a symbolic link."""
    try:
        os.chown(name, uid, gid, dir_fd=dir_fd, follow_symlinks=False)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def change_owner(host_fd: int, uid: int, gid: int) -> None:
    """Do fchown(2)."""
    try:
        os.fchown(host_fd, uid, gid)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def change_times_at(dir_fd: int, name: bytes, atime_ns: int, mtime_ns: int) -> None:
    """Do utimensat(2) without following a symbolic link."""
    try:
        os.utime(name, ns=(atime_ns, mtime_ns), dir_fd=dir_fd, follow_symlinks=False)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def change_times(host_fd: int, atime_ns: int, mtime_ns: int) -> None:
    """Do futimens(3)."""
    try:
        os.utime(host_fd, ns=(atime_ns, mtime_ns))
    except OSError as error:
        raise SysError(error.errno or 5) from None


def truncate(host_fd: int, size: int) -> None:
    """Do ftruncate(2)."""
    try:
        os.ftruncate(host_fd, size)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def seek(host_fd: int, offset: int, whence: int) -> int:
    """Do lseek(2)."""
    try:
        return os.lseek(host_fd, offset, whence)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def sync(host_fd: int, *, data_only: bool) -> None:
    """Do fsync(2) or fdatasync(2)."""
    try:
        if data_only:
            os.fdatasync(host_fd)
        else:
            os.fsync(host_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def allocate(host_fd: int, mode: int, offset: int, length: int) -> None:
    """Do fallocate(2) with its FALLOC_FL_ modes."""
    result = lib.pt_allocate(host_fd, mode, offset, length)
    if result < 0:
        raise SysError(-result)


def status_flags(host_fd: int) -> int:
    """Return what fcntl(F_GETFL) tells."""
    return fcntl.fcntl(host_fd, fcntl.F_GETFL)


def set_status_flags(host_fd: int, flags: int) -> None:
    """Do fcntl(F_SETFL)."""
    try:
        fcntl.fcntl(host_fd, fcntl.F_SETFL, flags)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def file_system_size(host_fd: int) -> tuple[int, int, int, int, int, int]:
    """Return f_bsize, f_blocks, f_bfree, f_bavail, f_files and f_ffree (fstatvfs(3))."""
    try:
        found = os.fstatvfs(host_fd)
    except OSError as error:
        raise SysError(error.errno or 5) from None
    return (
        found.f_bsize,
        found.f_blocks,
        found.f_bfree,
        found.f_bavail,
        found.f_files,
        found.f_ffree,
    )


def get_xattr(host_fd: int, name: bytes) -> bytes:
    """Do fgetxattr(2)."""
    try:
        return os.getxattr(host_fd, name)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def set_xattr(host_fd: int, name: bytes, value: bytes, flags: int) -> None:
    """Do fsetxattr(2)."""
    try:
        os.setxattr(host_fd, name, value, flags)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def list_xattr(host_fd: int) -> list[bytes]:
    """Do flistxattr(2)."""
    try:
        return [os.fsencode(name) for name in os.listxattr(host_fd)]
    except OSError as error:
        raise SysError(error.errno or 5) from None


def remove_xattr(host_fd: int, name: bytes) -> None:
    """Do fremovexattr(2)."""
    try:
        os.removexattr(host_fd, name)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def make_memory_file(name: str) -> int:
    """Return a descriptor of an empty file in memory (memfd_create(2))."""
    try:
        return os.memfd_create(name, os.MFD_CLOEXEC)
    except OSError as error:
        raise SysError(error.errno or 5) from None


def descriptor_limit() -> int:
    """Return how many descriptors this process may have (RLIMIT_NOFILE)."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class OwnedFd:
    """A host descriptor that is closed when nobody refers to this object any more."""

    def __init__(self, host_fd: int) -> None:
        self.fd = host_fd

    def close(self) -> None:
        """Close it now."""
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class ProcDirectory:
    """The directory of the host's procfs that is this process, to reopen descriptors by."""

    def __init__(self) -> None:
        self.fd = -1

    def reopen(self, host_fd: int, flags: int) -> int:
        """Open what a descriptor refers to once more, with other flags."""
        try:
            if self.fd < 0:
                return os.open(f"/proc/self/fd/{host_fd}", flags | os.O_CLOEXEC)
            return os.open(f"self/fd/{host_fd}", flags | os.O_CLOEXEC, dir_fd=self.fd)
        except OSError as error:
            raise SysError(error.errno or 5) from None

    def link(self, host_fd: int, dir_fd: int, name: bytes) -> None:
        """Give a name to a file that was made without one (open(2), O_TMPFILE)."""
        try:
            if self.fd < 0:
                os.link(f"/proc/self/fd/{host_fd}", name, dst_dir_fd=dir_fd)
            else:
                os.link(f"self/fd/{host_fd}", name, src_dir_fd=self.fd, dst_dir_fd=dir_fd)
        except OSError as error:
            raise SysError(error.errno or 5) from None


PROC: Final = ProcDirectory()
"""`PROC.fd` is set by the boot code to its procfs descriptor before confinement."""


def ready_now(host_fd: int, events: int) -> int:
    """Return which of the poll(2) `events` hold for a descriptor, without waiting."""
    poller = select.poll()
    poller.register(host_fd, events)
    found = poller.poll(0)
    return found[0][1] if found else 0


def wait_ready(host_fd: int, events: int, timeout_ms: int) -> bool:
    """Wait until a descriptor has one of `events`; return whether it did in time."""
    poller = select.poll()
    poller.register(host_fd, events)
    return bool(poller.poll(timeout_ms))


def terminal_ioctl(host_fd: int, request: int, data: bytes) -> bytes:
    """Do an ioctl(2) of a host terminal with a small structure; return it as changed."""
    try:
        changed: bytes = fcntl.ioctl(host_fd, request, data)
    except OSError as error:
        raise SysError(error.errno or 5) from None
    return changed
