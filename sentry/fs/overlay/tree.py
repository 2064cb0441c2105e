"""What the objects of one overlay share: names of attributes, numbers, and which are in use.

A *node* (node.py) is an object of the merged tree.  Inodes, which others hold,
refer to it; there is never more than one node for one object, so that whoever
holds an inode sees a copy-up that went through another.
"""

from struct import Struct
from typing import TYPE_CHECKING, Final

from sentry.abi.errno import ENODATA, EOPNOTSUPP
from sentry.abi.stat import S_IFCHR, S_IFDIR, S_IFMT
from sentry.errors import SysError
from sentry.vfs.inode import Inode

if TYPE_CHECKING:
    from sentry.fs.overlay.node import Node

_INO_BITS: Final = 40
_ORIGIN: Final = Struct("<QQ")  # st_dev and st_ino of the lower object

Slot = tuple[int, int, int, bytes]
"""What tells nodes apart: device and number of the topmost object; for what may have several
names (they part when a lower file is copied up) also its directory's serial number and the name.
"""


class OverlayTree:
    """The state of one overlay.

    `work` is an empty directory of the upper file system, where whiteouts are
    prepared; None for an overlay without an upper layer.
    """

    def __init__(self, device: int, work: Inode | None, prefix: bytes) -> None:
        self.device = device
        self.work = work
        self.prefix = prefix  # of the attributes that are the overlay's own
        self.opaque_name = prefix + b"opaque"
        self.origin_name = prefix + b"origin"
        self._live: dict[Slot, Node] = {}
        self._devices: dict[int, int] = {}
        self._last_serial = 0
        self._last_work = 0

    # Nodes in use.

    def next_serial(self) -> int:
        """Return a number for a new node."""
        self._last_serial += 1
        return self._last_serial

    def find(self, slot: Slot) -> "Node | None":
        """Return the node of an object, None if nobody has it."""
        return self._live.get(slot)

    def add(self, node: "Node") -> None:
        """Note a node; it stays until `forget`."""
        self._live[node.slot] = node

    def forget(self, node: "Node") -> None:
        """Forget a node that nobody holds, or whose object cannot be looked up any more."""
        if self._live.get(node.slot) is node:
            del self._live[node.slot]

    def live_count(self) -> int:
        """Return how many nodes are in use."""
        return len(self._live)

    # Numbers.

    def shown(self, device: int, ino: int) -> tuple[int, int]:
        """Return st_dev and st_ino for an object of a layer.

        One st_dev for all, so the layer goes into the high bits of st_ino (`xino` of
        Linux's overlayfs); where there is no room for it, the layer's own numbers are shown.
        """
        if ino >> _INO_BITS:
            return device, ino
        index = self._devices.get(device)
        if index is None:
            index = self._devices[device] = len(self._devices)
        return self.device, index << _INO_BITS | ino

    def shown_upper(self, upper: Inode) -> tuple[int, int]:
        """Return the numbers of an upper object: those of what it was copied from, if anything."""
        raw = attribute(upper, self.origin_name)
        if len(raw) == _ORIGIN.size:
            device: int
            ino: int
            device, ino = _ORIGIN.unpack(raw)
            return self.shown(device, ino)
        device, ino = upper.key()
        return self.shown(device, ino)

    def note_origin(self, upper: Inode, lower: Inode) -> None:
        """Remember what an upper object was copied from, where the upper layer can."""
        try:
            upper.setxattr(self.origin_name, _ORIGIN.pack(*lower.key()), 0)
        except SysError as error:
            if error.errno != EOPNOTSUPP:
                raise

    # Marks.

    def is_opaque(self, directory: Inode) -> bool:
        """Return whether a directory hides those of the same name below it."""
        return attribute(directory, self.opaque_name) == b"y"

    def make_opaque(self, directory: Inode) -> None:
        """Let a directory of the upper layer hide those of the same name below it."""
        directory.setxattr(self.opaque_name, b"y", 0)

    def is_private(self, name: bytes) -> bool:
        """Return whether an extended attribute is the overlay's own, which nobody sees."""
        return name.startswith(self.prefix)

    # The work directory.

    def work_name(self) -> bytes:
        """Return a new name for the work directory."""
        self._last_work += 1
        return b"#%x" % self._last_work

    def put_whiteout(self, directory: Inode, name: bytes) -> None:
        """Make a whiteout of `name` in a directory of the upper layer, over what is there.

        It is made elsewhere first: if there is no room for it nothing has changed.
        What it replaces is no directory.
        """
        self.place_whiteout(self.prepare_whiteout(), directory, name)

    def prepare_whiteout(self) -> bytes:
        """Make a whiteout in the work directory; return its name there."""
        assert self.work is not None
        name = self.work_name()
        self.work.mknod(name, S_IFCHR, 0, 0, 0)
        return name

    def place_whiteout(self, prepared: bytes, directory: Inode, name: bytes) -> None:
        """Move a prepared whiteout to its place."""
        assert self.work is not None
        whiteout = self.work.lookup(prepared)
        replaced = directory.lookup(name)
        self.work.rename(prepared, directory, name, 0)
        if replaced is not None:
            replaced.replaced()
        if whiteout is not None:
            whiteout.moved(directory, name)

    def drop_prepared(self, prepared: bytes) -> None:
        """Remove a prepared whiteout that is not needed after all."""
        assert self.work is not None
        whiteout = self.work.lookup(prepared)
        if whiteout is not None:
            self.work.unlink(prepared, whiteout)


def attribute(inode: Inode, name: bytes) -> bytes:
    """Return an extended attribute, b"" where there is none."""
    try:
        return inode.getxattr(name)
    except SysError as error:
        if error.errno in (ENODATA, EOPNOTSUPP):
            return b""
        raise


def is_whiteout(inode: Inode) -> bool:
    """Return whether an object of a layer says that its name does not exist."""
    return inode.mode() & S_IFMT == S_IFCHR and inode.attributes().rdev == 0


def is_directory(inode: Inode) -> bool:
    """Return whether an object of a layer is a directory."""
    return inode.mode() & S_IFMT == S_IFDIR
