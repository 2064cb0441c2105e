"""File modes, and the structs of stat(2), statx(2) and statfs(2)."""

from struct import Struct
from typing import Final

from sentry.abi.mount import ST_VALID

# Kinds of files
S_IFMT: Final = 0o170000
S_IFSOCK: Final = 0o140000
S_IFLNK: Final = 0o120000
S_IFREG: Final = 0o100000
S_IFBLK: Final = 0o60000
S_IFDIR: Final = 0o40000
S_IFCHR: Final = 0o20000
S_IFIFO: Final = 0o10000

# Mode bits
S_ISUID: Final = 0o4000
S_ISGID: Final = 0o2000
S_ISVTX: Final = 0o1000
S_IRWXU: Final = 0o700
S_IRUSR: Final = 0o400
S_IWUSR: Final = 0o200
S_IXUSR: Final = 0o100
S_IRWXG: Final = 0o70
S_IRGRP: Final = 0o40
S_IWGRP: Final = 0o20
S_IXGRP: Final = 0o10
S_IRWXO: Final = 0o7
S_IROTH: Final = 0o4
S_IWOTH: Final = 0o2
S_IXOTH: Final = 0o1
S_IALLUGO: Final = 0o7777
S_IRWXUGO: Final = 0o777
S_IRUGO: Final = 0o444
S_IWUGO: Final = 0o222
S_IXUGO: Final = 0o111

# statx: mask
STATX_TYPE: Final = 0x1
STATX_MODE: Final = 0x2
STATX_NLINK: Final = 0x4
STATX_UID: Final = 0x8
STATX_GID: Final = 0x10
STATX_ATIME: Final = 0x20
STATX_MTIME: Final = 0x40
STATX_CTIME: Final = 0x80
STATX_INO: Final = 0x100
STATX_SIZE: Final = 0x200
STATX_BLOCKS: Final = 0x400
STATX_BASIC_STATS: Final = 0x7FF
STATX_BTIME: Final = 0x800
STATX_ALL: Final = 0xFFF
STATX_MNT_ID: Final = 0x1000
STATX_DIOALIGN: Final = 0x2000
STATX__RESERVED: Final = 0x8000_0000

# statx: attributes
STATX_ATTR_COMPRESSED: Final = 0x4
STATX_ATTR_IMMUTABLE: Final = 0x10
STATX_ATTR_APPEND: Final = 0x20
STATX_ATTR_NODUMP: Final = 0x40
STATX_ATTR_ENCRYPTED: Final = 0x800
STATX_ATTR_AUTOMOUNT: Final = 0x1000
STATX_ATTR_MOUNT_ROOT: Final = 0x2000
STATX_ATTR_VERITY: Final = 0x10_0000
STATX_ATTR_DAX: Final = 0x20_0000


STAT_SIZE: Final = 144
STATX_STRUCT_SIZE: Final = 256
STATFS_SIZE: Final = 120

# dev ino nlink mode uid gid pad rdev size blksize blocks, three times, three reserved
_STAT: Final = Struct("<QQQIIIIQqqq6q24x")
# mask blksize attributes nlink uid gid mode ino size blocks attributes_mask, four times, devices
_STATX: Final = Struct("<IIQIIIH2xQQQQqI4xqI4xqI4xqI4xIIIIQ104x")
_STATFS: Final = Struct("<qqQQQQQiiqqq32x")


class Stat:
    """What stat(2) and statx(2) tell of a file; times are in nanoseconds."""

    def __init__(self) -> None:
        self.dev = 0
        self.ino = 0
        self.nlink = 1
        self.mode = 0
        self.uid = 0
        self.gid = 0
        self.rdev = 0
        self.size = 0
        self.blksize = 4096
        self.blocks = 0  # of 512 bytes
        self.atime_ns = 0
        self.mtime_ns = 0
        self.ctime_ns = 0
        self.btime_ns = 0  # creation; 0 is not known
        self.mount_id = 0
        self.attributes = 0  # STATX_ATTR_
        self.attributes_mask = 0


def pack_stat(stat: Stat) -> bytes:
    """Return a struct stat (asm/stat.h), 144 bytes."""
    return _STAT.pack(
        stat.dev,
        stat.ino,
        stat.nlink,
        stat.mode,
        stat.uid,
        stat.gid,
        0,
        stat.rdev,
        stat.size,
        stat.blksize,
        stat.blocks,
        stat.atime_ns // 1_000_000_000,
        stat.atime_ns % 1_000_000_000,
        stat.mtime_ns // 1_000_000_000,
        stat.mtime_ns % 1_000_000_000,
        stat.ctime_ns // 1_000_000_000,
        stat.ctime_ns % 1_000_000_000,
    )


def pack_statx(stat: Stat) -> bytes:
    """Return a struct statx (linux/stat.h), 256 bytes, with all that `stat` knows."""
    mask = STATX_BASIC_STATS
    if stat.btime_ns:
        mask |= STATX_BTIME
    if stat.mount_id:
        mask |= STATX_MNT_ID
    return _STATX.pack(
        mask,
        stat.blksize,
        stat.attributes,
        stat.nlink,
        stat.uid,
        stat.gid,
        stat.mode,
        stat.ino,
        stat.size,
        stat.blocks,
        stat.attributes_mask,
        stat.atime_ns // 1_000_000_000,
        stat.atime_ns % 1_000_000_000,
        stat.btime_ns // 1_000_000_000,
        stat.btime_ns % 1_000_000_000,
        stat.ctime_ns // 1_000_000_000,
        stat.ctime_ns % 1_000_000_000,
        stat.mtime_ns // 1_000_000_000,
        stat.mtime_ns % 1_000_000_000,
        major(stat.rdev),
        minor(stat.rdev),
        major(stat.dev),
        minor(stat.dev),
        stat.mount_id,
    )


class StatFs:
    """What statfs(2) tells of a file system."""

    def __init__(self, kind: int) -> None:
        self.kind = kind  # f_type, a magic number
        self.block_size = 4096
        self.blocks = 0
        self.blocks_free = 0
        self.blocks_available = 0
        self.files = 0
        self.files_free = 0
        self.fsid_low = 0
        self.fsid_high = 0
        self.name_len = 255
        self.fragment_size = 4096
        self.flags = 0  # ST_


def pack_statfs(statfs: StatFs) -> bytes:
    """Return a struct statfs (asm-generic/statfs.h), 120 bytes."""
    return _STATFS.pack(
        statfs.kind,
        statfs.block_size,
        statfs.blocks,
        statfs.blocks_free,
        statfs.blocks_available,
        statfs.files,
        statfs.files_free,
        statfs.fsid_low,
        statfs.fsid_high,
        statfs.name_len,
        statfs.fragment_size,
        statfs.flags | ST_VALID,
    )


def makedev(major_number: int, minor_number: int) -> int:
    """Return the device number of stat(2) for two numbers (makedev(3))."""
    return (
        (minor_number & 0xFF)
        | (major_number & 0xFFF) << 8
        | (minor_number & ~0xFF) << 12
        | (major_number & ~0xFFF) << 32
    )


def major(device: int) -> int:
    """Return the major number of a device number."""
    return device >> 8 & 0xFFF | device >> 32 & ~0xFFF


def minor(device: int) -> int:
    """Return the minor number of a device number."""
    return device & 0xFF | device >> 12 & ~0xFF & 0xFFFF_FFFF


def is_dir(mode: int) -> bool:
    """Return whether `mode` is of a directory."""
    return mode & S_IFMT == S_IFDIR
