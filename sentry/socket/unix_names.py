"""Names of unix sockets: paths, abstract names, automatic ones (unix(7))."""

from typing import TYPE_CHECKING, Final

from sentry.abi import socket as abi
from sentry.abi.errno import EADDRINUSE, ECONNREFUSED, EEXIST, EINVAL, ENOENT, EROFS
from sentry.abi.fcntl import AT_FDCWD
from sentry.abi.stat import S_IFMT, S_IFSOCK
from sentry.errors import SysError
from sentry.kernel.lookup import walker_at
from sentry.kernel.task import Task
from sentry.vfs.notify import WATCHES
from sentry.vfs.permission import MAY_EXEC, MAY_WRITE, check, new_owner

if TYPE_CHECKING:
    from sentry.socket.unix import UnixSocket


class NameTable:
    """Which socket has which name."""

    def __init__(self) -> None:
        self.abstract: dict[bytes, UnixSocket] = {}
        self.bound: dict[tuple[int, int], UnixSocket] = {}  # by the inode of the path
        self._last_automatic = 0

    def automatic(self) -> bytes:
        """Return a free abstract name as bind(2) with only a family gives it."""
        for _ in range(0x100000):
            self._last_automatic = (self._last_automatic + 1) & 0xFFFFF
            name = b"\0%05x" % self._last_automatic
            if name not in self.abstract:
                return name
        raise SysError(EADDRINUSE)

    def forget(self, socket: "UnixSocket") -> None:
        """Called when a named socket is closed; a path stays behind."""
        if socket.bound_name[:1] == b"\0":
            self.abstract.pop(socket.bound_name, None)
        elif socket.inode_key is not None:
            self.bound.pop(socket.inode_key, None)


NAMES: Final = NameTable()


def name_of(address: bytes) -> bytes:
    """Return the name in a struct sockaddr_un: b"" unnamed; SysError(EINVAL) if malformed."""
    if not 2 <= len(address) <= abi.SOCKADDR_UN_SIZE or abi.family_of(address) != abi.AF_UNIX:
        raise SysError(EINVAL)
    name = address[2:]
    if not name or name[0] == 0:
        return name
    return name.split(b"\0", 1)[0]


def make_path(task: Task, path: bytes) -> tuple[int, int]:
    """Make the socket inode that bind(2) makes; return its identity."""
    walker = walker_at(task, AT_FDCWD, path)
    walker.walk_parent(path)
    if walker.last in (b"", b".", b".."):
        raise SysError(EADDRINUSE)
    dentry = walker.child(walker.last)
    if dentry.inode is not None:
        raise SysError(EADDRINUSE)
    parent = walker.inode()
    if walker.dentry.is_unlinked:
        raise SysError(ENOENT)
    if walker.mount.is_read_only():
        raise SysError(EROFS)
    check(task.creds, parent, MAY_WRITE | MAY_EXEC)
    mode, uid, gid = new_owner(task.creds, parent, S_IFSOCK | 0o777 & ~task.fs.umask)
    try:
        made = parent.mknod(dentry.name, mode, 0, uid, gid)
    except SysError as error:
        raise SysError(EADDRINUSE if error.errno == EEXIST else error.errno) from None
    dentry.fill(made)
    if WATCHES.is_active:
        WATCHES.created(parent, dentry)
    found = made.attributes()
    return found.dev, found.ino


def find(task: Task, name: bytes) -> "UnixSocket":
    """Return the socket of that name; SysError(ECONNREFUSED or ENOENT) if there is none."""
    if name[:1] == b"\0":
        socket = NAMES.abstract.get(name)
    else:
        walker = walker_at(task, AT_FDCWD, name)
        walker.walk(name, follow=True)
        inode = walker.place().dentry.inode
        if inode is None:
            raise SysError(ENOENT)
        check(task.creds, inode, MAY_WRITE)
        if inode.mode() & S_IFMT != S_IFSOCK:
            raise SysError(ECONNREFUSED)
        found = inode.attributes()
        socket = NAMES.bound.get((found.dev, found.ino))
    if socket is None:
        raise SysError(ECONNREFUSED)
    return socket
