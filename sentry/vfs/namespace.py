"""Mount namespaces (mount_namespaces(7)): which file system is attached where."""

from typing import Final

from sentry.abi.errno import EBUSY, EINVAL, ENOENT, ENOSPC, ENOTDIR
from sentry.abi.stat import S_IFDIR, S_IFREG
from sentry.errors import SysError
from sentry.vfs.creds import Credentials
from sentry.vfs.inode import Attributes, DirectoryEntry, Inode
from sentry.vfs.mount import (
    MNT_NOATIME,
    MNT_NODEV,
    MNT_NODIRATIME,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_READONLY,
    MNT_RELATIME,
    Dentry,
    Filesystem,
    FsContext,
    Mount,
    VfsPath,
)
from sentry.vfs.path import CACHE, Walker, is_below, path_bytes

MOUNT_MAX: Final = 100_000  # fs.mount-max, proc_sys_fs(5)


class MountNumbers:
    """Hands out mount ids and the device numbers of file systems (minor numbers of major 0)."""

    def __init__(self) -> None:
        self._mount_id = 20
        self._device = 20
        self._namespace = 4026533000

    def new_namespace(self) -> int:
        """Return the number by which /proc/PID/ns tells mount namespaces apart."""
        self._namespace += 1
        return self._namespace

    def new_mount_id(self) -> int:
        """Return a mount id that was not used before."""
        self._mount_id += 1
        return self._mount_id

    def new_device(self) -> int:
        """Return a device number that was not used before."""
        self._device += 1
        return self._device & 0xFF | (self._device & ~0xFF) << 12


NUMBERS: Final = MountNumbers()


class SyntheticDirectory(Inode):
    """An empty directory (or file) that exists only to be mounted on."""

    def __init__(self, device: int, mode: int) -> None:
        self._attributes = Attributes()
        self._attributes.dev = device
        self._attributes.ino = 0xFFFF_0000 + NUMBERS.new_mount_id()
        self._attributes.mode = mode
        self._attributes.nlink = 2 if mode & S_IFDIR else 1

    def attributes(self) -> Attributes:
        return self._attributes

    def mode(self) -> int:
        return self._attributes.mode

    def lookup(self, name: bytes) -> Inode | None:
        return None

    def entries(self) -> list[DirectoryEntry]:
        return []


class MountNamespace:
    """One tree of mounts."""

    def __init__(self, filesystem: Filesystem, flags: int, source: bytes) -> None:
        self.number = NUMBERS.new_namespace()
        self.root = Mount(NUMBERS.new_mount_id(), filesystem, filesystem.dentry(), flags)
        self.root.source = source
        self.mounts: list[Mount] = [self.root]
        CACHE.add_root(filesystem.dentry())

    def root_place(self) -> VfsPath:
        """Return the root of the tree, with whatever is mounted over it."""
        mount = self.root
        dentry = mount.root
        over = mount.children.get(dentry)
        while over is not None:
            mount = over
            dentry = mount.root
            over = mount.children.get(dentry)
        return VfsPath(mount, dentry)

    def context(self) -> FsContext:
        """Return a context whose root and working directory are the root of the tree."""
        return FsContext(self.root_place(), self.root_place())

    def attach(
        self, place: VfsPath, filesystem: Filesystem, root: Dentry, flags: int, source: bytes
    ) -> Mount:
        """Mount (a part of) a file system at a place; ENOTDIR unless both are of one kind."""
        if (place.dentry.kind == S_IFDIR) != (root.kind == S_IFDIR):
            raise SysError(ENOTDIR)
        if place.dentry.is_unlinked or place.dentry.inode is None:
            raise SysError(ENOENT)
        if len(self.mounts) >= MOUNT_MAX:
            raise SysError(ENOSPC)
        mount = Mount(NUMBERS.new_mount_id(), filesystem, root, flags)
        mount.source = source
        CACHE.add_root(filesystem.dentry())
        self._hang(mount, place)
        self.mounts.append(mount)
        return mount

    def _hang(self, mount: Mount, place: VfsPath) -> None:
        parent = place.mount
        dentry = place.dentry
        over = parent.children.get(dentry)
        while over is not None:
            parent = over
            dentry = over.root
            over = parent.children.get(dentry)
        mount.parent = parent
        mount.mountpoint = dentry
        parent.children[dentry] = mount
        dentry.mounts += 1
        # The dentry must stay what a walk finds, even if the cache had forgotten it.
        dentry.is_pruned = False
        if dentry.parent is not None:
            dentry.parent.children[dentry.name] = dentry

    def detach(self, mount: Mount) -> None:
        """Take a mount out of the tree, with all that is mounted in it (MNT_DETACH)."""
        for child in list(mount.children.values()):
            self.detach(child)
        self._unhang(mount)
        if mount in self.mounts:
            self.mounts.remove(mount)

    def _unhang(self, mount: Mount) -> None:
        parent = mount.parent
        dentry = mount.mountpoint
        if parent is None or dentry is None:
            raise SysError(EINVAL)
        del parent.children[dentry]
        dentry.mounts -= 1
        mount.parent = None
        mount.mountpoint = None

    def unmount(self, place: VfsPath, *, detach: bool) -> None:
        """Do umount2(2) of the mount whose root is `place`."""
        mount = place.mount
        if place.dentry is not mount.root or mount.parent is None:
            raise SysError(EINVAL)
        if mount.children and not detach:
            raise SysError(EBUSY)
        self.detach(mount)

    def bind(self, source: VfsPath, target: VfsPath, flags: int, *, recursive: bool) -> Mount:
        """Make what is at `source` visible at `target` too (MS_BIND)."""
        new = self.attach(
            target, source.mount.filesystem, source.dentry, flags, source.mount.source
        )
        if recursive:
            self._bind_children(source.mount, source.dentry, new)
        return new

    def _bind_children(self, old: Mount, top: Dentry, new: Mount) -> None:
        for dentry, child in list(old.children.items()):
            if child is new or not is_below(dentry, top):
                continue
            copy = self.attach(
                VfsPath(new, dentry), child.filesystem, child.root, child.flags, child.source
            )
            self._bind_children(child, child.root, copy)

    def move(self, source: VfsPath, target: VfsPath) -> None:
        """Hang a mount elsewhere (MS_MOVE); EINVAL or ELOOP where Linux says so."""
        mount = source.mount
        if source.dentry is not mount.root or mount.parent is None:
            raise SysError(EINVAL)
        at: Mount | None = target.mount
        while at is not None:
            if at is mount:
                raise SysError(EINVAL)
            at = at.parent
        if (target.dentry.kind == S_IFDIR) != (mount.root.kind == S_IFDIR):
            raise SysError(ENOTDIR)
        self._unhang(mount)
        self._hang(mount, target)

    def pivot_root(self, new_root: VfsPath, put_old: VfsPath) -> None:
        """Do pivot_root(2): `new_root` becomes the root, the old one moves to `put_old`."""
        old = self.root
        mount = new_root.mount
        if mount is old or new_root.dentry is not mount.root or mount.parent is None:
            raise SysError(EINVAL)
        if put_old.mount is old:
            raise SysError(EINVAL)
        self._unhang(mount)
        self.root = mount
        self._hang(old, put_old)

    # What the boot code uses.

    def take_down(self) -> None:
        """Unmount everything: the last process in the namespace has ended."""
        systems: list[Filesystem] = []
        for mount in self.mounts:
            if mount.filesystem not in systems:
                systems.append(mount.filesystem)
        for child in list(self.root.children.values()):
            self.detach(child)
        self.mounts = []
        for filesystem in systems:
            CACHE.remove_root(filesystem.dentry())
            filesystem.close()

    def mount_at(
        self,
        target: bytes,
        filesystem: Filesystem,
        flags: int,
        source: bytes,
        *,
        root: Dentry | None = None,
        create_missing: bool = True,
    ) -> Mount:
        """Mount a file system at an absolute path, making the mount point where it is missing.

        Missing directories (and for a `root` that is a file, the file) are made
        in the file system there, or only in memory when that is read-only.
        Symbolic links are followed inside the tree.
        """
        top = filesystem.dentry() if root is None else root
        place = self.make_place(target, top.kind, create=create_missing)
        return self.attach(place, filesystem, top, flags, source)

    def make_place(self, target: bytes, kind: int, *, create: bool) -> VfsPath:
        """Return the place of a path; what is missing is made when `create` says so."""
        creds = privileged()
        context = self.context()
        walker = Walker(context, creds, context.root)
        names = [name for name in target.split(b"/") if name and name != b"."]
        so_far = b"/"
        for index, name in enumerate(names):
            is_last = index == len(names) - 1
            so_far += (b"" if so_far.endswith(b"/") else b"/") + name
            walker = Walker(context, creds, context.root)
            walker.walk_open(so_far, follow=True)
            if walker.dentry.inode is None:
                if not create:
                    raise SysError(ENOENT)
                _make_missing(walker, kind if is_last else S_IFDIR)
        return walker.place()

    def mountinfo(self, root: VfsPath) -> bytes:
        """Return /proc/PID/mountinfo (proc_pid_mountinfo(5)) as a process with `root` sees it."""
        lines: list[bytes] = []
        for mount in self.mounts:
            where = mount_path(mount, root)
            if where is None:
                continue
            parent_id = mount.mount_id if mount.parent is None else mount.parent.mount_id
            device = mount.filesystem.device
            numbers = f"{mount.mount_id} {parent_id} {device >> 8 & 0xFFF}:{_minor(device)} "
            super_options = _super_options(mount)
            lines.append(
                numbers.encode()
                + escape(dentry_path(mount.root))
                + b" "
                + escape(where)
                + b" "
                + mount_options(mount)
                + b" - "
                + mount.filesystem.type_name
                + b" "
                + escape(mount.source)
                + b" "
                + super_options
                + b"\n"
            )
        return b"".join(lines)

    def mounts_text(self, root: VfsPath) -> bytes:
        """Return /proc/PID/mounts (fstab(5)) as a process with `root` sees it."""
        lines: list[bytes] = []
        for mount in self.mounts:
            where = mount_path(mount, root)
            if where is None:
                continue
            options = mount_options(mount)
            if mount.filesystem.options:
                options += b"," + mount.filesystem.options
            lines.append(
                escape(mount.source)
                + b" "
                + escape(where)
                + b" "
                + mount.filesystem.type_name
                + b" "
                + options
                + b" 0 0\n"
            )
        return b"".join(lines)


def privileged() -> Credentials:
    """Return the credentials of the kernel itself."""
    creds = Credentials()
    creds.effective = creds.permitted = (1 << 41) - 1
    return creds


def _make_missing(walker: Walker, kind: int) -> None:
    """Make what the walk did not find: in the file system, or in memory if that refuses."""
    dentry = walker.dentry
    parent = dentry.parent
    if parent is None or parent.inode is None:
        raise SysError(ENOENT)
    if not walker.mount.is_read_only():
        if kind == S_IFDIR:
            dentry.fill(parent.inode.mkdir(dentry.name, S_IFDIR | 0o755, 0, 0))
        else:
            dentry.fill(parent.inode.create(dentry.name, S_IFREG | 0o644, 0, 0))
        return
    dentry.fill(
        SyntheticDirectory(
            walker.mount.filesystem.device,
            S_IFDIR | 0o755 if kind == S_IFDIR else S_IFREG | 0o644,
        )
    )
    parent.synthetic[dentry.name] = dentry


def mount_path(mount: Mount, root: VfsPath) -> bytes | None:
    """Return where a mount is as seen from `root`, None if it cannot be seen."""
    text = path_bytes(VfsPath(mount, mount.root), root)
    return None if text.startswith(b"(") else text


def dentry_path(dentry: Dentry) -> bytes:
    """Return the path of a dentry inside its file system."""
    names: list[bytes] = []
    at: Dentry | None = dentry
    while at is not None and at.parent is not None:
        names.append(at.name)
        at = at.parent
    names.reverse()
    return b"/" + b"/".join(names)


def mount_options(mount: Mount) -> bytes:
    """Return the options of a mount as /proc/mounts shows them."""
    flags = mount.flags
    text = b"ro" if flags & MNT_READONLY else b"rw"
    for bit, name in (
        (MNT_NOSUID, b"nosuid"),
        (MNT_NODEV, b"nodev"),
        (MNT_NOEXEC, b"noexec"),
        (MNT_NOATIME, b"noatime"),
        (MNT_NODIRATIME, b"nodiratime"),
        (MNT_RELATIME, b"relatime"),
    ):
        if flags & bit:
            text += b"," + name
    return text


def _super_options(mount: Mount) -> bytes:
    text = b"ro" if mount.filesystem.is_read_only else b"rw"
    if mount.filesystem.options:
        text += b"," + mount.filesystem.options
    return text


def _minor(device: int) -> int:
    return device & 0xFF | device >> 12 & ~0xFF


def escape(text: bytes) -> bytes:
    """Return a path with blanks as octal numbers (getmntent(3))."""
    return (
        text.replace(b"\\", b"\\134")
        .replace(b" ", b"\\040")
        .replace(b"\t", b"\\011")
        .replace(b"\n", b"\\012")
    )
