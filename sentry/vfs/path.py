"""Path resolution (path_resolution(7)), and the way back from a place to its path.

A `Walker` goes from dentry to dentry.  Where the file system is exclusive, a
name that was seen before costs one dict lookup; other file systems are asked
for every name.
"""

from typing import Final

from sentry.abi.errno import (
    EAGAIN,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOTDIR,
    EXDEV,
)
from sentry.abi.fcntl import (
    RESOLVE_BENEATH,
    RESOLVE_CACHED,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
)
from sentry.abi.limits import NAME_MAX
from sentry.abi.stat import S_IFDIR, S_IFLNK
from sentry.errors import SysError
from sentry.vfs.creds import Credentials
from sentry.vfs.inode import Inode
from sentry.vfs.mount import Dentry, FsContext, Mount, VfsPath
from sentry.vfs.permission import MAY_EXEC, check, searches_everywhere

MAX_SYMLINKS: Final = 40  # MAXSYMLINKS, linux/namei.h
CACHE_LIMIT: Final = 20_000  # dentries that a walk may leave behind, in all file systems


class DentryCache:
    """Counts the dentries that walks have made, and says when they are to be pruned."""

    def __init__(self) -> None:
        self.count = 0
        self.roots: list[Dentry] = []

    def note(self, dentry: Dentry) -> None:
        """Count a dentry that was added to its parent's children."""
        self.count += 1

    def add_root(self, root: Dentry) -> None:
        """Note the root of a file system whose dentries can be pruned."""
        if root not in self.roots:
            self.roots.append(root)

    def remove_root(self, root: Dentry) -> None:
        """Forget a file system that is mounted nowhere any more."""
        if root in self.roots:
            self.roots.remove(root)

    def prune(self) -> None:
        """Forget all dentries but those on the way to a mount point."""
        self.count = 0
        for root in self.roots:
            self._prune_below(root)

    def _prune_below(self, top: Dentry) -> None:
        """Go through the tree without recursion: a guest decides how deep it is."""
        order = [top]
        for dentry in order:
            order.extend(dentry.children.values())
        for dentry in reversed(order):
            parent = dentry.parent
            if (
                parent is None
                or dentry.mounts
                or dentry.children
                or dentry.name in parent.synthetic
            ):
                if dentry is not top:
                    self.count += 1
                continue
            if parent.children.get(dentry.name) is dentry:
                del parent.children[dentry.name]
                dentry.is_pruned = True


CACHE: Final = DentryCache()


class Walker:
    """One resolution; `mount` and `dentry` are where it stands.

    The rest are its results: `is_dir_wanted` (the path ended with a slash, so
    it means a directory), `last` (the name that `walk_parent` left).
    """

    def __init__(self, context: FsContext, creds: Credentials, base: VfsPath | None) -> None:
        self.creds = creds
        self.root = context.root
        start = context.cwd if base is None else base
        self.start = start
        self.mount: Mount = start.mount
        self.dentry: Dentry = start.dentry
        self.resolve = 0  # RESOLVE_ of openat2(2)
        self.is_dir_wanted = False
        self.last = b""
        self._links = 0
        self._free_search = searches_everywhere(creds)

    def place(self) -> VfsPath:
        """Return where the walk stands."""
        return VfsPath(self.mount, self.dentry)

    def inode(self) -> Inode:
        """Return the inode where the walk stands; SysError(ENOENT) if there is none."""
        inode = self.dentry.inode
        if inode is None:
            raise SysError(ENOENT)
        return inode

    # The three ways to walk.

    def walk(self, path: bytes, *, follow: bool) -> None:
        """Go to what `path` names, which exists; `follow` a symbolic link at the end."""
        self.walk_open(path, follow=follow)
        if self.dentry.inode is None:
            raise SysError(ENOENT)

    def walk_open(self, path: bytes, *, follow: bool) -> None:
        """Go to what `path` names; the last name may be missing (a dentry without inode)."""
        if not path:
            raise SysError(ENOENT)
        names = self._begin(path)
        self._go(names, 0, follow=follow)
        if self.is_dir_wanted and self.dentry.kind != S_IFDIR and self.dentry.inode is not None:
            raise SysError(ENOTDIR)

    def walk_parent(self, path: bytes) -> None:
        """Go to the directory of the last name, and leave that in `last` (may be `.`, `..`)."""
        if not path:
            raise SysError(ENOENT)
        names = self._begin(path)
        while names and not names[-1]:
            names.pop()
        if not names:
            self.last = b""  # the path is `/`
            return
        last = names.pop()
        if names:
            self._go(names, 0, follow=True)
            if self.dentry.inode is None:
                raise SysError(ENOENT)
        if self.dentry.kind != S_IFDIR:
            raise SysError(ENOTDIR)
        if len(last) > NAME_MAX:
            raise SysError(ENAMETOOLONG)
        self.last = last
        self.check_search()

    def child(self, name: bytes) -> Dentry:
        """Return the dentry of a name in the directory where the walk stands, existing or not."""
        dentry = self.dentry
        if self.mount.filesystem.is_exclusive and not dentry.is_pruned:
            child = dentry.children.get(name)
            if child is not None:
                return child
        return self._lookup(dentry, name)

    # Steps.

    def _begin(self, path: bytes) -> list[bytes]:
        """Go to where the path starts; return its names."""
        names = path.split(b"/")
        if not names[0] and len(names) > 1:
            if self.resolve & RESOLVE_BENEATH:
                raise SysError(EXDEV)
            self._jump_to_root()
        elif self.start.dentry.kind != S_IFDIR and path:
            raise SysError(ENOTDIR)
        self.is_dir_wanted = not names[-1] or names[-1] == b"." or names[-1] == b".."
        return names

    def _jump_to_root(self) -> None:
        top = self.start if self.resolve & RESOLVE_IN_ROOT else self.root
        if self.resolve & RESOLVE_NO_XDEV and top.mount is not self.mount:
            raise SysError(EXDEV)
        self.mount = top.mount
        self.dentry = top.dentry

    def check_search(self) -> None:
        """SysError(EACCES) unless the directory where the walk stands may be searched."""
        if not self._free_search:
            inode = self.dentry.inode
            if inode is not None:
                check(self.creds, inode, MAY_EXEC)

    def _go(self, names: list[bytes], index: int, *, follow: bool) -> None:
        """Go through the names; symbolic links are put in place of themselves."""
        pending: list[bytes] = names
        count = len(pending)
        while index < count:
            name = pending[index]
            index += 1
            dentry = self.dentry
            if not name or name == b".":
                if dentry.kind != S_IFDIR:
                    raise SysError(ENOENT if dentry.inode is None else ENOTDIR)
                continue
            if dentry.kind != S_IFDIR:
                raise SysError(ENOENT if dentry.inode is None else ENOTDIR)
            if not self._free_search:
                self.check_search()
            if name == b"..":
                self._go_up()
                continue
            child: Dentry | None = None
            if self.mount.filesystem.is_exclusive and not dentry.is_pruned:
                child = dentry.children.get(name)
            if child is None:
                child = self._lookup(dentry, name)
            if child.mounts:
                self._cross(child)
                continue
            if child.kind == S_IFLNK:
                is_last = self._is_end(pending, index)
                if not is_last or follow or self._ends_with_slash(pending, index):
                    rest = self._follow_link(child)
                    if rest is not None:
                        # A link at the very end decides itself whether it means a directory.
                        pending = rest + pending[index:]
                        index = 0
                        count = len(pending)
                        if is_last and not self.is_dir_wanted:
                            self.is_dir_wanted = not rest[-1]
                    continue
            self.dentry = child

    def _is_end(self, names: list[bytes], index: int) -> bool:
        """Return whether nothing but slashes comes from `index` on."""
        while index < len(names):
            if names[index]:
                return False
            index += 1
        return True

    def _ends_with_slash(self, names: list[bytes], index: int) -> bool:
        return index < len(names)

    def _cross(self, child: Dentry) -> None:
        """Stand on `child`, or in what is mounted there."""
        mount = self.mount
        below = mount.children.get(child)
        while below is not None:
            mount = below
            child = below.root
            below = mount.children.get(child)
        if mount is not self.mount and self.resolve & RESOLVE_NO_XDEV:
            raise SysError(EXDEV)
        self.mount = mount
        self.dentry = child

    def _go_up(self) -> None:
        """Do `..`: up to the parent, but never above the root of the process."""
        resolve = self.resolve
        top = self.root
        if resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT):
            top = self.start
        mount = self.mount
        dentry = self.dentry
        while True:
            if dentry is top.dentry and mount is top.mount:
                if resolve & RESOLVE_BENEATH:
                    raise SysError(EXDEV)
                break
            if dentry is not mount.root:
                parent = dentry.parent
                if parent is not None:
                    dentry = parent
                break
            if mount.parent is None or mount.mountpoint is None:
                break
            if resolve & RESOLVE_NO_XDEV:
                raise SysError(EXDEV)
            dentry = mount.mountpoint
            mount = mount.parent
        self.mount = mount
        self.dentry = dentry
        if dentry.mounts:
            self._cross(dentry)

    def _follow_link(self, link: Dentry) -> list[bytes] | None:
        """Follow a symbolic link; return the names to go on with, None after a magic jump."""
        self._links += 1
        if self._links > MAX_SYMLINKS or self.resolve & RESOLVE_NO_SYMLINKS:
            raise SysError(ELOOP)
        inode = link.inode
        assert inode is not None
        place = inode.follow(self.creds)
        if place is not None:
            if self.resolve & RESOLVE_NO_MAGICLINKS:
                raise SysError(ELOOP)
            if self.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT):
                raise SysError(EXDEV)
            if self.resolve & RESOLVE_NO_XDEV and place.mount is not self.mount:
                raise SysError(EXDEV)
            self.mount = place.mount
            self.dentry = place.dentry
            return None
        target = inode.readlink()
        if not target:
            raise SysError(ENOENT)
        names = target.split(b"/")
        if not names[0] and len(names) > 1:
            if self.resolve & RESOLVE_BENEATH:
                raise SysError(EXDEV)
            self._jump_to_root()
        return names

    def _lookup(self, parent: Dentry, name: bytes) -> Dentry:
        """Ask the file system for a name; return its dentry, existing or not."""
        if len(name) > NAME_MAX:
            raise SysError(ENAMETOOLONG)
        if self.resolve & RESOLVE_CACHED:
            raise SysError(EAGAIN)
        directory = parent.inode
        if directory is None or parent.is_unlinked:
            return Dentry(parent, name, None)
        if parent.synthetic:
            synthetic = parent.synthetic.get(name)
            if synthetic is not None:
                return synthetic
        inode = directory.lookup(name)
        if parent.is_pruned:
            return Dentry(parent, name, inode)
        if not self.mount.filesystem.is_exclusive:
            return _refresh(parent, name, inode)
        if CACHE.count > CACHE_LIMIT:
            CACHE.add_root(self.mount.filesystem.dentry())
            CACHE.prune()
            if parent.was_pruned():
                return Dentry(parent, name, inode)
        child = Dentry(parent, name, inode)
        parent.children[name] = child
        CACHE.count += 1
        return child


def _refresh(parent: Dentry, name: bytes, inode: Inode | None) -> Dentry:
    """Return the dentry of a name of a file system that changes by itself."""
    child = parent.children.get(name)
    if child is not None:
        if child.mounts:
            return child
        if child.inode is not None and inode is not None and child.inode.is_same(inode):
            return child
        del parent.children[name]
    child = Dentry(parent, name, inode)
    if inode is not None and child.kind == S_IFDIR:
        # Directories are kept for their mount points and their host descriptors.
        parent.children[name] = child
        CACHE.count += 1
    return child


def resolve(context: FsContext, creds: Credentials, path: bytes, *, follow: bool = True) -> VfsPath:
    """Return the place of an existing path, from the root or the working directory."""
    walker = Walker(context, creds, None)
    walker.walk(path, follow=follow)
    return walker.place()


def path_bytes(place: VfsPath, root: VfsPath) -> bytes:
    """Return the absolute path of a place as seen from `root` (d_path of Linux).

    What was removed ends with ` (deleted)`; what `root` does not reach starts
    with `(unreachable)`.
    """
    text, is_reachable = _climb(place, root)
    if place.dentry.is_unlinked:
        text += b" (deleted)"
    return text if is_reachable else b"(unreachable)" + text


def cwd_bytes(place: VfsPath, root: VfsPath) -> bytes:
    """Return the working directory for getcwd(2); SysError(ENOENT) if it was removed."""
    dentry: Dentry | None = place.dentry
    while dentry is not None:
        if dentry.is_unlinked:
            raise SysError(ENOENT)
        dentry = dentry.parent
    text, is_reachable = _climb(place, root)
    return text if is_reachable else b"(unreachable)" + text


def _climb(place: VfsPath, root: VfsPath) -> tuple[bytes, bool]:
    """Return the path up to `root`, and whether the way led there."""
    names: list[bytes] = []
    mount = place.mount
    dentry = place.dentry
    is_reachable = True
    while not (dentry is root.dentry and mount is root.mount):
        if dentry is mount.root:
            if mount.parent is None or mount.mountpoint is None:
                is_reachable = False
                break
            dentry = mount.mountpoint
            mount = mount.parent
            continue
        parent = dentry.parent
        if parent is None:
            is_reachable = False
            break
        names.append(dentry.name)
        dentry = parent
    names.reverse()
    return b"/" + b"/".join(names), is_reachable


def is_below(dentry: Dentry, top: Dentry) -> bool:
    """Return whether `dentry` is `top` or inside of it, in one file system."""
    at: Dentry | None = dentry
    while at is not None:
        if at is top:
            return True
        at = at.parent
    return False
