"""Host calls that Python's os module lacks, typed, over the C extension `_host`.

Every function raises OSError when the host refuses.  Paths are str or bytes
as in os; a path of None is the NULL of mount(2).  Importing this module costs
no more than the extension: it stays on the way of `create` and `start`.
"""

from __future__ import annotations

import fcntl
import os
import struct

from runsc.sandbox._host import ffi as _ffi
from runsc.sandbox._host import lib as _lib

# `typing` costs more than all the rest of this module: type checkers alone load it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# namespaces(7), linux/sched.h
CLONE_NEWTIME: Final = 0x00000080
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

# mount(2)
MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_BIND: Final = 0x1000
MS_MOVE: Final = 0x2000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MNT_DETACH: Final = 2  # umount2(2)
UMOUNT_NOFOLLOW: Final = 8

# open_tree(2), move_mount(2), fsmount(2), linux/mount.h
AT_FDCWD: Final = -100
AT_SYMLINK_NOFOLLOW: Final = 0x100
AT_EMPTY_PATH: Final = 0x1000
AT_RECURSIVE: Final = 0x8000
OPEN_TREE_CLONE: Final = 1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
FSOPEN_CLOEXEC: Final = 1
FSMOUNT_CLOEXEC: Final = 1
_FSCONFIG_SET_STRING: Final = 1
_FSCONFIG_CMD_CREATE: Final = 6
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8

# prctl(2)
PR_SET_PDEATHSIG: Final = 1
PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4
PR_SET_NAME: Final = 15
PR_CAPBSET_READ: Final = 23
PR_CAPBSET_DROP: Final = 24
PR_SET_SECUREBITS: Final = 28
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_GET_NO_NEW_PRIVS: Final = 39
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

# SECBIT_NOROOT and _NO_SETUID_FIXUP with their locks, NO_CAP_AMBIENT_RAISE with its
# (capabilities(7)): being uid 0 is worth nothing from then on.
SECUREBITS_LOCKED: Final = 0x1 | 0x2 | 0x4 | 0x8 | 0x40 | 0x80

ETHTOOL_GTXCSUM: Final = 0x16
ETHTOOL_GTSO: Final = 0x1E
ETHTOOL_GGSO: Final = 0x23
_SIOCETHTOOL: Final = 0x8946

CAPABILITIES: Final = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""Names in the order of their numbers (linux/capability.h)."""

Path = str | bytes


def _check(result: int, path: Path | None = None) -> int:
    """Return a call's result, or raise OSError for -errno."""
    if result >= 0:
        return result
    if path is None:
        raise OSError(-result, os.strerror(-result))
    raise OSError(-result, os.strerror(-result), os.fsdecode(path))


def _encode(path: Path | None) -> object:
    """Return what cffi passes as a `const char *`; NUL bytes are refused."""
    if path is None:
        return _ffi.NULL
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded


def unshare(flags: int) -> None:
    """Leave the namespaces of `flags` for new ones (unshare(2))."""
    _check(_lib.host_unshare(flags))


def setns(fd: int, kind: int = 0) -> None:
    """Enter the namespace of a descriptor (setns(2)); `kind` is a CLONE_NEW flag to insist on."""
    _check(_lib.host_setns(fd, kind))


def mount(
    source: Path | None,
    target: Path,
    kind: Path | None = None,
    flags: int = 0,
    data: Path | None = None,
) -> None:
    """Mount a file system, or change a mount (mount(2))."""
    result = _lib.host_mount(_encode(source), _encode(target), _encode(kind), flags, _encode(data))
    _check(result, target)


def umount2(target: Path, flags: int = 0) -> None:
    """Take a mount away (umount2(2))."""
    _check(_lib.host_umount2(_encode(target), flags), target)


def pivot_root(new_root: Path, put_old: Path) -> None:
    """Make `new_root` the root of this mount namespace (pivot_root(2))."""
    _check(_lib.host_pivot_root(_encode(new_root), _encode(put_old)), new_root)


def open_tree(dir_fd: int, path: Path, flags: int) -> int:
    """Return an O_PATH descriptor of a mount tree, or of a detached clone of it (open_tree(2))."""
    return _check(_lib.host_open_tree(dir_fd, _encode(path), flags), path)


def move_mount(from_fd: int, source: Path, to_fd: int, target: Path, flags: int = 0) -> None:
    """Attach or move a mount (move_mount(2))."""
    result = _lib.host_move_mount(from_fd, _encode(source), to_fd, _encode(target), flags)
    _check(result, target)


def mount_setattr(
    dir_fd: int, path: Path, flags: int, *, add: int = 0, clear: int = 0, propagation: int = 0
) -> None:
    """Change the MOUNT_ATTR_ bits of a mount or a tree of mounts (mount_setattr(2))."""
    result = _lib.host_mount_setattr(dir_fd, _encode(path), flags, add, clear, propagation)
    _check(result, path)


def mount_detached(kind: str, options: tuple[tuple[str, str], ...], attributes: int) -> int:
    """Return a directory descriptor of a new file system that is attached nowhere.

    fsopen, fsconfig and fsmount (linux/mount.h); the file system lives as long
    as the descriptor, and no path leads to it.
    """
    fs_fd = _check(_lib.host_fsopen(_encode(kind), FSOPEN_CLOEXEC))
    try:
        for key, value in options:
            result = _lib.host_fsconfig(
                fs_fd, _FSCONFIG_SET_STRING, _encode(key), _encode(value), 0
            )
            _check(result)
        _check(_lib.host_fsconfig(fs_fd, _FSCONFIG_CMD_CREATE, _ffi.NULL, _ffi.NULL, 0))
        return _check(_lib.host_fsmount(fs_fd, FSMOUNT_CLOEXEC, attributes))
    finally:
        os.close(fs_fd)


def close_range(first: int, last: int) -> None:
    """Close every descriptor from `first` to `last`, both included (close_range(2))."""
    _check(_lib.host_close_range(first, last, 0))


def sethostname(name: str) -> None:
    """Set the host name of this UTS namespace (sethostname(2))."""
    encoded = name.encode()
    _check(_lib.host_sethostname(encoded, len(encoded)))


def setdomainname(name: str) -> None:
    """Set the NIS domain name of this UTS namespace (setdomainname(2))."""
    encoded = name.encode()
    _check(_lib.host_setdomainname(encoded, len(encoded)))


def prctl(option: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    """Return the result of prctl(2) with integer arguments."""
    return _check(_lib.host_prctl(option, a, b, c, d))


def set_process_name(name: str) -> None:
    """Set the name in /proc/PID/comm, cut to 15 bytes (PR_SET_NAME)."""
    text = _ffi.new("char[16]", name.encode()[:15])
    prctl(PR_SET_NAME, int(_ffi.cast("unsigned long", text)))


def drop_bounding_set(keep: int) -> None:
    """Drop every capability outside the mask `keep` from the bounding set (capabilities(7))."""
    for number in range(64):
        if keep >> number & 1:
            continue
        # EINVAL: the host's kernel has no capability of this number nor above.
        if _lib.host_prctl(PR_CAPBSET_READ, number, 0, 0, 0) < 0:
            return
        prctl(PR_CAPBSET_DROP, number)


def clear_ambient_set() -> None:
    """Empty the ambient set (PR_CAP_AMBIENT_CLEAR_ALL)."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)


def capget() -> tuple[int, int, int]:
    """Return the effective, permitted and inheritable sets of this thread as masks (capget(2))."""
    sets = _ffi.new("uint64_t[3]")
    _check(_lib.host_capget(sets, sets + 1, sets + 2))
    return int(sets[0]), int(sets[1]), int(sets[2])


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set the capability sets of this thread from masks (capset(2))."""
    _check(_lib.host_capset(effective, permitted, inheritable))


def capability_mask(names: tuple[str, ...] | list[str]) -> int:
    """Return the mask of capability names; ValueError for a name that Linux does not have."""
    mask = 0
    for name in names:
        mask |= 1 << CAPABILITIES.index(name)
    return mask


def signalfd(numbers: tuple[int, ...]) -> int:
    """Block signals and return a non-blocking descriptor that reads them (signalfd(2))."""
    mask = 0
    for number in numbers:
        mask |= 1 << (number - 1)
    return _check(_lib.host_signalfd(mask))


def ethtool_value(socket_fd: int, interface: str, command: int) -> int:
    """Return what one of the ETHTOOL_G commands says of an interface (linux/ethtool.h)."""
    value = _ffi.new("uint32_t[2]", [command, 0])  # struct ethtool_value
    name = interface.encode("utf-8", "surrogateescape")
    pointer = int(_ffi.cast("uintptr_t", value))
    request = struct.pack("16sP16x", name, pointer)  # struct ifreq, netdevice(7)
    fcntl.ioctl(socket_fd, _SIOCETHTOOL, request)
    return int(value[1])


def report_refused_calls(fd: int) -> None:
    """Name on `fd` the call for which the filter traps, then end with status 2 (seccomp(2))."""
    _check(_lib.host_report_refused_calls(fd))
