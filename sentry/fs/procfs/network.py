"""/proc/net and /proc/sys/net: what the kernel's network tells, as files."""

from sentry.abi.errno import EACCES
from sentry.errors import SysError
from sentry.fs.kernfs import KernDirectory, KernNumbers, TextInode
from sentry.kernel.network import Network
from sentry.vfs.creds import Credentials
from sentry.vfs.file import O_ACCMODE, File
from sentry.vfs.inode import S_IFDIR, S_IFMT, S_IFREG, DirectoryEntry, Inode
from sentry.vfs.mount import VfsPath


class NetFile(TextInode):
    """A file of /proc/net."""

    def __init__(self, network: Network, device: int, number: int, name: bytes) -> None:
        super().__init__(device, number, 0o444)
        self._network = network
        self._name = name

    def open(self, path: VfsPath, flags: int, creds: Credentials) -> File:
        if flags & O_ACCMODE:
            raise SysError(EACCES)  # not even the superuser (seq_open_net, fs/proc/proc_net.c)
        return super().open(path, flags, creds)

    def generate(self) -> bytes:
        return self._network.proc_text(self._name)


class NetDirectory(KernDirectory):
    """/proc/PID/net; all processes have the same network."""

    def __init__(self, network: Network | None, device: int, number: int) -> None:
        super().__init__(device, number)
        if network is not None:
            for index, name in enumerate(network.proc_names()):
                self.add(name, NetFile(network, device, number + index + 1, name))


class SettingFile(TextInode):
    """A file below /proc/sys/net."""

    def __init__(self, network: Network, device: int, number: int, path: bytes) -> None:
        super().__init__(device, number, 0o644)
        self._network = network
        self._path = path

    def generate(self) -> bytes:
        return self._network.read_sysctl(self._path)

    def store(self, data: bytes, creds: Credentials) -> None:
        self._network.write_sysctl(self._path, data, creds)


class SettingDirectory(KernDirectory):
    """/proc/sys/net and the directories in it, which come and go with interfaces."""

    def __init__(self, network: Network, numbers: KernNumbers, prefix: bytes) -> None:
        super().__init__(numbers.device, numbers.next())
        self._network = network
        self._numbers = numbers
        self._prefix = prefix  # with a slash at its end

    def _known(self) -> dict[bytes, bool]:
        """Return the names here, and whether each is a directory."""
        size = len(self._prefix)
        found: dict[bytes, bool] = {}
        for path in self._network.sysctl_names():
            if path.startswith(self._prefix):
                name, slash, _ = path[size:].partition(b"/")
                found[name] = bool(slash)
        return found

    def lookup(self, name: bytes) -> Inode | None:
        known = self._known()
        if name not in known:
            return None
        made = super().lookup(name)
        if made is None:
            path = self._prefix + name
            if known[name]:
                made = SettingDirectory(self._network, self._numbers, path + b"/")
            else:
                made = SettingFile(self._network, self.device, self._numbers.next(), path)
            self.add(name, made)
        return made

    def entries(self) -> list[DirectoryEntry]:
        found: list[DirectoryEntry] = []
        for name, is_directory in self._known().items():
            inode = self.lookup(name)
            if inode is not None:
                kind = S_IFDIR if is_directory else S_IFREG
                found.append(DirectoryEntry(name, inode.key()[1], kind & S_IFMT))
        return found
