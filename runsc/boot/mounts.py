"""The file tree of the container: root, mounts, devices, masked and read-only paths (OCI)."""

from typing import Final

from config.launch import Launch, MountSource
from config.oci import Mount as OciMount
from config.oci import Spec
from runsc.boot.programs import reason_of
from runsc.errors import RunscError
from sentry.abi.errno import ENOENT
from sentry.abi.stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO
from sentry.errors import SysError
from sentry.fs.devices import MEMORY_NODES
from sentry.fs.host.filesystem import HostFilesystem
from sentry.fs.overlay.filesystem import MemoryLayers
from sentry.fs.procfs.filesystem import ProcFilesystem
from sentry.fs.sysfs import SysFilesystem
from sentry.fs.tmpfs import TmpFilesystem
from sentry.fs.tty.devpts import DevptsFilesystem, DevptsOptions
from sentry.kernel.kernel import Kernel
from sentry.kernel.pid_namespace import PidNamespace
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
)
from sentry.vfs.namespace import MountNamespace, privileged
from sentry.vfs.path import resolve

FLAGS: Final = {
    "ro": MNT_READONLY,
    "rro": MNT_READONLY,
    "nosuid": MNT_NOSUID,
    "nodev": MNT_NODEV,
    "noexec": MNT_NOEXEC,
    "noatime": MNT_NOATIME,
    "nodiratime": MNT_NODIRATIME,
    "relatime": MNT_RELATIME,
}
CLEARED: Final = {
    "rw": MNT_READONLY,
    "suid": MNT_NOSUID,
    "dev": MNT_NODEV,
    "exec": MNT_NOEXEC,
    "atime": MNT_NOATIME,
    "diratime": MNT_NODIRATIME,
    "norelatime": MNT_RELATIME,
}
UNITS: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
# What every container has in /dev beside the memory devices (OCI runtime-spec, "Default Devices").
DEV_LINKS: Final = (
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
    (b"ptmx", b"pts/ptmx"),
)
NODE_KINDS: Final = {"c": S_IFCHR, "u": S_IFCHR, "b": S_IFBLK, "p": S_IFIFO}


def build_namespace(pids: PidNamespace, launch: Launch) -> MountNamespace:
    """Return the mount namespace that config.json describes; RunscError names the bad field.

    Its /proc shows the processes of `pids`.
    """
    spec = launch.spec
    layers = Layers(pids.kernel, launch)
    root = layers.root(launch)
    source = b"none" if launch.overlay2 == "none" else b"overlay"
    namespace = MountNamespace(root, MNT_RELATIME, source)
    try:
        _mount_all(pids, launch, layers, namespace)
    except BaseException:
        namespace.take_down()
        raise
    if spec.root.readonly:
        namespace.mounts[0].flags |= MNT_READONLY
    return namespace


def _mount_all(
    pids: PidNamespace, launch: Launch, layers: "Layers", namespace: MountNamespace
) -> None:
    spec = launch.spec
    for index, mount in enumerate(spec.mounts):
        try:
            _mount(pids, launch, layers, namespace, index)
        except SysError as error:
            raise RunscError(
                f"mounts[{index}]: cannot mount {mount.destination!r}: {mount_reason(error)}"
            ) from None
    _ensure_proc_and_dev(pids, namespace, spec)
    _protect(namespace, spec)


class Layers:
    """Decides which of the host's trees the container changes in memory only (--overlay2).

    The descriptors of the trees become those of the file systems that it makes.
    """

    def __init__(self, kernel: Kernel, launch: Launch) -> None:
        self._root_only = launch.overlay2 == "root:memory"
        self._memory: MemoryLayers | None = None
        if launch.overlay2 != "none":
            self._memory = MemoryLayers(kernel.memory_total // 2)

    def root(self, launch: Launch) -> Filesystem:
        """Return the file system for the container's root."""
        host_fd = launch.root_fd
        launch.root_fd = -1
        if self._memory is None:
            return HostFilesystem(host_fd, is_exclusive=True)
        # Whoever overlays a tree has not got it to himself.
        return self._memory.over(HostFilesystem(host_fd, is_exclusive=False, is_read_only=True))

    def bind(self, source: MountSource, flags: int) -> tuple[Filesystem, int]:
        """Return the file system for a bind mount, and the flags to mount it with."""
        host_fd = source.host_fd
        source.host_fd = -1
        lower = HostFilesystem(host_fd, is_exclusive=False)
        if self._memory is None or self._root_only or flags & MNT_READONLY:
            return lower, flags
        if not source.is_directory:
            return lower, flags | MNT_READONLY  # there is nothing to merge a single file with
        return self._memory.over(lower), flags


def _mount(
    pids: PidNamespace,
    launch: Launch,
    layers: Layers,
    namespace: MountNamespace,
    index: int,
) -> None:
    mount = launch.spec.mounts[index]
    flags = mount_flags(mount.options)
    target = mount.destination.encode()
    source = (mount.source or "none").encode()
    if mount.is_bind:
        for host in launch.mount_sources:
            if host.index == index:
                _bind(layers, host, namespace, target, flags, source)
        return
    filesystem = _make_filesystem(pids, mount, index)
    if filesystem is not None:
        namespace.mount_at(target, filesystem, flags, source)


def _bind(
    layers: Layers,
    host: MountSource,
    namespace: MountNamespace,
    target: bytes,
    flags: int,
    source: bytes,
) -> None:
    tree, flags = layers.bind(host, flags)
    try:
        namespace.mount_at(target, tree, flags, source)
    except BaseException:
        tree.close()
        raise


def mount_reason(error: SysError) -> str:
    """Return in words why a mount failed."""
    # Callers read the usual words for ENOENT as "command not found".
    return "a directory is missing" if error.errno == ENOENT else reason_of(error)


def mount_flags(options: list[str]) -> int:
    """Return MNT_ flags for mount options; the last word on each counts (mount(8))."""
    flags = MNT_RELATIME
    for option in options:
        flags |= FLAGS.get(option, 0)
        flags &= ~CLEARED.get(option, 0)
    return flags


def _make_filesystem(pids: PidNamespace, mount: OciMount, index: int) -> Filesystem | None:
    """Return a new file system of the mount's type, None where there is nothing to show."""
    kind = mount.kind
    if kind == "proc":
        return ProcFilesystem(pids)
    if kind == "sysfs":
        return SysFilesystem(pids.kernel)
    if kind == "devpts":
        return _devpts(pids.kernel, mount.options, index)
    if kind in ("tmpfs", "devtmpfs", "mqueue", "cgroup", "cgroup2"):
        # Queues and control groups inside have no files of their own yet.
        made = _tmpfs(mount.options, index, kind)
        if mount.destination.rstrip("/") == "/dev":
            populate_dev(made)
        return made
    raise RunscError(f"mounts[{index}].type: unknown file system {kind!r}")


def _tmpfs(options: list[str], index: int, kind: str) -> TmpFilesystem:
    mode = 0o1777 if kind == "tmpfs" else 0o755
    uid = gid = size = 0
    for option in options:
        name, _, value = option.partition("=")
        try:
            if name == "mode":
                mode = int(value, 8)
            elif name == "uid":
                uid = int(value)
            elif name == "gid":
                gid = int(value)
            elif name == "size":
                size = parse_size(value)
        except ValueError:
            raise RunscError(f"mounts[{index}].options: {option!r} is not a number") from None
    return TmpFilesystem(kind.encode(), mode=mode, uid=uid, gid=gid, size_limit=size)


def _devpts(kernel: Kernel, options: list[str], index: int) -> DevptsFilesystem:
    choices = DevptsOptions()
    for option in options:
        try:
            choices.parse(option)
        except ValueError:
            raise RunscError(f"mounts[{index}].options: {option!r} is not a number") from None
    return DevptsFilesystem(kernel, choices)


def parse_size(text: str) -> int:
    """Return a size of tmpfs(5) in bytes: digits, perhaps with k, m or g; ValueError else."""
    unit = UNITS.get(text[-1:].lower(), 0)
    return int(text[:-1]) * unit if unit else int(text)


def populate_dev(filesystem: TmpFilesystem) -> None:
    """Make the nodes and links that every container has in /dev."""
    root = filesystem.root()
    for name, minor in MEMORY_NODES:
        root.mknod(name, S_IFCHR | 0o666, 1 << 8 | minor, 0, 0)
    root.mknod(b"tty", S_IFCHR | 0o666, 5 << 8, 0, 0)
    for name, target in DEV_LINKS:
        root.symlink(name, target, 0, 0)


def _ensure_proc_and_dev(pids: PidNamespace, namespace: MountNamespace, spec: Spec) -> None:
    """Give /proc, /dev and /tmp to a container whose bundle does not mention them."""
    mounted = {mount.destination.rstrip("/") for mount in spec.mounts}
    if "/proc" not in mounted:
        namespace.mount_at(b"/proc", ProcFilesystem(pids), MNT_RELATIME, b"proc")
    if "/dev" not in mounted:
        devices = TmpFilesystem(b"devtmpfs", mode=0o755)
        populate_dev(devices)
        namespace.mount_at(b"/dev", devices, MNT_RELATIME, b"dev")
        choices = DevptsOptions()
        choices.ptmx_mode = 0o666
        terminals = DevptsFilesystem(pids.kernel, choices)
        namespace.mount_at(b"/dev/pts", terminals, MNT_RELATIME | MNT_NOSUID, b"devpts")
    _add_devices(namespace, spec)


def _add_devices(namespace: MountNamespace, spec: Spec) -> None:
    """Make the nodes of linux.devices; what they are is up to the device registry."""
    for index, device in enumerate(spec.linux.devices):
        parent, _, name = device.path.rpartition("/")
        kind = NODE_KINDS.get(device.kind)
        if kind is None or not name:
            raise RunscError(f"linux.devices[{index}]: bad path or type")
        place = namespace.make_place((parent or "/").encode(), S_IFDIR, create=True)
        inode = place.dentry.inode
        if inode is None or not isinstance(place.mount.filesystem, TmpFilesystem):
            continue  # never a device node on the host's file system
        if inode.lookup(name.encode()) is None:
            number = device.major << 8 | device.minor & 0xFF | (device.minor & ~0xFF) << 12
            mode = kind | device.file_mode & 0o7777
            inode.mknod(name.encode(), mode, number, device.uid, device.gid)


def _protect(namespace: MountNamespace, spec: Spec) -> None:
    """Hide linux.maskedPaths and make linux.readonlyPaths read-only, where they exist."""
    creds = privileged()
    for text in spec.linux.masked_paths:
        try:
            place = resolve(namespace.context(), creds, text.encode())
        except SysError:
            continue  # nothing there to hide
        if place.dentry.kind == S_IFDIR:
            empty = TmpFilesystem(b"tmpfs", mode=0o755)
            namespace.attach(place, empty, empty.dentry(), MNT_READONLY, b"tmpfs")
        else:
            hidden = TmpFilesystem(b"devtmpfs", mode=0o755)
            populate_dev(hidden)
            top = hidden.dentry()
            null = Dentry(top, b"null", hidden.root().lookup(b"null"))
            top.children[b"null"] = null
            namespace.attach(place, hidden, null, MNT_READONLY, b"tmpfs")
    for text in spec.linux.readonly_paths:
        try:
            place = resolve(namespace.context(), creds, text.encode())
        except SysError:
            continue
        namespace.bind(place, place, place.mount.flags | MNT_READONLY, recursive=True)
