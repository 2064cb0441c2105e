"""Names of the flags and choices in calls on files and memory; sets of bits before their parts."""

from typing import Final

from sentry.abi import (
    eventfd,
    fcntl,
    inotify,
    ioctl,
    mman,
    mount,
    poll,
    signalfd,
    stat,
    timerfd,
    xattr,
)

OPEN_MODES: Final[dict[int, str]] = {
    fcntl.O_RDONLY: "O_RDONLY",
    fcntl.O_WRONLY: "O_WRONLY",
    fcntl.O_RDWR: "O_RDWR",
}

OPEN_FLAGS: Final[dict[int, str]] = {
    fcntl.O_SYNC: "O_SYNC",
    fcntl.O_TMPFILE: "O_TMPFILE",
    fcntl.O_CREAT: "O_CREAT",
    fcntl.O_EXCL: "O_EXCL",
    fcntl.O_NOCTTY: "O_NOCTTY",
    fcntl.O_TRUNC: "O_TRUNC",
    fcntl.O_APPEND: "O_APPEND",
    fcntl.O_NONBLOCK: "O_NONBLOCK",
    fcntl.O_DSYNC: "O_DSYNC",
    fcntl.FASYNC: "FASYNC",
    fcntl.O_DIRECT: "O_DIRECT",
    fcntl.O_LARGEFILE: "O_LARGEFILE",
    fcntl.O_DIRECTORY: "O_DIRECTORY",
    fcntl.O_NOFOLLOW: "O_NOFOLLOW",
    fcntl.O_NOATIME: "O_NOATIME",
    fcntl.O_CLOEXEC: "O_CLOEXEC",
    fcntl.O_PATH: "O_PATH",
}

AT_FLAGS: Final[dict[int, str]] = {
    fcntl.AT_SYMLINK_NOFOLLOW: "AT_SYMLINK_NOFOLLOW",
    fcntl.AT_REMOVEDIR: "AT_REMOVEDIR",
    fcntl.AT_SYMLINK_FOLLOW: "AT_SYMLINK_FOLLOW",
    fcntl.AT_NO_AUTOMOUNT: "AT_NO_AUTOMOUNT",
    fcntl.AT_EMPTY_PATH: "AT_EMPTY_PATH",
    fcntl.AT_STATX_FORCE_SYNC: "AT_STATX_FORCE_SYNC",
    fcntl.AT_STATX_DONT_SYNC: "AT_STATX_DONT_SYNC",
    fcntl.AT_RECURSIVE: "AT_RECURSIVE",
}

ACCESS_FLAGS: Final[dict[int, str]] = {
    fcntl.AT_SYMLINK_NOFOLLOW: "AT_SYMLINK_NOFOLLOW",
    fcntl.AT_EACCESS: "AT_EACCESS",
    fcntl.AT_EMPTY_PATH: "AT_EMPTY_PATH",
}

ACCESS_MODES: Final[dict[int, str]] = {
    fcntl.F_OK: "F_OK",
    fcntl.R_OK: "R_OK",
    fcntl.W_OK: "W_OK",
    fcntl.X_OK: "X_OK",
}

FCNTL_COMMANDS: Final[dict[int, str]] = {
    fcntl.F_DUPFD: "F_DUPFD",
    fcntl.F_GETFD: "F_GETFD",
    fcntl.F_SETFD: "F_SETFD",
    fcntl.F_GETFL: "F_GETFL",
    fcntl.F_SETFL: "F_SETFL",
    fcntl.F_GETLK: "F_GETLK",
    fcntl.F_SETLK: "F_SETLK",
    fcntl.F_SETLKW: "F_SETLKW",
    fcntl.F_SETOWN: "F_SETOWN",
    fcntl.F_GETOWN: "F_GETOWN",
    fcntl.F_SETSIG: "F_SETSIG",
    fcntl.F_GETSIG: "F_GETSIG",
    fcntl.F_SETOWN_EX: "F_SETOWN_EX",
    fcntl.F_GETOWN_EX: "F_GETOWN_EX",
    fcntl.F_GETOWNER_UIDS: "F_GETOWNER_UIDS",
    fcntl.F_OFD_GETLK: "F_OFD_GETLK",
    fcntl.F_OFD_SETLK: "F_OFD_SETLK",
    fcntl.F_OFD_SETLKW: "F_OFD_SETLKW",
    fcntl.F_SETLEASE: "F_SETLEASE",
    fcntl.F_GETLEASE: "F_GETLEASE",
    fcntl.F_NOTIFY: "F_NOTIFY",
    fcntl.F_DUPFD_QUERY: "F_DUPFD_QUERY",
    fcntl.F_CREATED_QUERY: "F_CREATED_QUERY",
    fcntl.F_CANCELLK: "F_CANCELLK",
    fcntl.F_DUPFD_CLOEXEC: "F_DUPFD_CLOEXEC",
    fcntl.F_SETPIPE_SZ: "F_SETPIPE_SZ",
    fcntl.F_GETPIPE_SZ: "F_GETPIPE_SZ",
    fcntl.F_ADD_SEALS: "F_ADD_SEALS",
    fcntl.F_GET_SEALS: "F_GET_SEALS",
    fcntl.F_GET_RW_HINT: "F_GET_RW_HINT",
    fcntl.F_SET_RW_HINT: "F_SET_RW_HINT",
    fcntl.F_GET_FILE_RW_HINT: "F_GET_FILE_RW_HINT",
    fcntl.F_SET_FILE_RW_HINT: "F_SET_FILE_RW_HINT",
}

FD_FLAGS: Final[dict[int, str]] = {
    fcntl.FD_CLOEXEC: "FD_CLOEXEC",
}

LOCK_TYPES: Final[dict[int, str]] = {
    fcntl.F_RDLCK: "F_RDLCK",
    fcntl.F_WRLCK: "F_WRLCK",
    fcntl.F_UNLCK: "F_UNLCK",
}

SEALS: Final[dict[int, str]] = {
    fcntl.F_SEAL_SEAL: "F_SEAL_SEAL",
    fcntl.F_SEAL_SHRINK: "F_SEAL_SHRINK",
    fcntl.F_SEAL_GROW: "F_SEAL_GROW",
    fcntl.F_SEAL_WRITE: "F_SEAL_WRITE",
    fcntl.F_SEAL_FUTURE_WRITE: "F_SEAL_FUTURE_WRITE",
    fcntl.F_SEAL_EXEC: "F_SEAL_EXEC",
}

FLOCK_OPERATIONS: Final[dict[int, str]] = {
    fcntl.LOCK_SH: "LOCK_SH",
    fcntl.LOCK_EX: "LOCK_EX",
    fcntl.LOCK_NB: "LOCK_NB",
    fcntl.LOCK_UN: "LOCK_UN",
}

WHENCE: Final[dict[int, str]] = {
    fcntl.SEEK_SET: "SEEK_SET",
    fcntl.SEEK_CUR: "SEEK_CUR",
    fcntl.SEEK_END: "SEEK_END",
    fcntl.SEEK_DATA: "SEEK_DATA",
    fcntl.SEEK_HOLE: "SEEK_HOLE",
}

RESOLVE_FLAGS: Final[dict[int, str]] = {
    fcntl.RESOLVE_NO_XDEV: "RESOLVE_NO_XDEV",
    fcntl.RESOLVE_NO_MAGICLINKS: "RESOLVE_NO_MAGICLINKS",
    fcntl.RESOLVE_NO_SYMLINKS: "RESOLVE_NO_SYMLINKS",
    fcntl.RESOLVE_BENEATH: "RESOLVE_BENEATH",
    fcntl.RESOLVE_IN_ROOT: "RESOLVE_IN_ROOT",
    fcntl.RESOLVE_CACHED: "RESOLVE_CACHED",
}

RENAME_FLAGS: Final[dict[int, str]] = {
    fcntl.RENAME_NOREPLACE: "RENAME_NOREPLACE",
    fcntl.RENAME_EXCHANGE: "RENAME_EXCHANGE",
    fcntl.RENAME_WHITEOUT: "RENAME_WHITEOUT",
}

FALLOC_FLAGS: Final[dict[int, str]] = {
    fcntl.FALLOC_FL_KEEP_SIZE: "FALLOC_FL_KEEP_SIZE",
    fcntl.FALLOC_FL_PUNCH_HOLE: "FALLOC_FL_PUNCH_HOLE",
    fcntl.FALLOC_FL_COLLAPSE_RANGE: "FALLOC_FL_COLLAPSE_RANGE",
    fcntl.FALLOC_FL_ZERO_RANGE: "FALLOC_FL_ZERO_RANGE",
    fcntl.FALLOC_FL_INSERT_RANGE: "FALLOC_FL_INSERT_RANGE",
    fcntl.FALLOC_FL_UNSHARE_RANGE: "FALLOC_FL_UNSHARE_RANGE",
}

FADVISE: Final[dict[int, str]] = {
    fcntl.POSIX_FADV_NORMAL: "POSIX_FADV_NORMAL",
    fcntl.POSIX_FADV_RANDOM: "POSIX_FADV_RANDOM",
    fcntl.POSIX_FADV_SEQUENTIAL: "POSIX_FADV_SEQUENTIAL",
    fcntl.POSIX_FADV_WILLNEED: "POSIX_FADV_WILLNEED",
    fcntl.POSIX_FADV_DONTNEED: "POSIX_FADV_DONTNEED",
    fcntl.POSIX_FADV_NOREUSE: "POSIX_FADV_NOREUSE",
}

SPLICE_FLAGS: Final[dict[int, str]] = {
    fcntl.SPLICE_F_MOVE: "SPLICE_F_MOVE",
    fcntl.SPLICE_F_NONBLOCK: "SPLICE_F_NONBLOCK",
    fcntl.SPLICE_F_MORE: "SPLICE_F_MORE",
    fcntl.SPLICE_F_GIFT: "SPLICE_F_GIFT",
}

CLOSE_RANGE_FLAGS: Final[dict[int, str]] = {
    fcntl.CLOSE_RANGE_UNSHARE: "CLOSE_RANGE_UNSHARE",
    fcntl.CLOSE_RANGE_CLOEXEC: "CLOSE_RANGE_CLOEXEC",
}

RWF_FLAGS: Final[dict[int, str]] = {
    fcntl.RWF_HIPRI: "RWF_HIPRI",
    fcntl.RWF_DSYNC: "RWF_DSYNC",
    fcntl.RWF_SYNC: "RWF_SYNC",
    fcntl.RWF_NOWAIT: "RWF_NOWAIT",
    fcntl.RWF_APPEND: "RWF_APPEND",
}

FILE_KINDS: Final[dict[int, str]] = {
    stat.S_IFSOCK: "S_IFSOCK",
    stat.S_IFLNK: "S_IFLNK",
    stat.S_IFREG: "S_IFREG",
    stat.S_IFBLK: "S_IFBLK",
    stat.S_IFDIR: "S_IFDIR",
    stat.S_IFCHR: "S_IFCHR",
    stat.S_IFIFO: "S_IFIFO",
}

STATX_MASK: Final[dict[int, str]] = {
    stat.STATX_ALL: "STATX_ALL",
    stat.STATX_BASIC_STATS: "STATX_BASIC_STATS",
    stat.STATX_TYPE: "STATX_TYPE",
    stat.STATX_MODE: "STATX_MODE",
    stat.STATX_NLINK: "STATX_NLINK",
    stat.STATX_UID: "STATX_UID",
    stat.STATX_GID: "STATX_GID",
    stat.STATX_ATIME: "STATX_ATIME",
    stat.STATX_MTIME: "STATX_MTIME",
    stat.STATX_CTIME: "STATX_CTIME",
    stat.STATX_INO: "STATX_INO",
    stat.STATX_SIZE: "STATX_SIZE",
    stat.STATX_BLOCKS: "STATX_BLOCKS",
    stat.STATX_BTIME: "STATX_BTIME",
    stat.STATX_MNT_ID: "STATX_MNT_ID",
    stat.STATX_DIOALIGN: "STATX_DIOALIGN",
}

XATTR_FLAGS: Final[dict[int, str]] = {
    xattr.XATTR_CREATE: "XATTR_CREATE",
    xattr.XATTR_REPLACE: "XATTR_REPLACE",
}

PROTECTION: Final[dict[int, str]] = {
    mman.PROT_NONE: "PROT_NONE",
    mman.PROT_READ: "PROT_READ",
    mman.PROT_WRITE: "PROT_WRITE",
    mman.PROT_EXEC: "PROT_EXEC",
    mman.PROT_SEM: "PROT_SEM",
    mman.PROT_GROWSDOWN: "PROT_GROWSDOWN",
    mman.PROT_GROWSUP: "PROT_GROWSUP",
}

MAP_KINDS: Final[dict[int, str]] = {
    mman.MAP_SHARED: "MAP_SHARED",
    mman.MAP_PRIVATE: "MAP_PRIVATE",
    mman.MAP_SHARED_VALIDATE: "MAP_SHARED_VALIDATE",
    mman.MAP_DROPPABLE: "MAP_DROPPABLE",
}

MAP_FLAGS: Final[dict[int, str]] = {
    mman.MAP_FIXED: "MAP_FIXED",
    mman.MAP_ANONYMOUS: "MAP_ANONYMOUS",
    mman.MAP_32BIT: "MAP_32BIT",
    mman.MAP_GROWSDOWN: "MAP_GROWSDOWN",
    mman.MAP_DENYWRITE: "MAP_DENYWRITE",
    mman.MAP_EXECUTABLE: "MAP_EXECUTABLE",
    mman.MAP_LOCKED: "MAP_LOCKED",
    mman.MAP_NORESERVE: "MAP_NORESERVE",
    mman.MAP_POPULATE: "MAP_POPULATE",
    mman.MAP_NONBLOCK: "MAP_NONBLOCK",
    mman.MAP_STACK: "MAP_STACK",
    mman.MAP_HUGETLB: "MAP_HUGETLB",
    mman.MAP_SYNC: "MAP_SYNC",
    mman.MAP_FIXED_NOREPLACE: "MAP_FIXED_NOREPLACE",
    mman.MAP_UNINITIALIZED: "MAP_UNINITIALIZED",
}

MREMAP_FLAGS: Final[dict[int, str]] = {
    mman.MREMAP_MAYMOVE: "MREMAP_MAYMOVE",
    mman.MREMAP_FIXED: "MREMAP_FIXED",
    mman.MREMAP_DONTUNMAP: "MREMAP_DONTUNMAP",
}

MSYNC_FLAGS: Final[dict[int, str]] = {
    mman.MS_ASYNC: "MS_ASYNC",
    mman.MS_INVALIDATE: "MS_INVALIDATE",
    mman.MS_SYNC: "MS_SYNC",
}

MCL_FLAGS: Final[dict[int, str]] = {
    mman.MCL_CURRENT: "MCL_CURRENT",
    mman.MCL_FUTURE: "MCL_FUTURE",
    mman.MCL_ONFAULT: "MCL_ONFAULT",
}

ADVICE: Final[dict[int, str]] = {
    mman.MADV_NORMAL: "MADV_NORMAL",
    mman.MADV_RANDOM: "MADV_RANDOM",
    mman.MADV_SEQUENTIAL: "MADV_SEQUENTIAL",
    mman.MADV_WILLNEED: "MADV_WILLNEED",
    mman.MADV_DONTNEED: "MADV_DONTNEED",
    mman.MADV_FREE: "MADV_FREE",
    mman.MADV_REMOVE: "MADV_REMOVE",
    mman.MADV_DONTFORK: "MADV_DONTFORK",
    mman.MADV_DOFORK: "MADV_DOFORK",
    mman.MADV_MERGEABLE: "MADV_MERGEABLE",
    mman.MADV_UNMERGEABLE: "MADV_UNMERGEABLE",
    mman.MADV_HUGEPAGE: "MADV_HUGEPAGE",
    mman.MADV_NOHUGEPAGE: "MADV_NOHUGEPAGE",
    mman.MADV_DONTDUMP: "MADV_DONTDUMP",
    mman.MADV_DODUMP: "MADV_DODUMP",
    mman.MADV_WIPEONFORK: "MADV_WIPEONFORK",
    mman.MADV_KEEPONFORK: "MADV_KEEPONFORK",
    mman.MADV_COLD: "MADV_COLD",
    mman.MADV_PAGEOUT: "MADV_PAGEOUT",
    mman.MADV_POPULATE_READ: "MADV_POPULATE_READ",
    mman.MADV_POPULATE_WRITE: "MADV_POPULATE_WRITE",
    mman.MADV_DONTNEED_LOCKED: "MADV_DONTNEED_LOCKED",
    mman.MADV_COLLAPSE: "MADV_COLLAPSE",
    mman.MADV_HWPOISON: "MADV_HWPOISON",
    mman.MADV_SOFT_OFFLINE: "MADV_SOFT_OFFLINE",
    mman.MADV_GUARD_INSTALL: "MADV_GUARD_INSTALL",
    mman.MADV_GUARD_REMOVE: "MADV_GUARD_REMOVE",
}

MEMFD_FLAGS: Final[dict[int, str]] = {
    mman.MFD_CLOEXEC: "MFD_CLOEXEC",
    mman.MFD_ALLOW_SEALING: "MFD_ALLOW_SEALING",
    mman.MFD_HUGETLB: "MFD_HUGETLB",
    mman.MFD_NOEXEC_SEAL: "MFD_NOEXEC_SEAL",
    mman.MFD_EXEC: "MFD_EXEC",
}

POLL_EVENTS: Final[dict[int, str]] = {
    poll.POLLIN: "POLLIN",
    poll.POLLPRI: "POLLPRI",
    poll.POLLOUT: "POLLOUT",
    poll.POLLERR: "POLLERR",
    poll.POLLHUP: "POLLHUP",
    poll.POLLNVAL: "POLLNVAL",
    poll.POLLRDNORM: "POLLRDNORM",
    poll.POLLRDBAND: "POLLRDBAND",
    poll.POLLWRNORM: "POLLWRNORM",
    poll.POLLWRBAND: "POLLWRBAND",
    poll.POLLMSG: "POLLMSG",
    poll.POLLREMOVE: "POLLREMOVE",
    poll.POLLRDHUP: "POLLRDHUP",
}

EPOLL_EVENTS: Final[dict[int, str]] = {
    poll.EPOLLIN: "EPOLLIN",
    poll.EPOLLPRI: "EPOLLPRI",
    poll.EPOLLOUT: "EPOLLOUT",
    poll.EPOLLERR: "EPOLLERR",
    poll.EPOLLHUP: "EPOLLHUP",
    poll.EPOLLRDNORM: "EPOLLRDNORM",
    poll.EPOLLRDBAND: "EPOLLRDBAND",
    poll.EPOLLWRNORM: "EPOLLWRNORM",
    poll.EPOLLWRBAND: "EPOLLWRBAND",
    poll.EPOLLMSG: "EPOLLMSG",
    poll.EPOLLRDHUP: "EPOLLRDHUP",
    poll.EPOLLEXCLUSIVE: "EPOLLEXCLUSIVE",
    poll.EPOLLWAKEUP: "EPOLLWAKEUP",
    poll.EPOLLONESHOT: "EPOLLONESHOT",
    poll.EPOLLET: "EPOLLET",
}

EPOLL_OPERATIONS: Final[dict[int, str]] = {
    poll.EPOLL_CTL_ADD: "EPOLL_CTL_ADD",
    poll.EPOLL_CTL_DEL: "EPOLL_CTL_DEL",
    poll.EPOLL_CTL_MOD: "EPOLL_CTL_MOD",
}

EVENTFD_FLAGS: Final[dict[int, str]] = {
    eventfd.EFD_SEMAPHORE: "EFD_SEMAPHORE",
    eventfd.EFD_NONBLOCK: "EFD_NONBLOCK",
    eventfd.EFD_CLOEXEC: "EFD_CLOEXEC",
}

SIGNALFD_FLAGS: Final[dict[int, str]] = {
    signalfd.SFD_NONBLOCK: "SFD_NONBLOCK",
    signalfd.SFD_CLOEXEC: "SFD_CLOEXEC",
}

TIMERFD_FLAGS: Final[dict[int, str]] = {
    timerfd.TFD_NONBLOCK: "TFD_NONBLOCK",
    timerfd.TFD_CLOEXEC: "TFD_CLOEXEC",
}

TIMERFD_SET_FLAGS: Final[dict[int, str]] = {
    timerfd.TFD_TIMER_ABSTIME: "TFD_TIMER_ABSTIME",
    timerfd.TFD_TIMER_CANCEL_ON_SET: "TFD_TIMER_CANCEL_ON_SET",
}

INOTIFY_FLAGS: Final[dict[int, str]] = {
    inotify.IN_NONBLOCK: "IN_NONBLOCK",
    inotify.IN_CLOEXEC: "IN_CLOEXEC",
}

INOTIFY_EVENTS: Final[dict[int, str]] = {
    inotify.IN_ALL_EVENTS: "IN_ALL_EVENTS",
    inotify.IN_ACCESS: "IN_ACCESS",
    inotify.IN_MODIFY: "IN_MODIFY",
    inotify.IN_ATTRIB: "IN_ATTRIB",
    inotify.IN_CLOSE_WRITE: "IN_CLOSE_WRITE",
    inotify.IN_CLOSE_NOWRITE: "IN_CLOSE_NOWRITE",
    inotify.IN_OPEN: "IN_OPEN",
    inotify.IN_MOVED_FROM: "IN_MOVED_FROM",
    inotify.IN_MOVED_TO: "IN_MOVED_TO",
    inotify.IN_CREATE: "IN_CREATE",
    inotify.IN_DELETE: "IN_DELETE",
    inotify.IN_DELETE_SELF: "IN_DELETE_SELF",
    inotify.IN_MOVE_SELF: "IN_MOVE_SELF",
    inotify.IN_ONLYDIR: "IN_ONLYDIR",
    inotify.IN_DONT_FOLLOW: "IN_DONT_FOLLOW",
    inotify.IN_EXCL_UNLINK: "IN_EXCL_UNLINK",
    inotify.IN_MASK_CREATE: "IN_MASK_CREATE",
    inotify.IN_MASK_ADD: "IN_MASK_ADD",
    inotify.IN_ISDIR: "IN_ISDIR",
    inotify.IN_ONESHOT: "IN_ONESHOT",
}

IOCTLS: Final[dict[int, str]] = {
    ioctl.FIONCLEX: "FIONCLEX",
    ioctl.FIOCLEX: "FIOCLEX",
    ioctl.FIONBIO: "FIONBIO",
    ioctl.FIOASYNC: "FIOASYNC",
    ioctl.FIONREAD: "FIONREAD",
    ioctl.FIOQSIZE: "FIOQSIZE",
    ioctl.FIGETBSZ: "FIGETBSZ",
    ioctl.FIBMAP: "FIBMAP",
    ioctl.FICLONE: "FICLONE",
    ioctl.FICLONERANGE: "FICLONERANGE",
    ioctl.FIDEDUPERANGE: "FIDEDUPERANGE",
    ioctl.FS_IOC_FIEMAP: "FS_IOC_FIEMAP",
    ioctl.FS_IOC_GETFLAGS: "FS_IOC_GETFLAGS",
    ioctl.FS_IOC_SETFLAGS: "FS_IOC_SETFLAGS",
    ioctl.FS_IOC_FSGETXATTR: "FS_IOC_FSGETXATTR",
    ioctl.FS_IOC_FSSETXATTR: "FS_IOC_FSSETXATTR",
    ioctl.BLKGETSIZE64: "BLKGETSIZE64",
    ioctl.TCGETS: "TCGETS",
    ioctl.TCSETS: "TCSETS",
    ioctl.TCSETSW: "TCSETSW",
    ioctl.TCSETSF: "TCSETSF",
    ioctl.TCGETA: "TCGETA",
    ioctl.TCSETA: "TCSETA",
    ioctl.TCSBRK: "TCSBRK",
    ioctl.TCXONC: "TCXONC",
    ioctl.TCFLSH: "TCFLSH",
    ioctl.TIOCEXCL: "TIOCEXCL",
    ioctl.TIOCNXCL: "TIOCNXCL",
    ioctl.TIOCSCTTY: "TIOCSCTTY",
    ioctl.TIOCGPGRP: "TIOCGPGRP",
    ioctl.TIOCSPGRP: "TIOCSPGRP",
    ioctl.TIOCOUTQ: "TIOCOUTQ",
    ioctl.TIOCSTI: "TIOCSTI",
    ioctl.TIOCGWINSZ: "TIOCGWINSZ",
    ioctl.TIOCSWINSZ: "TIOCSWINSZ",
    ioctl.TIOCMGET: "TIOCMGET",
    ioctl.TIOCLINUX: "TIOCLINUX",
    ioctl.TIOCCONS: "TIOCCONS",
    ioctl.TIOCPKT: "TIOCPKT",
    ioctl.TIOCNOTTY: "TIOCNOTTY",
    ioctl.TIOCSETD: "TIOCSETD",
    ioctl.TIOCGETD: "TIOCGETD",
    ioctl.TCSBRKP: "TCSBRKP",
    ioctl.TIOCGSID: "TIOCGSID",
    ioctl.TIOCGPTN: "TIOCGPTN",
    ioctl.TIOCSPTLCK: "TIOCSPTLCK",
    ioctl.TIOCGDEV: "TIOCGDEV",
    ioctl.TIOCSIG: "TIOCSIG",
    ioctl.TIOCVHANGUP: "TIOCVHANGUP",
    ioctl.TIOCGPKT: "TIOCGPKT",
    ioctl.TIOCGPTLCK: "TIOCGPTLCK",
    ioctl.TIOCGEXCL: "TIOCGEXCL",
    ioctl.TIOCGPTPEER: "TIOCGPTPEER",
    ioctl.TIOCGSERIAL: "TIOCGSERIAL",
    ioctl.KDGKBTYPE: "KDGKBTYPE",
    ioctl.VT_OPENQRY: "VT_OPENQRY",
    ioctl.TCGETS2: "TCGETS2",
    ioctl.TCSETS2: "TCSETS2",
    ioctl.TCSETSW2: "TCSETSW2",
    ioctl.TCSETSF2: "TCSETSF2",
    ioctl.SIOCATMARK: "SIOCATMARK",
    ioctl.SIOCSPGRP: "SIOCSPGRP",
    ioctl.SIOCGPGRP: "SIOCGPGRP",
    ioctl.SIOCGSTAMP_OLD: "SIOCGSTAMP_OLD",
    ioctl.SIOCGIFNAME: "SIOCGIFNAME",
    ioctl.SIOCGIFCONF: "SIOCGIFCONF",
    ioctl.SIOCGIFFLAGS: "SIOCGIFFLAGS",
    ioctl.SIOCSIFFLAGS: "SIOCSIFFLAGS",
    ioctl.SIOCGIFADDR: "SIOCGIFADDR",
    ioctl.SIOCSIFADDR: "SIOCSIFADDR",
    ioctl.SIOCGIFDSTADDR: "SIOCGIFDSTADDR",
    ioctl.SIOCGIFBRDADDR: "SIOCGIFBRDADDR",
    ioctl.SIOCGIFNETMASK: "SIOCGIFNETMASK",
    ioctl.SIOCGIFMETRIC: "SIOCGIFMETRIC",
    ioctl.SIOCGIFMTU: "SIOCGIFMTU",
    ioctl.SIOCSIFMTU: "SIOCSIFMTU",
    ioctl.SIOCGIFHWADDR: "SIOCGIFHWADDR",
    ioctl.SIOCGIFINDEX: "SIOCGIFINDEX",
    ioctl.SIOCGIFTXQLEN: "SIOCGIFTXQLEN",
    ioctl.SIOCETHTOOL: "SIOCETHTOOL",
}

MOUNT_FLAGS: Final[dict[int, str]] = {
    mount.MS_RDONLY: "MS_RDONLY",
    mount.MS_NOSUID: "MS_NOSUID",
    mount.MS_NODEV: "MS_NODEV",
    mount.MS_NOEXEC: "MS_NOEXEC",
    mount.MS_SYNCHRONOUS: "MS_SYNCHRONOUS",
    mount.MS_REMOUNT: "MS_REMOUNT",
    mount.MS_MANDLOCK: "MS_MANDLOCK",
    mount.MS_DIRSYNC: "MS_DIRSYNC",
    mount.MS_NOSYMFOLLOW: "MS_NOSYMFOLLOW",
    mount.MS_NOATIME: "MS_NOATIME",
    mount.MS_NODIRATIME: "MS_NODIRATIME",
    mount.MS_BIND: "MS_BIND",
    mount.MS_MOVE: "MS_MOVE",
    mount.MS_REC: "MS_REC",
    mount.MS_SILENT: "MS_SILENT",
    mount.MS_POSIXACL: "MS_POSIXACL",
    mount.MS_UNBINDABLE: "MS_UNBINDABLE",
    mount.MS_PRIVATE: "MS_PRIVATE",
    mount.MS_SLAVE: "MS_SLAVE",
    mount.MS_SHARED: "MS_SHARED",
    mount.MS_RELATIME: "MS_RELATIME",
    mount.MS_I_VERSION: "MS_I_VERSION",
    mount.MS_STRICTATIME: "MS_STRICTATIME",
    mount.MS_LAZYTIME: "MS_LAZYTIME",
}

UMOUNT_FLAGS: Final[dict[int, str]] = {
    mount.MNT_FORCE: "MNT_FORCE",
    mount.MNT_DETACH: "MNT_DETACH",
    mount.MNT_EXPIRE: "MNT_EXPIRE",
    mount.UMOUNT_NOFOLLOW: "UMOUNT_NOFOLLOW",
}

STATFS_TYPES: Final[dict[int, str]] = {
    mount.PROC_SUPER_MAGIC: "PROC_SUPER_MAGIC",
    mount.TMPFS_MAGIC: "TMPFS_MAGIC",
    mount.RAMFS_MAGIC: "RAMFS_MAGIC",
    mount.SYSFS_MAGIC: "SYSFS_MAGIC",
    mount.DEVPTS_SUPER_MAGIC: "DEVPTS_SUPER_MAGIC",
    mount.CGROUP_SUPER_MAGIC: "CGROUP_SUPER_MAGIC",
    mount.CGROUP2_SUPER_MAGIC: "CGROUP2_SUPER_MAGIC",
    mount.EXT4_SUPER_MAGIC: "EXT4_SUPER_MAGIC",
    mount.XFS_SUPER_MAGIC: "XFS_SUPER_MAGIC",
    mount.BTRFS_SUPER_MAGIC: "BTRFS_SUPER_MAGIC",
    mount.OVERLAYFS_SUPER_MAGIC: "OVERLAYFS_SUPER_MAGIC",
    mount.PIPEFS_MAGIC: "PIPEFS_MAGIC",
    mount.SOCKFS_MAGIC: "SOCKFS_MAGIC",
    mount.ANON_INODE_FS_MAGIC: "ANON_INODE_FS_MAGIC",
    mount.NSFS_MAGIC: "NSFS_MAGIC",
    mount.MQUEUE_MAGIC: "MQUEUE_MAGIC",
}
