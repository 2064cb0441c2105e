"""Open directories: a list of entries taken when reading starts (getdents64(2))."""

from struct import Struct
from typing import Final

from sentry.abi.errno import EINVAL, EISDIR, ENOENT
from sentry.abi.stat import S_IFDIR
from sentry.errors import SysError
from sentry.mm.io import Sink, Source
from sentry.vfs.file import File
from sentry.vfs.inode import DirectoryEntry, Inode
from sentry.vfs.mount import VfsPath

_HEAD: Final = Struct("<QqHB")
_NAME_AT: Final = 19  # offsetof(struct linux_dirent64, d_name)


class DirectoryFile(File):
    """An open directory of any file system whose inodes have `entries`.

    The entries are taken at the first read and after a rewind; the offset is
    an index into them, so telldir(3) and seekdir(3) work.
    """

    def __init__(self, inode: Inode, place: VfsPath, flags: int) -> None:
        super().__init__(flags, inode)
        self.path = place
        self._inode = inode
        self._offset = 0
        self._entries: list[DirectoryEntry] | None = None

    def is_pollable(self) -> bool:
        return False

    def try_read(self, sink: Sink) -> int | None:
        raise SysError(EISDIR)

    def try_pread(self, sink: Sink, offset: int) -> int | None:
        raise SysError(EISDIR)

    def try_write(self, source: Source) -> int | None:
        raise SysError(EISDIR)

    def sync(self, *, data_only: bool) -> None:
        return

    def seek(self, offset: int, whence: int) -> int:
        if whence == 1:
            offset += self._offset
        elif whence != 0:
            raise SysError(EINVAL)
        if offset < 0:
            raise SysError(EINVAL)
        if offset == 0:
            self._entries = None
        self._offset = offset
        return offset

    def _list(self) -> list[DirectoryEntry]:
        """Return `.`, `..` and the entries, as of when reading started."""
        entries = self._entries
        if entries is None:
            place = self.path
            assert place is not None
            ino = self._inode.key()[1]
            entries = [
                DirectoryEntry(b".", ino, S_IFDIR),
                DirectoryEntry(b"..", _parent_ino(place, ino), S_IFDIR),
            ]
            entries += self._inode.entries()
            known = {entry.name for entry in entries} if place.dentry.synthetic else set()
            for name, dentry in place.dentry.synthetic.items():
                if name not in known and dentry.inode is not None:
                    entries.append(DirectoryEntry(name, dentry.inode.key()[1], dentry.kind))
            self._entries = entries
        return entries

    def try_getdents(self, sink: Sink) -> int:
        if self.path is not None and self.path.dentry.is_unlinked:
            raise SysError(ENOENT)
        entries = self._list()
        index = self._offset
        room = sink.room
        parts: list[bytes] = []
        size = 0
        while index < len(entries):
            entry = entries[index]
            name = entry.name
            record = (_NAME_AT + len(name) + 8) & ~7
            if size + record > room:
                if size == 0:
                    raise SysError(EINVAL)
                break
            index += 1
            head = _HEAD.pack(entry.ino, index, record, entry.kind >> 12)
            parts.append(head + name + bytes(record - _NAME_AT - len(name)))
            size += record
        if size:
            sink.put(b"".join(parts))
            self._offset = index
        return size


def _parent_ino(place: VfsPath, own: int) -> int:
    """Return the inode number for `..`, which may lie in another mount."""
    mount = place.mount
    dentry = place.dentry
    while dentry is mount.root and mount.parent is not None and mount.mountpoint is not None:
        dentry = mount.mountpoint
        mount = mount.parent
    parent = dentry.parent
    if parent is None or parent.inode is None:
        return own
    return parent.inode.key()[1]
