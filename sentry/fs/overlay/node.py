"""The objects of a merged tree: where each is in the layers, and how it gets to the upper one."""

from typing import TYPE_CHECKING, Final

from sentry.abi.errno import ENOENT, EROFS
from sentry.abi.stat import S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG
from sentry.errors import SysError
from sentry.fs.overlay.copying import copy_attributes, copy_contents, set_times
from sentry.fs.overlay.tree import OverlayTree, Slot, is_directory, is_whiteout
from sentry.vfs.inode import Attributes, DirectoryEntry, Inode

if TYPE_CHECKING:
    from sentry.fs.overlay.file import OverlayFile

WHOLE: Final = 1 << 63  # bytes to copy: all there are


class Node:
    """One object: its inode in the upper layer, if it is there, and those in the lower ones.

    A directory may be in several layers, topmost first; anything else is in
    one, and after a copy-up in the upper one only.
    """

    def __init__(
        self,
        tree: OverlayTree,
        parent: "Node | None",
        name: bytes,
        upper: Inode | None,
        lowers: list[Inode],
    ) -> None:
        self.tree = tree
        self.parent = parent
        self.name = name
        self.upper = upper
        self.lowers = lowers
        self.serial = tree.next_serial()
        top = lowers[0] if upper is None else upper
        self.kind = top.mode() & S_IFMT
        self.is_gone = False  # its name was removed before it had an inode in the upper layer
        self.holders = 0  # inodes and children
        self.files: list[OverlayFile] = []
        self.slot: Slot = _slot(parent, name, upper, lowers)
        # st_dev and st_ino: those of the lower object, also after it was copied up.
        if upper is None:
            device, ino = top.key()
            self.shown = tree.shown(device, ino)
        else:
            self.shown = tree.shown_upper(upper)
        if parent is not None:
            parent.holders += 1
        tree.add(self)

    def enter(self) -> None:
        """Be found by lookups, after layers or name have changed."""
        self.slot = _slot(self.parent, self.name, self.upper, self.lowers)
        self.tree.add(self)

    def move_to(self, parent: "Node", name: bytes) -> None:
        """Have another name from now on."""
        self.tree.forget(self)
        old = self.parent
        parent.holders += 1
        self.parent = parent
        self.name = name
        self.enter()
        if old is not None:
            old.let_go()

    def top(self) -> Inode:
        """Return the inode that has the attributes and contents."""
        upper = self.upper
        return self.lowers[0] if upper is None else upper

    def let_go(self) -> None:
        """Count one holder less; what nobody holds is forgotten, and so perhaps its parents."""
        at: Node | None = self
        while at is not None:
            at.holders -= 1
            if at.holders > 0:
                return
            at.tree.forget(at)
            at = at.parent

    def is_merged(self) -> bool:
        """Return whether it is a directory made of several."""
        return self.kind == S_IFDIR and len(self.lowers) + (self.upper is not None) > 1

    def adjust(self, found: Attributes) -> Attributes:
        """Make what a layer tells of the object what the overlay tells."""
        found.dev, found.ino = self.shown
        if self.is_gone and found.nlink:
            found.nlink -= 1
        elif self.is_merged():
            found.nlink = 1  # as Linux: nobody counts the subdirectories of all layers
        return found

    # Children.

    def child(self, name: bytes) -> "Node | None":
        """Return the child of a directory, None if there is none."""
        upper: Inode | None = None
        if self.upper is not None:
            upper = self.upper.lookup(name)
        lowers: list[Inode] = []
        if upper is None:
            if not self.lowers:
                return None
            lowers = self.lower_children(name, only_directories=False)
            if not lowers:
                return None
        elif is_directory(upper):
            if self.lowers and not self.tree.is_opaque(upper):
                lowers = self.lower_children(name, only_directories=True)
        elif is_whiteout(upper):
            return None
        return node_of(self, name, upper, lowers)

    def lower_children(self, name: bytes, *, only_directories: bool) -> list[Inode]:
        """Return what the lower layers have under a name: one file, or directories to merge."""
        found: list[Inode] = []
        last = len(self.lowers) - 1
        for index, lower in enumerate(self.lowers):
            inode = lower.lookup(name)
            if inode is None:
                continue
            if not is_directory(inode):
                if not found and not only_directories and not is_whiteout(inode):
                    found.append(inode)
                break
            found.append(inode)
            if index < last and self.tree.is_opaque(inode):
                break
        return found

    def entries(self) -> list[DirectoryEntry]:
        """Return the merged entries: those of the upper layer first."""
        tree = self.tree
        seen: set[bytes] = set()
        merged: list[DirectoryEntry] = []
        upper = self.upper
        if upper is not None:
            for entry in upper.entries():
                seen.add(entry.name)
                inode = upper.lookup(entry.name)
                if inode is not None and not is_whiteout(inode):
                    kind = inode.mode() & S_IFMT
                    merged.append(DirectoryEntry(entry.name, tree.shown_upper(inode)[1], kind))
        for lower in self.lowers:
            device = lower.key()[0]
            for entry in lower.entries():
                if entry.name in seen:
                    continue
                seen.add(entry.name)
                if entry.kind in (S_IFCHR, 0):
                    inode = lower.lookup(entry.name)
                    if inode is None or is_whiteout(inode):
                        continue
                ino = tree.shown(device, entry.ino)[1]
                merged.append(DirectoryEntry(entry.name, ino, entry.kind))
        return merged

    def covers(self, name: bytes) -> bool:
        """Return whether a whiteout is needed where `name` is removed from this directory."""
        return bool(self.lowers) and bool(self.lower_children(name, only_directories=False))

    # Copy-up.

    def copied_up(self, size: int = WHOLE) -> Inode:
        """Return the inode in the upper layer; it is copied there now, if it was not.

        At most `size` bytes of a file's contents are copied.
        """
        if self.upper is not None:
            return self.upper
        if self.tree.work is None:
            raise SysError(EROFS)
        chain: list[Node] = []
        at: Node | None = self
        while at is not None and at.upper is None:
            chain.append(at)
            at = at.parent
        for node in reversed(chain):
            if node.is_gone:
                node.copy_up_unnamed(size)
            else:
                node.copy_up_one(size if node is self else WHOLE)
        upper = self.layer_above()
        assert upper is not None
        return upper

    def layer_above(self) -> Inode | None:
        """Return `upper`, asked anew."""
        return self.upper

    def copy_up_one(self, size: int) -> None:
        """Copy the object to the upper layer, where its directory is already."""
        parent = self.parent
        assert parent is not None
        directory = parent.upper
        assert directory is not None
        before = directory.attributes()
        upper = self._copy_to(directory, self.name, size)
        set_times(directory, before.atime_ns, before.mtime_ns)
        self._move_up(upper)

    def copy_up_unnamed(self, size: int) -> None:
        """Copy a file whose name is gone, for those who have it open."""
        work = self.tree.work
        if work is None or not self.files or self.kind != S_IFREG:
            raise SysError(ENOENT)
        name = self.tree.work_name()
        upper = self._copy_to(work, name, size)
        self._move_up(upper)
        work.unlink(name, upper)
        self.is_gone = False  # the link count is the upper inode's own now: 0

    def _move_up(self, upper: Inode) -> None:
        """Be the upper object from now on, for open files too."""
        tree = self.tree
        tree.forget(self)
        self.upper = upper
        if self.kind != S_IFDIR:
            self.lowers = []
        self.shown = tree.shown_upper(upper)
        self.enter()
        for file in list(self.files):
            file.reopen(upper)

    def _copy_to(self, directory: Inode, name: bytes, size: int) -> Inode:
        """Make a copy of the topmost lower object in a directory of the upper layer."""
        lower = self.lowers[0]
        found = lower.attributes()
        mode, uid, gid = found.mode & 0o7777, found.uid, found.gid
        if self.kind == S_IFDIR:
            made = directory.mkdir(name, mode, uid, gid)
        elif self.kind == S_IFLNK:
            made = directory.symlink(name, lower.readlink(), uid, gid)
        elif self.kind == S_IFREG:
            made = directory.create(name, mode, uid, gid)
        else:
            made = directory.mknod(name, found.mode, found.rdev, uid, gid)
        try:
            if self.kind == S_IFREG:
                copy_contents(lower, made, min(size, found.size))
            if self.kind == S_IFDIR or found.nlink < 2:
                # The names of a lower file part: each gets an object, and a number, of its own.
                self.tree.note_origin(made, lower)
            copy_attributes(lower, made, found, self.tree.prefix)
        except SysError:
            if self.kind == S_IFDIR:
                directory.rmdir(name, made)
            else:
                directory.unlink(name, made)
            raise
        return made


def node_of(parent: Node, name: bytes, upper: Inode | None, lowers: list[Inode]) -> Node:
    """Return the node for what a lookup found: the one in use, or a new one."""
    tree = parent.tree
    node = tree.find(_slot(parent, name, upper, lowers))
    if node is not None and node.kind == (lowers[0] if upper is None else upper).mode() & S_IFMT:
        _refresh(node, lowers)
        return node
    return Node(tree, parent, name, upper, lowers)


def _refresh(node: Node, lowers: list[Inode]) -> None:
    """Take over what a lower layer that changes by itself tells now."""
    if len(lowers) != len(node.lowers):
        node.lowers = lowers
        return
    for index, lower in enumerate(lowers):
        if not node.lowers[index].is_same(lower):
            node.lowers[index] = lower


def _slot(parent: Node | None, name: bytes, upper: Inode | None, lowers: list[Inode]) -> Slot:
    top = lowers[0] if upper is None else upper
    device, ino = top.key()
    if parent is None or is_directory(top):
        return device, ino, 0, b""
    return device, ino, parent.serial, name
