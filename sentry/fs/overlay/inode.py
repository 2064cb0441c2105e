"""Inodes of a merged tree (overlayfs.rst of Linux): what the VFS holds of a node.

Nothing is ever changed in a lower layer.  What is to be changed is copied to
the upper layer first; what is removed and exists below is covered there by a
whiteout, a character device 0:0; a new directory over one below is marked
opaque.
"""

from sentry.abi.errno import EEXIST, EINVAL, ENOENT, ENOTEMPTY, EOPNOTSUPP, EPERM, EXDEV
from sentry.abi.fcntl import O_ACCMODE, O_RDONLY
from sentry.abi.stat import S_IFCHR, S_IFDIR, S_IFMT, S_IFREG
from sentry.errors import SysError
from sentry.fs.overlay.file import OverlayFile
from sentry.fs.overlay.node import Node, node_of
from sentry.fs.overlay.tree import is_directory, is_whiteout
from sentry.vfs.creds import Credentials
from sentry.vfs.directory import DirectoryFile
from sentry.vfs.file import File
from sentry.vfs.inode import AttributeChange, Attributes, DirectoryEntry, Inode
from sentry.vfs.mount import VfsPath
from sentry.vfs.special import REGISTRY


class OverlayInode(Inode):
    """One hold on a node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        node.holders += 1

    def __del__(self) -> None:
        self.node.let_go()

    # Attributes.

    def attributes(self) -> Attributes:
        node = self.node
        return node.adjust(node.top().attributes())

    def mode(self) -> int:
        return self.node.top().mode()

    def permissions(self) -> tuple[int, int, int]:
        return self.node.top().permissions()

    def key(self) -> tuple[int, int]:
        return self.node.shown

    def is_same(self, other: Inode) -> bool:
        return isinstance(other, OverlayInode) and other.node is self.node

    def set_attributes(self, change: AttributeChange) -> None:
        node = self.node
        upper = node.copied_up(change.size) if change.size >= 0 else node.copied_up()
        upper.set_attributes(change)

    def before_truncation(self) -> None:
        self.node.copied_up(0)

    # Opening.

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        node = self.node
        if node.kind == S_IFDIR:
            return DirectoryFile(self, path, flags)
        if node.kind != S_IFREG:
            return REGISTRY.open(self, path, flags, creds)
        if flags & O_ACCMODE != O_RDONLY:
            node.copied_up()
        return OverlayFile(self, node, path, flags)

    def readlink(self) -> bytes:
        return self.node.top().readlink()

    # Directories.

    def entries(self) -> list[DirectoryEntry]:
        return self.node.entries()

    def lookup(self, name: bytes) -> Inode | None:
        node = self.node.child(name)
        return None if node is None else OverlayInode(node)

    # New names: the VFS has looked them up, so there is nothing of that name below but a whiteout.

    def create(self, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        upper, covered = self._make_room(name)
        try:
            made = upper.create(name, mode, uid, gid)
        except SysError:
            self._cover_again(upper, name, covered=covered)
            raise
        return OverlayInode(node_of(self.node, name, made, []))

    def create_unnamed(self, mode: int, uid: int, gid: int, *, linkable: bool) -> Inode:
        made = self.node.copied_up().create_unnamed(mode, uid, gid, linkable=linkable)
        return OverlayInode(node_of(self.node, b"", made, []))

    def mkdir(self, name: bytes, mode: int, uid: int, gid: int) -> Inode:
        upper, covered = self._make_room(name)
        try:
            made = upper.mkdir(name, mode, uid, gid)
            if self.node.lowers:
                self._make_opaque(upper, name, made)
        except SysError:
            self._cover_again(upper, name, covered=covered)
            raise
        return OverlayInode(node_of(self.node, name, made, []))

    def _make_opaque(self, upper: Inode, name: bytes, made: Inode) -> None:
        try:
            self.node.tree.make_opaque(made)
        except SysError:
            upper.rmdir(name, made)
            raise

    def mknod(self, name: bytes, mode: int, rdev: int, uid: int, gid: int) -> Inode:
        if mode & S_IFMT == S_IFCHR and rdev == 0:
            raise SysError(EPERM)  # it would be a whiteout
        upper, covered = self._make_room(name)
        try:
            made = upper.mknod(name, mode, rdev, uid, gid)
        except SysError:
            self._cover_again(upper, name, covered=covered)
            raise
        return OverlayInode(node_of(self.node, name, made, []))

    def symlink(self, name: bytes, target: bytes, uid: int, gid: int) -> Inode:
        upper, covered = self._make_room(name)
        try:
            made = upper.symlink(name, target, uid, gid)
        except SysError:
            self._cover_again(upper, name, covered=covered)
            raise
        return OverlayInode(node_of(self.node, name, made, []))

    def link(self, name: bytes, inode: Inode) -> None:
        if not isinstance(inode, OverlayInode):
            raise SysError(EXDEV)
        source = inode.node.copied_up()
        upper, covered = self._make_room(name)
        try:
            upper.link(name, source)
        except SysError:
            self._cover_again(upper, name, covered=covered)
            raise

    def _make_room(self, name: bytes) -> tuple[Inode, bool]:
        """Return the upper directory for a new name, and whether a whiteout made room for it."""
        upper = self.node.copied_up()
        found = upper.lookup(name)
        if found is None:
            return upper, False
        if not is_whiteout(found):
            raise SysError(EEXIST)
        upper.unlink(name, found)
        return upper, True

    def _cover_again(self, upper: Inode, name: bytes, *, covered: bool) -> None:
        """Put the whiteout back that made room for what could not be made."""
        if covered:
            upper.mknod(name, S_IFCHR, 0, 0, 0)

    # Removing.

    def unlink(self, name: bytes, inode: Inode) -> None:
        node = self.node
        child = self._child(inode)
        needs_whiteout = node.covers(name)
        upper = node.copied_up()
        if needs_whiteout:
            node.tree.put_whiteout(upper, name)
            if child.upper is not None:
                child.upper.replaced()
        elif child.upper is not None:
            upper.unlink(name, child.upper)
        self._is_removed(child)

    def rmdir(self, name: bytes, inode: Inode) -> None:
        node = self.node
        child = self._child(inode)
        if child.entries():
            raise SysError(ENOTEMPTY)
        needs_whiteout = node.covers(name)
        upper = node.copied_up()
        prepared = node.tree.prepare_whiteout() if needs_whiteout else b""
        try:
            if child.upper is not None:
                _clear(child.upper)
                upper.rmdir(name, child.upper)
        except SysError:
            if prepared:
                node.tree.drop_prepared(prepared)
            raise
        if prepared:
            node.tree.place_whiteout(prepared, upper, name)
        self._is_removed(child)

    def _child(self, inode: Inode) -> Node:
        if not isinstance(inode, OverlayInode):
            raise SysError(EINVAL)
        return inode.node

    def _is_removed(self, child: Node) -> None:
        child.tree.forget(child)
        if child.upper is None:
            child.is_gone = True

    def rename(self, name: bytes, new_parent: Inode, new_name: bytes, flags: int) -> None:
        if not isinstance(new_parent, OverlayInode) or flags & ~1:
            raise SysError(EINVAL)
        node = self.node
        child = node.child(name)
        if child is None:
            raise SysError(ENOENT)
        if child.kind == S_IFDIR and child.lowers:
            raise SysError(EXDEV)  # redirect_dir=off: the caller copies it
        replaced = new_parent.node.child(new_name)
        if replaced is not None and replaced.kind == S_IFDIR and replaced.entries():
            raise SysError(ENOTEMPTY)
        moved = child.copied_up()
        source = node.copied_up()
        target = new_parent.node.copied_up()
        if child.kind == S_IFDIR and new_parent.node.lowers:
            node.tree.make_opaque(moved)
        prepared = node.tree.prepare_whiteout() if node.covers(name) else b""
        try:
            _move(source, name, target, new_name, is_dir=child.kind == S_IFDIR)
        except SysError:
            if prepared:
                node.tree.drop_prepared(prepared)
            raise
        moved.moved(target, new_name)
        if prepared:
            node.tree.place_whiteout(prepared, source, name)

    def moved(self, parent: Inode, name: bytes) -> None:
        if isinstance(parent, OverlayInode):
            self.node.move_to(parent.node, name)

    def replaced(self) -> None:
        self._is_removed(self.node)

    # Extended attributes.

    def getxattr(self, name: bytes) -> bytes:
        if self.node.tree.is_private(name):
            raise SysError(EOPNOTSUPP)
        return self.node.top().getxattr(name)

    def setxattr(self, name: bytes, value: bytes, flags: int) -> None:
        if self.node.tree.is_private(name):
            raise SysError(EOPNOTSUPP)
        self.node.copied_up().setxattr(name, value, flags)

    def listxattr(self) -> list[bytes]:
        tree = self.node.tree
        return [name for name in self.node.top().listxattr() if not tree.is_private(name)]

    def removexattr(self, name: bytes) -> None:
        if self.node.tree.is_private(name):
            raise SysError(EOPNOTSUPP)
        self.node.top().getxattr(name)  # ENODATA without a copy-up
        self.node.copied_up().removexattr(name)


def _clear(directory: Inode) -> None:
    """Remove the whiteouts of an upper directory that is empty in the merged tree."""
    for entry in directory.entries():
        whiteout = directory.lookup(entry.name)
        if whiteout is not None:
            directory.unlink(entry.name, whiteout)


def _move(source: Inode, name: bytes, target: Inode, new_name: bytes, *, is_dir: bool) -> None:
    """Rename in the upper layer, over a whiteout or an empty directory of whiteouts too."""
    replaced = target.lookup(new_name)
    covered = False
    if replaced is not None and is_dir:
        if is_directory(replaced):
            _clear(replaced)
        elif is_whiteout(replaced):
            target.unlink(new_name, replaced)
            covered = True
    try:
        source.rename(name, target, new_name, 0)
    except SysError:
        if covered:
            target.mknod(new_name, S_IFCHR, 0, 0, 0)
        raise
    if replaced is not None and not covered:
        replaced.replaced()
