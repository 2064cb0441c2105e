"""What all System V IPC has in common: identifiers, keys, permissions (sysvipc(7))."""

from typing import Final

from mypy_extensions import mypyc_attr

from sentry.abi.capability import CAP_IPC_OWNER, CAP_SYS_ADMIN
from sentry.abi.errno import EACCES, EEXIST, EIDRM, EINVAL, ENOENT, ENOSPC, EPERM
from sentry.abi.ipc import IPC_CREAT, IPC_EXCL, IPC_PRIVATE
from sentry.errors import SysError
from sentry.vfs.creds import Credentials

INDEX_BITS: Final = 15
INDEX_MASK: Final = (1 << INDEX_BITS) - 1
SEQUENCE_MAX: Final = (1 << 31 - INDEX_BITS) - 1
MIN_CYCLE: Final = 64  # identifiers that differ in their index come before one is used again
MAY_READ: Final = 0o444
MAY_WRITE: Final = 0o222


@mypyc_attr(allow_interpreted_subclasses=True)
class IpcObject:
    """One segment, set or queue: struct ipc64_perm (linux/ipcbuf.h)."""

    def __init__(self, key: int, mode: int, creds: Credentials) -> None:
        self.key = key
        self.number = -1  # its identifier
        self.sequence = 0
        self.mode = mode & 0o777
        self.uid = self.creator_uid = creds.euid
        self.gid = self.creator_gid = creds.egid
        self.is_removed = False

    def check(self, creds: Credentials, wanted: int) -> None:
        """SysError(EACCES) if what the bits of `wanted` ask for is not allowed (ipcperms)."""
        asked = wanted >> 6 | wanted >> 3 | wanted
        granted = self.mode
        if creds.euid in (self.uid, self.creator_uid):
            granted >>= 6
        elif any(gid == creds.egid or gid in creds.groups for gid in (self.gid, self.creator_gid)):
            granted >>= 3
        if asked & ~granted & 7 and not creds.has_capability(CAP_IPC_OWNER):
            raise SysError(EACCES)

    def check_owner(self, creds: Credentials) -> None:
        """SysError(EPERM) unless the caller may change or remove the object."""
        if creds.euid not in (self.uid, self.creator_uid):
            if not creds.has_capability(CAP_SYS_ADMIN):
                raise SysError(EPERM)

    def is_too_small(self, size: int) -> bool:
        """Return whether the object has less than who asks for it by its key wants."""
        return False


@mypyc_attr(allow_interpreted_subclasses=True)
class IpcTable:
    """All objects of one kind."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.objects: dict[int, IpcObject] = {}  # by index
        self._by_key: dict[int, IpcObject] = {}
        self._last_index = -1
        self._sequence = 0

    def find(self, number: int) -> IpcObject:
        """Return the object of an identifier; SysError(EINVAL, EIDRM)."""
        if number < 0:
            raise SysError(EINVAL)
        found = self.objects.get(number & INDEX_MASK)
        if found is None:
            raise SysError(EINVAL)
        if found.number != number:
            raise SysError(EIDRM)
        return found

    def at(self, index: int) -> IpcObject:
        """Return the object at an index, as the STAT commands of ipcs(1) ask; SysError(EINVAL)."""
        found = self.objects.get(index & INDEX_MASK) if index >= 0 else None
        if found is None:
            raise SysError(EINVAL)
        return found

    def existing(self, key: int, size: int, flags: int, creds: Credentials) -> IpcObject | None:
        """Return what has the key already; None: a new object is to be made (ipcget)."""
        if key == IPC_PRIVATE:
            return None
        found = self._by_key.get(key)
        if found is None:
            if not flags & IPC_CREAT:
                raise SysError(ENOENT)
            return None
        if flags & IPC_CREAT and flags & IPC_EXCL:
            raise SysError(EEXIST)
        if found.is_too_small(size):
            raise SysError(EINVAL)
        found.check(creds, flags)
        return found

    def check_room(self) -> None:
        """SysError(ENOSPC) if there are too many objects for another one."""
        if len(self.objects) >= self.most:
            raise SysError(ENOSPC)

    def add(self, made: IpcObject) -> int:
        """Enter a new object; return its identifier.  SysError(ENOSPC)."""
        self.check_room()
        limit = min(max(len(self.objects) * 3 // 2, MIN_CYCLE), self.most)
        index = self._last_index
        while True:
            index = index + 1 if index + 1 < limit else 0
            if index not in self.objects:
                break
        if index <= self._last_index:
            self._sequence = (self._sequence + 1) % SEQUENCE_MAX
        self._last_index = index
        made.sequence = self._sequence
        made.number = self._sequence << INDEX_BITS | index
        self.objects[index] = made
        if made.key != IPC_PRIVATE:
            self._by_key[made.key] = made
        return made.number

    def forget_key(self, gone: IpcObject) -> None:
        """Have nobody find an object by its key any more."""
        if self._by_key.get(gone.key) is gone:
            del self._by_key[gone.key]
        gone.key = IPC_PRIVATE

    def remove(self, gone: IpcObject) -> None:
        """Take an object out."""
        gone.is_removed = True
        self.forget_key(gone)
        del self.objects[gone.number & INDEX_MASK]

    def highest_index(self) -> int:
        """Return the highest index in use, 0 if there is none (IPC_INFO)."""
        return max(self.objects, default=0)
