"""Error numbers of the guest (errno(3), asm-generic/errno.h) and their names."""

from typing import Final

EPERM: Final = 1
ENOENT: Final = 2
ESRCH: Final = 3
EINTR: Final = 4
EIO: Final = 5
ENXIO: Final = 6
E2BIG: Final = 7
ENOEXEC: Final = 8
EBADF: Final = 9
ECHILD: Final = 10
EAGAIN: Final = 11
ENOMEM: Final = 12
EACCES: Final = 13
EFAULT: Final = 14
ENOTBLK: Final = 15
EBUSY: Final = 16
EEXIST: Final = 17
EXDEV: Final = 18
ENODEV: Final = 19
ENOTDIR: Final = 20
EISDIR: Final = 21
EINVAL: Final = 22
ENFILE: Final = 23
EMFILE: Final = 24
ENOTTY: Final = 25
ETXTBSY: Final = 26
EFBIG: Final = 27
ENOSPC: Final = 28
ESPIPE: Final = 29
EROFS: Final = 30
EMLINK: Final = 31
EPIPE: Final = 32
EDOM: Final = 33
ERANGE: Final = 34
EDEADLK: Final = 35
ENAMETOOLONG: Final = 36
ENOLCK: Final = 37
ENOSYS: Final = 38
ENOTEMPTY: Final = 39
ELOOP: Final = 40
ENOMSG: Final = 42
EIDRM: Final = 43
ECHRNG: Final = 44
EL2NSYNC: Final = 45
EL3HLT: Final = 46
EL3RST: Final = 47
ELNRNG: Final = 48
EUNATCH: Final = 49
ENOCSI: Final = 50
EL2HLT: Final = 51
EBADE: Final = 52
EBADR: Final = 53
EXFULL: Final = 54
ENOANO: Final = 55
EBADRQC: Final = 56
EBADSLT: Final = 57
EBFONT: Final = 59
ENOSTR: Final = 60
ENODATA: Final = 61
ETIME: Final = 62
ENOSR: Final = 63
ENONET: Final = 64
ENOPKG: Final = 65
EREMOTE: Final = 66
ENOLINK: Final = 67
EADV: Final = 68
ESRMNT: Final = 69
ECOMM: Final = 70
EPROTO: Final = 71
EMULTIHOP: Final = 72
EDOTDOT: Final = 73
EBADMSG: Final = 74
EOVERFLOW: Final = 75
ENOTUNIQ: Final = 76
EBADFD: Final = 77
EREMCHG: Final = 78
ELIBACC: Final = 79
ELIBBAD: Final = 80
ELIBSCN: Final = 81
ELIBMAX: Final = 82
ELIBEXEC: Final = 83
EILSEQ: Final = 84
ERESTART: Final = 85
ESTRPIPE: Final = 86
EUSERS: Final = 87
ENOTSOCK: Final = 88
EDESTADDRREQ: Final = 89
EMSGSIZE: Final = 90
EPROTOTYPE: Final = 91
ENOPROTOOPT: Final = 92
EPROTONOSUPPORT: Final = 93
ESOCKTNOSUPPORT: Final = 94
EOPNOTSUPP: Final = 95
EPFNOSUPPORT: Final = 96
EAFNOSUPPORT: Final = 97
EADDRINUSE: Final = 98
EADDRNOTAVAIL: Final = 99
ENETDOWN: Final = 100
ENETUNREACH: Final = 101
ENETRESET: Final = 102
ECONNABORTED: Final = 103
ECONNRESET: Final = 104
ENOBUFS: Final = 105
EISCONN: Final = 106
ENOTCONN: Final = 107
ESHUTDOWN: Final = 108
ETOOMANYREFS: Final = 109
ETIMEDOUT: Final = 110
ECONNREFUSED: Final = 111
EHOSTDOWN: Final = 112
EHOSTUNREACH: Final = 113
EALREADY: Final = 114
EINPROGRESS: Final = 115
ESTALE: Final = 116
EUCLEAN: Final = 117
ENOTNAM: Final = 118
ENAVAIL: Final = 119
EISNAM: Final = 120
EREMOTEIO: Final = 121
EDQUOT: Final = 122
ENOMEDIUM: Final = 123
EMEDIUMTYPE: Final = 124
ECANCELED: Final = 125
ENOKEY: Final = 126
EKEYEXPIRED: Final = 127
EKEYREVOKED: Final = 128
EKEYREJECTED: Final = 129
EOWNERDEAD: Final = 130
ENOTRECOVERABLE: Final = 131
ERFKILL: Final = 132
EHWPOISON: Final = 133

EWOULDBLOCK: Final = 11  # the same as EAGAIN
EDEADLOCK: Final = 35  # the same as EDEADLK
ENOTSUP: Final = 95  # the same as EOPNOTSUPP

# Results inside the kernel only (linux/errno.h): what to do with a call that a signal ended.
ERESTARTSYS: Final = 512  # rerun it if the handler has SA_RESTART, else EINTR
ERESTARTNOINTR: Final = 513  # always rerun it
ERESTARTNOHAND: Final = 514  # rerun it if no handler runs, else EINTR
ENOIOCTLCMD: Final = 515  # no such ioctl; the guest sees ENOTTY
ERESTART_RESTARTBLOCK: Final = 516  # continue with restart_syscall(2), else EINTR

NAMES: Final[dict[int, str]] = {
    EPERM: "EPERM",
    ENOENT: "ENOENT",
    ESRCH: "ESRCH",
    EINTR: "EINTR",
    EIO: "EIO",
    ENXIO: "ENXIO",
    E2BIG: "E2BIG",
    ENOEXEC: "ENOEXEC",
    EBADF: "EBADF",
    ECHILD: "ECHILD",
    EAGAIN: "EAGAIN",
    ENOMEM: "ENOMEM",
    EACCES: "EACCES",
    EFAULT: "EFAULT",
    ENOTBLK: "ENOTBLK",
    EBUSY: "EBUSY",
    EEXIST: "EEXIST",
    EXDEV: "EXDEV",
    ENODEV: "ENODEV",
    ENOTDIR: "ENOTDIR",
    EISDIR: "EISDIR",
    EINVAL: "EINVAL",
    ENFILE: "ENFILE",
    EMFILE: "EMFILE",
    ENOTTY: "ENOTTY",
    ETXTBSY: "ETXTBSY",
    EFBIG: "EFBIG",
    ENOSPC: "ENOSPC",
    ESPIPE: "ESPIPE",
    EROFS: "EROFS",
    EMLINK: "EMLINK",
    EPIPE: "EPIPE",
    EDOM: "EDOM",
    ERANGE: "ERANGE",
    EDEADLK: "EDEADLK",
    ENAMETOOLONG: "ENAMETOOLONG",
    ENOLCK: "ENOLCK",
    ENOSYS: "ENOSYS",
    ENOTEMPTY: "ENOTEMPTY",
    ELOOP: "ELOOP",
    ENOMSG: "ENOMSG",
    EIDRM: "EIDRM",
    ECHRNG: "ECHRNG",
    EL2NSYNC: "EL2NSYNC",
    EL3HLT: "EL3HLT",
    EL3RST: "EL3RST",
    ELNRNG: "ELNRNG",
    EUNATCH: "EUNATCH",
    ENOCSI: "ENOCSI",
    EL2HLT: "EL2HLT",
    EBADE: "EBADE",
    EBADR: "EBADR",
    EXFULL: "EXFULL",
    ENOANO: "ENOANO",
    EBADRQC: "EBADRQC",
    EBADSLT: "EBADSLT",
    EBFONT: "EBFONT",
    ENOSTR: "ENOSTR",
    ENODATA: "ENODATA",
    ETIME: "ETIME",
    ENOSR: "ENOSR",
    ENONET: "ENONET",
    ENOPKG: "ENOPKG",
    EREMOTE: "EREMOTE",
    ENOLINK: "ENOLINK",
    EADV: "EADV",
    ESRMNT: "ESRMNT",
    ECOMM: "ECOMM",
    EPROTO: "EPROTO",
    EMULTIHOP: "EMULTIHOP",
    EDOTDOT: "EDOTDOT",
    EBADMSG: "EBADMSG",
    EOVERFLOW: "EOVERFLOW",
    ENOTUNIQ: "ENOTUNIQ",
    EBADFD: "EBADFD",
    EREMCHG: "EREMCHG",
    ELIBACC: "ELIBACC",
    ELIBBAD: "ELIBBAD",
    ELIBSCN: "ELIBSCN",
    ELIBMAX: "ELIBMAX",
    ELIBEXEC: "ELIBEXEC",
    EILSEQ: "EILSEQ",
    ERESTART: "ERESTART",
    ESTRPIPE: "ESTRPIPE",
    EUSERS: "EUSERS",
    ENOTSOCK: "ENOTSOCK",
    EDESTADDRREQ: "EDESTADDRREQ",
    EMSGSIZE: "EMSGSIZE",
    EPROTOTYPE: "EPROTOTYPE",
    ENOPROTOOPT: "ENOPROTOOPT",
    EPROTONOSUPPORT: "EPROTONOSUPPORT",
    ESOCKTNOSUPPORT: "ESOCKTNOSUPPORT",
    EOPNOTSUPP: "EOPNOTSUPP",
    EPFNOSUPPORT: "EPFNOSUPPORT",
    EAFNOSUPPORT: "EAFNOSUPPORT",
    EADDRINUSE: "EADDRINUSE",
    EADDRNOTAVAIL: "EADDRNOTAVAIL",
    ENETDOWN: "ENETDOWN",
    ENETUNREACH: "ENETUNREACH",
    ENETRESET: "ENETRESET",
    ECONNABORTED: "ECONNABORTED",
    ECONNRESET: "ECONNRESET",
    ENOBUFS: "ENOBUFS",
    EISCONN: "EISCONN",
    ENOTCONN: "ENOTCONN",
    ESHUTDOWN: "ESHUTDOWN",
    ETOOMANYREFS: "ETOOMANYREFS",
    ETIMEDOUT: "ETIMEDOUT",
    ECONNREFUSED: "ECONNREFUSED",
    EHOSTDOWN: "EHOSTDOWN",
    EHOSTUNREACH: "EHOSTUNREACH",
    EALREADY: "EALREADY",
    EINPROGRESS: "EINPROGRESS",
    ESTALE: "ESTALE",
    EUCLEAN: "EUCLEAN",
    ENOTNAM: "ENOTNAM",
    ENAVAIL: "ENAVAIL",
    EISNAM: "EISNAM",
    EREMOTEIO: "EREMOTEIO",
    EDQUOT: "EDQUOT",
    ENOMEDIUM: "ENOMEDIUM",
    EMEDIUMTYPE: "EMEDIUMTYPE",
    ECANCELED: "ECANCELED",
    ENOKEY: "ENOKEY",
    EKEYEXPIRED: "EKEYEXPIRED",
    EKEYREVOKED: "EKEYREVOKED",
    EKEYREJECTED: "EKEYREJECTED",
    EOWNERDEAD: "EOWNERDEAD",
    ENOTRECOVERABLE: "ENOTRECOVERABLE",
    ERFKILL: "ERFKILL",
    EHWPOISON: "EHWPOISON",
    ERESTARTSYS: "ERESTARTSYS",
    ERESTARTNOINTR: "ERESTARTNOINTR",
    ERESTARTNOHAND: "ERESTARTNOHAND",
    ENOIOCTLCMD: "ENOIOCTLCMD",
    ERESTART_RESTARTBLOCK: "ERESTART_RESTARTBLOCK",
}
"""The name of each number."""

MESSAGES: Final[dict[int, str]] = {
    EPERM: "Operation not permitted",
    ENOENT: "No such file or directory",
    ESRCH: "No such process",
    EINTR: "Interrupted system call",
    EIO: "Input/output error",
    ENXIO: "No such device or address",
    E2BIG: "Argument list too long",
    ENOEXEC: "Exec format error",
    EBADF: "Bad file descriptor",
    ECHILD: "No child processes",
    EAGAIN: "Resource temporarily unavailable",
    ENOMEM: "Cannot allocate memory",
    EACCES: "Permission denied",
    EFAULT: "Bad address",
    ENOTBLK: "Block device required",
    EBUSY: "Device or resource busy",
    EEXIST: "File exists",
    EXDEV: "Invalid cross-device link",
    ENODEV: "No such device",
    ENOTDIR: "Not a directory",
    EISDIR: "Is a directory",
    EINVAL: "Invalid argument",
    ENFILE: "Too many open files in system",
    EMFILE: "Too many open files",
    ENOTTY: "Inappropriate ioctl for device",
    ETXTBSY: "Text file busy",
    EFBIG: "File too large",
    ENOSPC: "No space left on device",
    ESPIPE: "Illegal seek",
    EROFS: "Read-only file system",
    EMLINK: "Too many links",
    EPIPE: "Broken pipe",
    EDOM: "Numerical argument out of domain",
    ERANGE: "Numerical result out of range",
    EDEADLK: "Resource deadlock avoided",
    ENAMETOOLONG: "File name too long",
    ENOLCK: "No locks available",
    ENOSYS: "Function not implemented",
    ENOTEMPTY: "Directory not empty",
    ELOOP: "Too many levels of symbolic links",
    ENOMSG: "No message of desired type",
    EIDRM: "Identifier removed",
    ECHRNG: "Channel number out of range",
    EL2NSYNC: "Level 2 not synchronized",
    EL3HLT: "Level 3 halted",
    EL3RST: "Level 3 reset",
    ELNRNG: "Link number out of range",
    EUNATCH: "Protocol driver not attached",
    ENOCSI: "No CSI structure available",
    EL2HLT: "Level 2 halted",
    EBADE: "Invalid exchange",
    EBADR: "Invalid request descriptor",
    EXFULL: "Exchange full",
    ENOANO: "No anode",
    EBADRQC: "Invalid request code",
    EBADSLT: "Invalid slot",
    EBFONT: "Bad font file format",
    ENOSTR: "Device not a stream",
    ENODATA: "No data available",
    ETIME: "Timer expired",
    ENOSR: "Out of streams resources",
    ENONET: "Machine is not on the network",
    ENOPKG: "Package not installed",
    EREMOTE: "Object is remote",
    ENOLINK: "Link has been severed",
    EADV: "Advertise error",
    ESRMNT: "Srmount error",
    ECOMM: "Communication error on send",
    EPROTO: "Protocol error",
    EMULTIHOP: "Multihop attempted",
    EDOTDOT: "RFS specific error",
    EBADMSG: "Bad message",
    EOVERFLOW: "Value too large for defined data type",
    ENOTUNIQ: "Name not unique on network",
    EBADFD: "File descriptor in bad state",
    EREMCHG: "Remote address changed",
    ELIBACC: "Can not access a needed shared library",
    ELIBBAD: "Accessing a corrupted shared library",
    ELIBSCN: ".lib section in a.out corrupted",
    ELIBMAX: "Attempting to link in too many shared libraries",
    ELIBEXEC: "Cannot exec a shared library directly",
    EILSEQ: "Invalid or incomplete multibyte or wide character",
    ERESTART: "Interrupted system call should be restarted",
    ESTRPIPE: "Streams pipe error",
    EUSERS: "Too many users",
    ENOTSOCK: "Socket operation on non-socket",
    EDESTADDRREQ: "Destination address required",
    EMSGSIZE: "Message too long",
    EPROTOTYPE: "Protocol wrong type for socket",
    ENOPROTOOPT: "Protocol not available",
    EPROTONOSUPPORT: "Protocol not supported",
    ESOCKTNOSUPPORT: "Socket type not supported",
    EOPNOTSUPP: "Operation not supported",
    EPFNOSUPPORT: "Protocol family not supported",
    EAFNOSUPPORT: "Address family not supported by protocol",
    EADDRINUSE: "Address already in use",
    EADDRNOTAVAIL: "Cannot assign requested address",
    ENETDOWN: "Network is down",
    ENETUNREACH: "Network is unreachable",
    ENETRESET: "Network dropped connection on reset",
    ECONNABORTED: "Software caused connection abort",
    ECONNRESET: "Connection reset by peer",
    ENOBUFS: "No buffer space available",
    EISCONN: "Transport endpoint is already connected",
    ENOTCONN: "Transport endpoint is not connected",
    ESHUTDOWN: "Cannot send after transport endpoint shutdown",
    ETOOMANYREFS: "Too many references: cannot splice",
    ETIMEDOUT: "Connection timed out",
    ECONNREFUSED: "Connection refused",
    EHOSTDOWN: "Host is down",
    EHOSTUNREACH: "No route to host",
    EALREADY: "Operation already in progress",
    EINPROGRESS: "Operation now in progress",
    ESTALE: "Stale file handle",
    EUCLEAN: "Structure needs cleaning",
    ENOTNAM: "Not a XENIX named type file",
    ENAVAIL: "No XENIX semaphores available",
    EISNAM: "Is a named type file",
    EREMOTEIO: "Remote I/O error",
    EDQUOT: "Disk quota exceeded",
    ENOMEDIUM: "No medium found",
    EMEDIUMTYPE: "Wrong medium type",
    ECANCELED: "Operation canceled",
    ENOKEY: "Required key not available",
    EKEYEXPIRED: "Key has expired",
    EKEYREVOKED: "Key has been revoked",
    EKEYREJECTED: "Key was rejected by service",
    EOWNERDEAD: "Owner died",
    ENOTRECOVERABLE: "State not recoverable",
    ERFKILL: "Operation not possible due to RF-kill",
    EHWPOISON: "Memory page has hardware error",
}
"""What strerror(3) says of each number."""


def name(errno: int) -> str:
    """Return the name of an error number, or the number as text."""
    return NAMES.get(errno, str(errno))
