"""/dev/net/tun: network devices whose other end a program of the guest holds (tuntap.rst)."""

from struct import Struct
from typing import Final

from netstack.endpoint import NO_LISTENER
from netstack.environment import Listener
from netstack.errors import INVALID, NetError
from netstack.link.tun import IFF_NO_PI, IFF_TAP, IFF_TUN, MAX_FRAME, PI_SIZE, TunLink
from sentry.abi.capability import CAP_NET_ADMIN
from sentry.abi.errno import (
    EBADFD,
    EBUSY,
    EEXIST,
    EFAULT,
    EINVAL,
    EIO,
    ENOMEM,
    ENOTTY,
    EPERM,
)
from sentry.abi.stat import S_IFCHR
from sentry.errors import SysError
from sentry.mm.io import Sink, Source
from sentry.mm.user import write_u32
from sentry.socket import ifreq
from sentry.socket.inet import poll_bits
from sentry.socket.net_namespace import NetworkNamespace
from sentry.vfs.caller import Caller
from sentry.vfs.creds import Credentials
from sentry.vfs.file import POLLERR, File
from sentry.vfs.inode import Inode
from sentry.vfs.mount import VfsPath
from sentry.vfs.special import REGISTRY, Opener

DEVICE: Final = 10 << 8 | 200  # Documentation/admin-guide/devices.txt
IFNAMSIZ: Final = 16
IFREQ_SIZE: Final = 40
MAX_INTERFACES: Final = 1024
IFF_ONE_QUEUE: Final = 0x2000  # without effect
IFF_TUN_EXCL: Final = 0x8000
KNOWN_FLAGS: Final = IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_ONE_QUEUE | IFF_TUN_EXCL
IFF_PERSIST: Final = 0x0800  # shown only

# linux/if_tun.h
TUNSETNOCSUM: Final = 0x400454C8
TUNSETIFF: Final = 0x400454CA
TUNSETPERSIST: Final = 0x400454CB
TUNGETFEATURES: Final = 0x800454CF
TUNGETIFF: Final = 0x800454D2
_SHORT: Final = Struct("<H")


class TunEvents(Listener):
    """Tells who reads a device that there is something."""

    def __init__(self, file: "TunFile") -> None:
        self.file = file

    def on_events(self, events: int) -> None:
        self.file.queue.notify(poll_bits(events))


class TunFile(File):
    """An open /dev/net/tun; TUNSETIFF gives it a device."""

    def __init__(self, namespace: NetworkNamespace, flags: int, inode: Inode) -> None:
        super().__init__(flags, inode)
        self.namespace = namespace
        self.link: TunLink | None = None
        self.is_persistent = False

    def attached(self) -> TunLink:
        """Return the device; SysError(EBADFD) if there is none."""
        if self.link is None:
            raise SysError(EBADFD)
        return self.link

    # Frames.

    def try_read(self, sink: Sink) -> int | None:
        link = self.attached()
        try:
            frame = link.try_read(sink.room)
        except NetError:
            raise SysError(EINVAL) from None
        if frame is None:
            return None
        self.namespace.stack.flush()  # there may be room again
        return sink.put(frame) if frame else 0

    def try_write(self, source: Source) -> int | None:
        link = self.attached()
        size = source.size
        if size > MAX_FRAME + PI_SIZE:
            raise SysError(EINVAL)
        data = source.take(size)
        if len(data) < size:
            raise SysError(EFAULT)
        try:
            done = link.write(data)
        except NetError as error:
            raise SysError(EINVAL if error.code == INVALID else EIO) from None
        self.namespace.stack.flush()
        return done

    def readiness(self) -> int:
        return POLLERR if self.link is None else poll_bits(self.link.readiness())

    def release(self) -> None:
        link = self.link
        if link is None:
            return
        self.link = None
        link.listener = NO_LISTENER
        if not self.is_persistent and link.interface is not None:
            self.namespace.stack.remove_interface(link.interface)
            link.close()
            self.namespace.stack.flush()

    # Requests.

    def ioctl(self, caller: Caller, request: int, argument: int) -> int:
        if request == TUNGETFEATURES:
            write_u32(caller.memory, argument, IFF_TUN | IFF_TAP | IFF_NO_PI | IFF_ONE_QUEUE)
            return 0
        if request == TUNSETIFF:
            return self._set_interface(caller, argument)
        link = self.attached()
        if request == TUNGETIFF:
            caller.memory.write(argument, self._describe(link))
        elif request == TUNSETPERSIST:
            self.is_persistent = argument != 0
        elif request == TUNSETNOCSUM:
            pass  # as on Linux, which has forgotten what it was for
        elif request & 0xFF00 == 0x8900:
            return ifreq.ioctl(self.namespace, caller, request, argument)
        else:
            raise SysError(ENOTTY)
        return 0

    def _describe(self, link: TunLink) -> bytes:
        """Return a struct ifreq with the name and the flags of the device."""
        name = link.interface.name.encode() if link.interface is not None else b""
        flags = link.flags | (IFF_PERSIST if self.is_persistent else 0)
        packed = name.ljust(IFNAMSIZ, b"\0") + _SHORT.pack(flags)
        return packed.ljust(IFREQ_SIZE, b"\0")

    def _set_interface(self, caller: Caller, argument: int) -> int:
        """TUNSETIFF: make a device, or take one that stayed (tun_set_iff, drivers/net/tun.c)."""
        if self.link is not None:
            raise SysError(EEXIST)
        raw = caller.memory.read(argument, IFREQ_SIZE)
        flags: int = _SHORT.unpack_from(raw, IFNAMSIZ)[0]
        if flags & ~KNOWN_FLAGS or not flags & (IFF_TUN | IFF_TAP):
            raise SysError(EINVAL)
        if not caller.creds.has_capability(CAP_NET_ADMIN):
            raise SysError(EPERM)
        name = raw[: IFNAMSIZ - 1].split(b"\0")[0]
        # IFF_TUN wins where both are given.
        wanted = flags & IFF_NO_PI | (IFF_TUN if flags & IFF_TUN else IFF_TAP)
        stack = self.namespace.stack
        found = stack.find_interface(name.decode("ascii", "replace")) if name else None
        if found is None:
            link = self._make(name, wanted)
        else:
            if flags & IFF_TUN_EXCL:
                raise SysError(EBUSY)
            old = found.link
            if not isinstance(old, TunLink) or (old.flags ^ wanted) & (IFF_TUN | IFF_TAP):
                raise SysError(EINVAL)
            if old.listener is not NO_LISTENER:
                raise SysError(EBUSY)
            link = old
            link.flags = wanted
            self.is_persistent = True
        link.listener = TunEvents(self)
        self.link = link
        caller.memory.write(argument, self._describe(link)[:IFNAMSIZ])
        stack.flush()
        return 0

    def _make(self, name: bytes, flags: int) -> TunLink:
        """Make a device; `%d` in its name becomes the first number that is free."""
        stack = self.namespace.stack
        if len(stack.interfaces) >= MAX_INTERFACES:
            raise SysError(ENOMEM)
        pattern = name.decode("ascii", "replace") or ("tap%d" if flags & IFF_TAP else "tun%d")
        if "%d" in pattern:
            number = 0
            while stack.find_interface(pattern.replace("%d", str(number), 1)) is not None:
                number += 1
            pattern = pattern.replace("%d", str(number), 1)
        if len(pattern) >= IFNAMSIZ or not is_device_name(pattern):
            raise SysError(EINVAL)
        random = bytearray(self.namespace.environment.random_bytes(6))
        random[0] = random[0] & 0xFE | 0x02  # one address, locally administered
        link = TunLink(flags, bytes(random))
        try:
            interface = stack.add_interface(pattern, link)
        except NetError:
            raise SysError(EEXIST) from None
        link.interface = interface
        interface.tx_queue_length = 500
        return link


def is_device_name(name: str) -> bool:
    """Return whether an interface may have a name (dev_valid_name)."""
    if not name or name in {".", ".."}:
        return False
    return all(
        character.isprintable() and not character.isspace() and character not in "/:"
        for character in name
    )


class TunOpener(Opener):
    """Opens the device node."""

    def __init__(self, namespace: NetworkNamespace) -> None:
        self._namespace = namespace

    def open(self, inode: Inode, place: VfsPath, flags: int, creds: Credentials) -> File:
        return TunFile(self._namespace, flags, inode)


def register_tun(namespace: NetworkNamespace) -> None:
    """Make the device known, whatever file system has a node of it."""
    REGISTRY.devices[(S_IFCHR, DEVICE)] = TunOpener(namespace)
