"""/sys/class/net: a directory for each interface, with its attributes as files (sysfs(5))."""

from sentry.fs.kernfs import KernDirectory, KernNumbers, TextInode
from sentry.kernel.network import Network
from sentry.vfs.inode import S_IFDIR, DirectoryEntry, Inode


class AttributeFile(TextInode):
    """One attribute of an interface; empty once the interface is gone."""

    def __init__(
        self, network: Network, device: int, number: int, interface: bytes, name: bytes
    ) -> None:
        super().__init__(device, number, 0o444)
        self._network = network
        self._interface = interface
        self._name = name

    def generate(self) -> bytes:
        return self._network.interface_texts(self._interface).get(self._name, b"")


class ClassNet(KernDirectory):
    """/sys/class/net."""

    def __init__(self, network: Network, numbers: KernNumbers) -> None:
        super().__init__(numbers.device, numbers.next(), 0o755)
        self._network = network
        self._numbers = numbers

    def lookup(self, name: bytes) -> Inode | None:
        if name not in self._network.interface_names():
            return None
        found = super().lookup(name)
        if found is None:
            found = self._make(name)
            self.add(name, found)
        return found

    def _make(self, interface: bytes) -> KernDirectory:
        made = KernDirectory(self.device, self._numbers.next(), 0o755)
        inner = KernDirectory(self.device, self._numbers.next(), 0o755)
        made.add(b"statistics", inner)
        for path in self._network.interface_texts(interface):
            directory, slash, name = path.rpartition(b"/")
            number = self._numbers.next()
            file = AttributeFile(self._network, self.device, number, interface, path)
            (inner if directory and slash else made).add(name, file)
        return made

    def entries(self) -> list[DirectoryEntry]:
        found = []
        for name in self._network.interface_names():
            inode = self.lookup(name)
            if inode is not None:
                found.append(DirectoryEntry(name, inode.key()[1], S_IFDIR))
        return found
