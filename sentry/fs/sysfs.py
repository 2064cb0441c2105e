"""sysfs (sysfs(5)): the processors, and empty directories where programs look for more."""

from typing import Final

from sentry.fs.kernfs import FixedText, KernDirectory, KernNumbers
from sentry.fs.sysfs_net import ClassNet
from sentry.kernel.kernel import Kernel
from sentry.vfs.inode import Inode
from sentry.vfs.mount import Filesystem
from sentry.vfs.namespace import NUMBERS

SYSFS_MAGIC: Final = 0x62656572
TOP: Final = (
    b"block",
    b"bus",
    b"class",
    b"dev",
    b"devices",
    b"firmware",
    b"fs",
    b"kernel",
    b"module",
)


class SysFilesystem(Filesystem):
    """One instance of sysfs."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(b"sysfs", NUMBERS.new_device())
        self._numbers = KernNumbers(self.device)
        self._root = self._directory()
        for name in TOP:
            self._root.add(name, self._directory())
        self._fill_fixed()
        if kernel.network is not None:
            top = self._below(self._root, b"class")
            top.add(b"net", ClassNet(kernel.network, self._numbers))
        self._fill_processors(kernel.cpus)

    def root(self) -> Inode:
        return self._root

    def statfs(self) -> tuple[int, int, int, int, int, int, int]:
        return SYSFS_MAGIC, 4096, 0, 0, 0, 0, 0

    def _directory(self) -> KernDirectory:
        return KernDirectory(self.device, self._numbers.next(), 0o755)

    def _below(self, top: KernDirectory, name: bytes) -> KernDirectory:
        """Return the directory called `name`, made if it is not there."""
        found = top.lookup(name)
        if isinstance(found, KernDirectory):
            return found
        made = self._directory()
        top.add(name, made)
        return made

    def _fill_fixed(self) -> None:
        for name in (b"net", b"tty"):
            self._below(self._below(self._root, b"class"), name)
        self._below(self._below(self._root, b"fs"), b"cgroup")
        self._below(self._below(self._root, b"dev"), b"block")
        self._below(self._below(self._root, b"dev"), b"char")

    def _fill_processors(self, cpus: int) -> None:
        system = self._below(self._below(self._root, b"devices"), b"system")
        directory = self._below(system, b"cpu")
        every = b"0\n" if cpus == 1 else b"0-%d\n" % (cpus - 1)
        for name in (b"online", b"possible", b"present"):
            directory.add(name, FixedText(self.device, self._numbers.next(), every))
        directory.add(b"offline", FixedText(self.device, self._numbers.next(), b"\n"))
        for number in range(cpus):
            self._below(directory, b"cpu%d" % number)
        node = self._below(self._below(system, b"node"), b"node0")
        node.add(b"cpulist", FixedText(self.device, self._numbers.next(), every))
