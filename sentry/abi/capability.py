"""Numbers and names of capabilities(7), and the structs of capget(2) (linux/capability.h)."""

from struct import Struct
from typing import Final

CAP_CHOWN: Final = 0
CAP_DAC_OVERRIDE: Final = 1
CAP_DAC_READ_SEARCH: Final = 2
CAP_FOWNER: Final = 3
CAP_FSETID: Final = 4
CAP_KILL: Final = 5
CAP_SETGID: Final = 6
CAP_SETUID: Final = 7
CAP_SETPCAP: Final = 8
CAP_LINUX_IMMUTABLE: Final = 9
CAP_NET_BIND_SERVICE: Final = 10
CAP_NET_BROADCAST: Final = 11
CAP_NET_ADMIN: Final = 12
CAP_NET_RAW: Final = 13
CAP_IPC_LOCK: Final = 14
CAP_IPC_OWNER: Final = 15
CAP_SYS_MODULE: Final = 16
CAP_SYS_RAWIO: Final = 17
CAP_SYS_CHROOT: Final = 18
CAP_SYS_PTRACE: Final = 19
CAP_SYS_PACCT: Final = 20
CAP_SYS_ADMIN: Final = 21
CAP_SYS_BOOT: Final = 22
CAP_SYS_NICE: Final = 23
CAP_SYS_RESOURCE: Final = 24
CAP_SYS_TIME: Final = 25
CAP_SYS_TTY_CONFIG: Final = 26
CAP_MKNOD: Final = 27
CAP_LEASE: Final = 28
CAP_AUDIT_WRITE: Final = 29
CAP_AUDIT_CONTROL: Final = 30
CAP_SETFCAP: Final = 31
CAP_MAC_OVERRIDE: Final = 32
CAP_MAC_ADMIN: Final = 33
CAP_SYSLOG: Final = 34
CAP_WAKE_ALARM: Final = 35
CAP_BLOCK_SUSPEND: Final = 36
CAP_AUDIT_READ: Final = 37
CAP_PERFMON: Final = 38
CAP_BPF: Final = 39
CAP_CHECKPOINT_RESTORE: Final = 40
CAP_LAST_CAP: Final = 40

CAP_FULL_SET: Final = (1 << (CAP_LAST_CAP + 1)) - 1

_LINUX_CAPABILITY_VERSION_1: Final = 0x1998_0330
_LINUX_CAPABILITY_VERSION_2: Final = 0x2007_1026
_LINUX_CAPABILITY_VERSION_3: Final = 0x2008_0522

NUMBERS: Final[dict[str, int]] = {
    "CAP_CHOWN": CAP_CHOWN,
    "CAP_DAC_OVERRIDE": CAP_DAC_OVERRIDE,
    "CAP_DAC_READ_SEARCH": CAP_DAC_READ_SEARCH,
    "CAP_FOWNER": CAP_FOWNER,
    "CAP_FSETID": CAP_FSETID,
    "CAP_KILL": CAP_KILL,
    "CAP_SETGID": CAP_SETGID,
    "CAP_SETUID": CAP_SETUID,
    "CAP_SETPCAP": CAP_SETPCAP,
    "CAP_LINUX_IMMUTABLE": CAP_LINUX_IMMUTABLE,
    "CAP_NET_BIND_SERVICE": CAP_NET_BIND_SERVICE,
    "CAP_NET_BROADCAST": CAP_NET_BROADCAST,
    "CAP_NET_ADMIN": CAP_NET_ADMIN,
    "CAP_NET_RAW": CAP_NET_RAW,
    "CAP_IPC_LOCK": CAP_IPC_LOCK,
    "CAP_IPC_OWNER": CAP_IPC_OWNER,
    "CAP_SYS_MODULE": CAP_SYS_MODULE,
    "CAP_SYS_RAWIO": CAP_SYS_RAWIO,
    "CAP_SYS_CHROOT": CAP_SYS_CHROOT,
    "CAP_SYS_PTRACE": CAP_SYS_PTRACE,
    "CAP_SYS_PACCT": CAP_SYS_PACCT,
    "CAP_SYS_ADMIN": CAP_SYS_ADMIN,
    "CAP_SYS_BOOT": CAP_SYS_BOOT,
    "CAP_SYS_NICE": CAP_SYS_NICE,
    "CAP_SYS_RESOURCE": CAP_SYS_RESOURCE,
    "CAP_SYS_TIME": CAP_SYS_TIME,
    "CAP_SYS_TTY_CONFIG": CAP_SYS_TTY_CONFIG,
    "CAP_MKNOD": CAP_MKNOD,
    "CAP_LEASE": CAP_LEASE,
    "CAP_AUDIT_WRITE": CAP_AUDIT_WRITE,
    "CAP_AUDIT_CONTROL": CAP_AUDIT_CONTROL,
    "CAP_SETFCAP": CAP_SETFCAP,
    "CAP_MAC_OVERRIDE": CAP_MAC_OVERRIDE,
    "CAP_MAC_ADMIN": CAP_MAC_ADMIN,
    "CAP_SYSLOG": CAP_SYSLOG,
    "CAP_WAKE_ALARM": CAP_WAKE_ALARM,
    "CAP_BLOCK_SUSPEND": CAP_BLOCK_SUSPEND,
    "CAP_AUDIT_READ": CAP_AUDIT_READ,
    "CAP_PERFMON": CAP_PERFMON,
    "CAP_BPF": CAP_BPF,
    "CAP_CHECKPOINT_RESTORE": CAP_CHECKPOINT_RESTORE,
}
"""The number of each capability, by the name that config.json uses."""

CAP_HEADER_SIZE: Final = 8
CAP_DATA_SIZE: Final = 24  # of versions 2 and 3: two halves
_HEADER: Final = Struct("<Ii")  # version, pid
_DATA: Final = Struct("<6I")  # effective, permitted, inheritable; low halves first

# The xattr security.capability (struct vfs_cap_data).
VFS_CAP_REVISION_MASK: Final = 0xFF00_0000
VFS_CAP_REVISION_2: Final = 0x0200_0000
VFS_CAP_REVISION_3: Final = 0x0300_0000
VFS_CAP_FLAGS_EFFECTIVE: Final = 0x1


def unpack_cap_header(data: bytes) -> tuple[int, int]:
    """Return version and pid of a struct __user_cap_header_struct."""
    version, pid = _HEADER.unpack_from(data, 0)
    return version, pid


def pack_cap_data(effective: int, permitted: int, inheritable: int) -> bytes:
    """Return the two __user_cap_data_struct of three capability sets."""
    return _DATA.pack(
        effective & 0xFFFF_FFFF,
        permitted & 0xFFFF_FFFF,
        inheritable & 0xFFFF_FFFF,
        effective >> 32,
        permitted >> 32,
        inheritable >> 32,
    )


def unpack_cap_data(data: bytes) -> tuple[int, int, int]:
    """Return the effective, permitted and inheritable set of two __user_cap_data_struct."""
    e_low, p_low, i_low, e_high, p_high, i_high = _DATA.unpack_from(data, 0)
    return e_low | e_high << 32, p_low | p_high << 32, i_low | i_high << 32
