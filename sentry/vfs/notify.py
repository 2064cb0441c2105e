"""Who watches files and directories for what happens to them (inotify(7)).

Whoever does something to a file tells `WATCHES` of it, in Linux's order
(linux/fsnotify.h).  As long as nobody watches, `is_active` is False, and to
look at that is all it costs.
"""

from typing import Final

from mypy_extensions import mypyc_attr

from sentry.abi.inotify import (
    IN_ACCESS,
    IN_ATTRIB,
    IN_CLOSE_NOWRITE,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_ISDIR,
    IN_MODIFY,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    IN_OPEN,
)
from sentry.abi.stat import S_IFDIR
from sentry.vfs.file import CLOSING, O_PATH, File, FileWatcher
from sentry.vfs.inode import KEEP_TIME, AttributeChange, Inode
from sentry.vfs.mount import Dentry, VfsPath

InodeKey = tuple[int, int]
"""What `Inode.key` returns."""


@mypyc_attr(allow_interpreted_subclasses=True)
class WatchGroup:
    """Somebody who is told of events: an inotify instance."""

    def on_event(self, watch: "Watch", mask: int, cookie: int, name: bytes) -> None:
        """Called when something happened; `name` is empty for the watched object itself."""

    def on_removed(self, watch: "Watch") -> None:
        """Called when a watch is no more."""


class Watch:
    """One group's interest in one inode."""

    def __init__(self, group: WatchGroup, number: int, inode: Inode, mask: int) -> None:
        self.group = group
        self.number = number
        self.key: InodeKey = inode.key()
        self.mask = mask  # of events only
        self.is_once = False  # IN_ONESHOT
        self.skips_unlinked = False  # IN_EXCL_UNLINK


@mypyc_attr(allow_interpreted_subclasses=True)
class OpenFiles:
    """Knows which inodes somebody has open or mapped; the kernel registers its own."""

    def is_open(self, key: InodeKey) -> bool:
        """Return whether somebody has the inode open or mapped."""
        return False


class WatchTable(FileWatcher):
    """All watches there are, by inode."""

    def __init__(self) -> None:
        self.is_active = False
        self.open_files = OpenFiles()
        self._watches: dict[InodeKey, list[Watch]] = {}
        self._doomed: list[InodeKey] = []  # watched, without a name, but open
        self._cookie = 0

    def add(self, watch: Watch) -> None:
        """Begin to tell a group."""
        self._watches.setdefault(watch.key, []).append(watch)
        self.is_active = True
        CLOSING.watcher = self

    def remove(self, watch: Watch) -> None:
        """End it, and tell the group that it has ended."""
        watches = self._watches.get(watch.key)
        if watches is None or watch not in watches:
            return
        watches.remove(watch)
        if not watches:
            del self._watches[watch.key]
            if not self._watches:
                self.is_active = False
                CLOSING.watcher = None
        watch.group.on_removed(watch)

    def is_watched(self, inode: Inode) -> bool:
        """Return whether somebody watches an inode."""
        return inode.key() in self._watches

    def _tell(
        self, inode: Inode, mask: int, name: bytes, cookie: int = 0, *, is_gone: bool = False
    ) -> None:
        watches = self._watches.get(inode.key())
        if watches is None:
            return
        for watch in list(watches):
            if watch.mask & mask and not (is_gone and watch.skips_unlinked):
                watch.group.on_event(watch, mask, cookie, name)
                if watch.is_once:
                    self.remove(watch)

    def tell_dentry(self, dentry: Dentry, mask: int, *, is_gone: bool = False) -> None:
        """Tell of something done to what a dentry names: who watches its directory, then it."""
        inode = dentry.inode
        if inode is None:
            return
        if dentry.kind == S_IFDIR:
            mask |= IN_ISDIR
        parent = dentry.parent
        if parent is not None and parent.inode is not None:
            self._tell(parent.inode, mask, dentry.name, is_gone=is_gone)
        self._tell(inode, mask, b"")

    # Open files.

    def _tell_file(self, file: File, mask: int) -> None:
        place = file.path
        if place is not None and not file.flags & O_PATH:
            self.tell_dentry(place.dentry, mask, is_gone=place.dentry.is_unlinked)

    def opened(self, file: File) -> None:
        """A file was opened."""
        self._tell_file(file, IN_OPEN)

    def accessed(self, file: File) -> None:
        """Something was read of a file."""
        self._tell_file(file, IN_ACCESS)

    def modified(self, file: File) -> None:
        """Something was written to a file."""
        self._tell_file(file, IN_MODIFY)

    def closed(self, file: File) -> None:
        """Nobody has an open file any more."""
        self._tell_file(file, IN_CLOSE_WRITE if file.can_write() else IN_CLOSE_NOWRITE)
        for key in list(self._doomed):
            self._end(key)

    # Attributes.

    def changed(self, place: VfsPath | None, change: AttributeChange) -> None:
        """Attributes were changed (fsnotify_change)."""
        mask = 0
        if change.mode >= 0 or change.uid >= 0 or change.gid >= 0:
            mask |= IN_ATTRIB
        if change.size >= 0:
            mask |= IN_MODIFY
        has_atime, has_mtime = change.atime_ns != KEEP_TIME, change.mtime_ns != KEEP_TIME
        if has_atime and has_mtime:
            mask |= IN_ATTRIB
        elif has_atime:
            mask |= IN_ACCESS
        elif has_mtime:
            mask |= IN_MODIFY
        if place is not None and mask:
            self.tell_dentry(place.dentry, mask)

    # Names.

    def created(self, parent: Inode, dentry: Dentry) -> None:
        """A name was made in a directory."""
        self._tell_name(parent, IN_CREATE, dentry)

    def linked(self, parent: Inode, name: bytes, inode: Inode) -> None:
        """Another name was made for an inode."""
        self._tell(inode, IN_ATTRIB, b"")
        self._tell(parent, IN_CREATE, name)

    def links_of(self, inode: Inode | None) -> int:
        """Return how many names a watched inode has, -1 if nobody watches it; ask in advance."""
        if inode is None or not self.is_watched(inode):
            return -1
        return inode.attributes().nlink

    def unlinked(self, parent: Inode, dentry: Dentry, links: int) -> None:
        """A name was removed; `links` is what `links_of` had said."""
        inode = dentry.inode
        is_directory = dentry.kind == S_IFDIR
        if inode is not None and not is_directory:
            self._tell(inode, IN_ATTRIB, b"")
        if inode is not None and (links == 1 or (links >= 0 and is_directory)):
            self._doom(inode)
        self._tell_name(parent, IN_DELETE, dentry)

    def moved(self, old_parent: Inode, old_name: bytes, new_parent: Inode, dentry: Dentry) -> None:
        """A name was moved: `dentry` has the new one already."""
        self._cookie = self._cookie % 0xFFFF_FFFF + 1
        flag = IN_ISDIR if dentry.kind == S_IFDIR else 0
        self._tell(old_parent, IN_MOVED_FROM | flag, old_name, self._cookie)
        self._tell(new_parent, IN_MOVED_TO | flag, dentry.name, self._cookie)

    def replaced(self, inode: Inode, links: int, *, is_directory: bool) -> None:
        """Another object has taken the name of an inode."""
        self._tell(inode, IN_ATTRIB | (IN_ISDIR if is_directory else 0), b"")
        if links == 1 or (links >= 0 and is_directory):
            self._doom(inode)

    def moved_self(self, dentry: Dentry) -> None:
        """An object has another name now."""
        if dentry.inode is not None:
            self._tell(dentry.inode, IN_MOVE_SELF, b"")

    def _tell_name(self, parent: Inode, mask: int, dentry: Dentry) -> None:
        self._tell(parent, mask | (IN_ISDIR if dentry.kind == S_IFDIR else 0), dentry.name)

    # The end of an inode.

    def _doom(self, inode: Inode) -> None:
        """The last name is gone: watches end when nobody has the inode open any more."""
        key = inode.key()
        if key in self._watches:
            self._doomed.append(key)
            self._end(key)

    def _end(self, key: InodeKey) -> None:
        if self.open_files.is_open(key):
            return
        self._doomed.remove(key)
        for watch in list(self._watches.get(key, ())):
            if watch.mask & IN_DELETE_SELF:
                watch.group.on_event(watch, IN_DELETE_SELF, 0, b"")
            self.remove(watch)


WATCHES: Final = WatchTable()
