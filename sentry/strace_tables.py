"""Which kinds of arguments every system call has, and how its result is shown.

A call that is not here, or with more arguments than Linux had when this was
written, shows six registers in hexadecimal.
"""

from typing import Final

from sentry import strace_file_flags as file_flags
from sentry import strace_flags as names
from sentry import strace_kinds as kinds
from sentry import strace_sockets as sockets
from sentry import strace_structs as structs
from sentry.abi import syscalls as sc

_HEX: Final = kinds.Kind()
_INT: Final = kinds.Int()
_FD: Final = kinds.Int()
_PID: Final = kinds.Int()
_UINT: Final = kinds.Uint()
_ID: Final = kinds.Uint()
_LONG: Final = kinds.Long()
_OFF: Final = kinds.Long()
_SIZE: Final = kinds.Size()
_MODE: Final = kinds.Octal()
_PTR: Final = kinds.Pointer()
_DIR: Final = kinds.DirFd()
_SIG: Final = kinds.Signal()
_PATH: Final = kinds.CString()
_STR: Final = kinds.CString()
_OUT: Final = kinds.OutData()
_IN1: Final = kinds.InData(2)  # a buffer whose size is the third argument, as in write(2)

_OPEN: Final = kinds.ChoiceAndFlags(3, file_flags.OPEN_MODES, file_flags.OPEN_FLAGS)
_AT: Final = kinds.Flags(file_flags.AT_FLAGS)
_ACCESS: Final = kinds.Flags(file_flags.ACCESS_MODES)
_PROT: Final = kinds.Flags(file_flags.PROTECTION)
_MAP: Final = kinds.ChoiceAndFlags(0xF, file_flags.MAP_KINDS, file_flags.MAP_FLAGS)
_WHENCE: Final = kinds.Choice(file_flags.WHENCE)
_RWF: Final = kinds.Flags(file_flags.RWF_FLAGS)
_SPLICE: Final = kinds.Flags(file_flags.SPLICE_FLAGS)
_XATTR: Final = kinds.Flags(file_flags.XATTR_FLAGS)
_MSG: Final = kinds.Flags(names.MESSAGE_FLAGS)
_CLOCK: Final = kinds.Choice(names.CLOCKS)
_LEVEL: Final = kinds.Choice(names.SOCKET_LEVELS)
_FAMILY: Final = kinds.Choice(names.FAMILIES)
_SOCK: Final = kinds.ChoiceAndFlags(0xF, names.SOCKET_TYPES, names.SOCKET_FLAGS)
_SOCK_FLAGS: Final = kinds.Flags(names.SOCKET_FLAGS)
_POLICY: Final = kinds.Choice(names.POLICIES)
_PRIORITY: Final = kinds.Choice(names.PRIORITIES)
_LIMIT: Final = kinds.Choice(names.LIMITS)
_CLONE: Final = kinds.ChoiceAndFlags(0xFF, {0: "0", 17: "SIGCHLD"}, names.CLONE_FLAGS)

_INT_OUT: Final = structs.Numbers(out=True)
_INT_IN: Final = structs.Numbers()
_LONG_OUT: Final = structs.Numbers(1, 8, out=True)
_LONG_IN: Final = structs.Numbers(1, 8)
_PAIR_OUT: Final = structs.Numbers(2, out=True)
_TS: Final = structs.Timespec()
_TS_OUT: Final = structs.Timespec(out=True)
_TV: Final = structs.Timeval()
_TV_OUT: Final = structs.Timeval(out=True)
_SET: Final = structs.SigSet()
_SET_OUT: Final = structs.SigSet(out=True)
_STAT: Final = structs.Stat()
_STATFS: Final = structs.StatFs()
_RUSAGE: Final = structs.Rusage()
_STATUS: Final = structs.WaitStatus()
_IOV: Final = structs.Iovecs()
_IOV_OUT: Final = structs.Iovecs(out=True)
_FDSET: Final = structs.FdSet()
_SOCKADDR: Final = sockets.SocketAddress(2)
_SOCKADDR_OUT: Final = sockets.OutSocketAddress(2)

Kinds = tuple[kinds.Kind, ...]

_FILES: Final[dict[int, Kinds]] = {
    sc.SYS_read: (_FD, _OUT, _SIZE),
    sc.SYS_write: (_FD, _IN1, _SIZE),
    sc.SYS_open: (_PATH, _OPEN, _MODE),
    sc.SYS_close: (_FD,),
    sc.SYS_stat: (_PATH, _STAT),
    sc.SYS_fstat: (_FD, _STAT),
    sc.SYS_lstat: (_PATH, _STAT),
    sc.SYS_lseek: (_FD, _OFF, _WHENCE),
    sc.SYS_ioctl: (_FD, kinds.Choice(file_flags.IOCTLS), sockets.IoctlArgument()),
    sc.SYS_pread64: (_FD, _OUT, _SIZE, _OFF),
    sc.SYS_pwrite64: (_FD, _IN1, _SIZE, _OFF),
    sc.SYS_readv: (_FD, _IOV_OUT, _INT),
    sc.SYS_writev: (_FD, _IOV, _INT),
    sc.SYS_preadv: (_FD, _IOV_OUT, _INT, _OFF, _HEX),
    sc.SYS_pwritev: (_FD, _IOV, _INT, _OFF, _HEX),
    sc.SYS_preadv2: (_FD, _IOV_OUT, _INT, _OFF, _HEX, _RWF),
    sc.SYS_pwritev2: (_FD, _IOV, _INT, _OFF, _HEX, _RWF),
    sc.SYS_access: (_PATH, _ACCESS),
    sc.SYS_pipe: (_PAIR_OUT,),
    sc.SYS_pipe2: (_PAIR_OUT, _OPEN),
    sc.SYS_dup: (_FD,),
    sc.SYS_dup2: (_FD, _FD),
    sc.SYS_dup3: (_FD, _FD, kinds.Flags(file_flags.OPEN_FLAGS)),
    sc.SYS_sendfile: (_FD, _FD, _LONG_IN, _SIZE),
    sc.SYS_fcntl: (_FD, kinds.Choice(file_flags.FCNTL_COMMANDS), structs.FcntlArgument()),
    sc.SYS_flock: (_FD, kinds.Flags(file_flags.FLOCK_OPERATIONS)),
    sc.SYS_fsync: (_FD,),
    sc.SYS_fdatasync: (_FD,),
    sc.SYS_sync: (),
    sc.SYS_syncfs: (_FD,),
    sc.SYS_sync_file_range: (_FD, _OFF, _OFF, _HEX),
    sc.SYS_truncate: (_PATH, _OFF),
    sc.SYS_ftruncate: (_FD, _OFF),
    sc.SYS_fallocate: (_FD, kinds.Flags(file_flags.FALLOC_FLAGS), _OFF, _OFF),
    sc.SYS_fadvise64: (_FD, _OFF, _SIZE, kinds.Choice(file_flags.FADVISE)),
    sc.SYS_readahead: (_FD, _OFF, _SIZE),
    sc.SYS_getdents: (_FD, structs.Dirents(), _UINT),
    sc.SYS_getdents64: (_FD, structs.Dirents(), _UINT),
    sc.SYS_getcwd: (kinds.OutString(), _SIZE),
    sc.SYS_chdir: (_PATH,),
    sc.SYS_fchdir: (_FD,),
    sc.SYS_chroot: (_PATH,),
    sc.SYS_rename: (_PATH, _PATH),
    sc.SYS_renameat: (_DIR, _PATH, _DIR, _PATH),
    sc.SYS_renameat2: (_DIR, _PATH, _DIR, _PATH, kinds.Flags(file_flags.RENAME_FLAGS)),
    sc.SYS_mkdir: (_PATH, _MODE),
    sc.SYS_mkdirat: (_DIR, _PATH, _MODE),
    sc.SYS_rmdir: (_PATH,),
    sc.SYS_creat: (_PATH, _MODE),
    sc.SYS_link: (_PATH, _PATH),
    sc.SYS_linkat: (_DIR, _PATH, _DIR, _PATH, _AT),
    sc.SYS_unlink: (_PATH,),
    sc.SYS_unlinkat: (_DIR, _PATH, _AT),
    sc.SYS_symlink: (_PATH, _PATH),
    sc.SYS_symlinkat: (_PATH, _DIR, _PATH),
    sc.SYS_readlink: (_PATH, _OUT, _SIZE),
    sc.SYS_readlinkat: (_DIR, _PATH, _OUT, _SIZE),
    sc.SYS_chmod: (_PATH, _MODE),
    sc.SYS_fchmod: (_FD, _MODE),
    sc.SYS_fchmodat: (_DIR, _PATH, _MODE),
    sc.SYS_fchmodat2: (_DIR, _PATH, _MODE, _AT),
    sc.SYS_chown: (_PATH, _ID, _ID),
    sc.SYS_fchown: (_FD, _ID, _ID),
    sc.SYS_lchown: (_PATH, _ID, _ID),
    sc.SYS_fchownat: (_DIR, _PATH, _ID, _ID, _AT),
    sc.SYS_umask: (_MODE,),
    sc.SYS_utime: (_PATH, structs.Numbers(2, 8)),
    sc.SYS_utimes: (_PATH, structs.Timeval(2)),
    sc.SYS_futimesat: (_DIR, _PATH, structs.Timeval(2)),
    sc.SYS_utimensat: (_DIR, _PATH, structs.Timespec(2), _AT),
    sc.SYS_mknod: (_PATH, _MODE, _HEX),
    sc.SYS_mknodat: (_DIR, _PATH, _MODE, _HEX),
    sc.SYS_openat: (_DIR, _PATH, _OPEN, _MODE),
    sc.SYS_openat2: (_DIR, _PATH, structs.OpenHow(), _SIZE),
    sc.SYS_newfstatat: (_DIR, _PATH, _STAT, _AT),
    sc.SYS_statx: (_DIR, _PATH, _AT, kinds.Flags(file_flags.STATX_MASK), structs.Statx()),
    sc.SYS_faccessat: (_DIR, _PATH, _ACCESS),
    sc.SYS_faccessat2: (_DIR, _PATH, _ACCESS, kinds.Flags(file_flags.ACCESS_FLAGS)),
    sc.SYS_statfs: (_PATH, _STATFS),
    sc.SYS_fstatfs: (_FD, _STATFS),
    sc.SYS_setxattr: (_PATH, _STR, kinds.InData(3), _SIZE, _XATTR),
    sc.SYS_lsetxattr: (_PATH, _STR, kinds.InData(3), _SIZE, _XATTR),
    sc.SYS_fsetxattr: (_FD, _STR, kinds.InData(3), _SIZE, _XATTR),
    sc.SYS_getxattr: (_PATH, _STR, _OUT, _SIZE),
    sc.SYS_lgetxattr: (_PATH, _STR, _OUT, _SIZE),
    sc.SYS_fgetxattr: (_FD, _STR, _OUT, _SIZE),
    sc.SYS_listxattr: (_PATH, _OUT, _SIZE),
    sc.SYS_llistxattr: (_PATH, _OUT, _SIZE),
    sc.SYS_flistxattr: (_FD, _OUT, _SIZE),
    sc.SYS_removexattr: (_PATH, _STR),
    sc.SYS_lremovexattr: (_PATH, _STR),
    sc.SYS_fremovexattr: (_FD, _STR),
    sc.SYS_splice: (_FD, _LONG_IN, _FD, _LONG_IN, _SIZE, _SPLICE),
    sc.SYS_tee: (_FD, _FD, _SIZE, _SPLICE),
    sc.SYS_vmsplice: (_FD, _IOV, _SIZE, _SPLICE),
    sc.SYS_copy_file_range: (_FD, _LONG_IN, _FD, _LONG_IN, _SIZE, _HEX),
    sc.SYS_close_range: (_UINT, _UINT, kinds.Flags(file_flags.CLOSE_RANGE_FLAGS)),
    sc.SYS_memfd_create: (_STR, kinds.Flags(file_flags.MEMFD_FLAGS)),
    sc.SYS_mount: (_PATH, _PATH, _STR, kinds.Flags(file_flags.MOUNT_FLAGS), _STR),
    sc.SYS_umount2: (_PATH, kinds.Flags(file_flags.UMOUNT_FLAGS)),
    sc.SYS_pivot_root: (_PATH, _PATH),
    sc.SYS_open_tree: (_DIR, _PATH, _HEX),
    sc.SYS_move_mount: (_DIR, _PATH, _DIR, _PATH, _HEX),
    sc.SYS_fsopen: (_STR, _HEX),
    sc.SYS_fsconfig: (_FD, _UINT, _STR, _PTR, _INT),
    sc.SYS_fsmount: (_FD, _HEX, _HEX),
    sc.SYS_fspick: (_DIR, _PATH, _HEX),
    sc.SYS_mount_setattr: (_DIR, _PATH, _HEX, _PTR, _SIZE),
    sc.SYS_quotactl: (_HEX, _STR, _INT, _PTR),
    sc.SYS_acct: (_PATH,),
    sc.SYS_swapon: (_PATH, _HEX),
    sc.SYS_swapoff: (_PATH,),
    sc.SYS_name_to_handle_at: (_DIR, _PATH, _PTR, _INT_OUT, _AT),
    sc.SYS_open_by_handle_at: (_FD, _PTR, _OPEN),
    sc.SYS_cachestat: (_FD, _PTR, _PTR, _HEX),
    sc.SYS_vhangup: (),
}

_MEMORY: Final[dict[int, Kinds]] = {
    sc.SYS_mmap: (_PTR, _SIZE, _PROT, _MAP, _FD, _HEX),
    sc.SYS_mprotect: (_PTR, _SIZE, _PROT),
    sc.SYS_munmap: (_PTR, _SIZE),
    sc.SYS_brk: (_PTR,),
    sc.SYS_mremap: (_PTR, _SIZE, _SIZE, kinds.Flags(file_flags.MREMAP_FLAGS), _PTR),
    sc.SYS_msync: (_PTR, _SIZE, kinds.Flags(file_flags.MSYNC_FLAGS)),
    sc.SYS_mincore: (_PTR, _SIZE, _PTR),
    sc.SYS_madvise: (_PTR, _SIZE, kinds.Choice(file_flags.ADVICE)),
    sc.SYS_mlock: (_PTR, _SIZE),
    sc.SYS_mlock2: (_PTR, _SIZE, _HEX),
    sc.SYS_munlock: (_PTR, _SIZE),
    sc.SYS_mlockall: (kinds.Flags(file_flags.MCL_FLAGS),),
    sc.SYS_munlockall: (),
    sc.SYS_remap_file_pages: (_PTR, _SIZE, _PROT, _SIZE, _HEX),
    sc.SYS_mbind: (_PTR, _SIZE, _INT, _PTR, _SIZE, _HEX),
    sc.SYS_set_mempolicy: (_INT, _PTR, _SIZE),
    sc.SYS_get_mempolicy: (_INT_OUT, _PTR, _SIZE, _PTR, _HEX),
    sc.SYS_migrate_pages: (_PID, _SIZE, _PTR, _PTR),
    sc.SYS_move_pages: (_PID, _SIZE, _PTR, _PTR, _PTR, _HEX),
    sc.SYS_process_vm_readv: (_PID, _PTR, _SIZE, _PTR, _SIZE, _HEX),
    sc.SYS_process_vm_writev: (_PID, _PTR, _SIZE, _PTR, _SIZE, _HEX),
    sc.SYS_process_madvise: (_FD, _PTR, _SIZE, kinds.Choice(file_flags.ADVICE), _HEX),
    sc.SYS_process_mrelease: (_FD, _HEX),
    sc.SYS_pkey_mprotect: (_PTR, _SIZE, _PROT, _INT),
    sc.SYS_pkey_alloc: (_HEX, _HEX),
    sc.SYS_pkey_free: (_INT,),
    sc.SYS_mseal: (_PTR, _SIZE, _HEX),
    sc.SYS_userfaultfd: (kinds.Flags(file_flags.OPEN_FLAGS),),
    sc.SYS_shmget: (_HEX, _SIZE, kinds.Flags(names.IPC_FLAGS)),
    sc.SYS_shmat: (_INT, _PTR, _HEX),
    sc.SYS_shmctl: (_INT, kinds.Choice(names.IPC_COMMANDS), _PTR),
    sc.SYS_shmdt: (_PTR,),
    sc.SYS_semget: (_HEX, _INT, kinds.Flags(names.IPC_FLAGS)),
    sc.SYS_semop: (_INT, _PTR, _SIZE),
    sc.SYS_semtimedop: (_INT, _PTR, _SIZE, _TS),
    sc.SYS_semctl: (_INT, _INT, _INT, _HEX),
    sc.SYS_msgget: (_HEX, kinds.Flags(names.IPC_FLAGS)),
    sc.SYS_msgsnd: (_INT, _PTR, _SIZE, _HEX),
    sc.SYS_msgrcv: (_INT, _PTR, _SIZE, _LONG, _HEX),
    sc.SYS_msgctl: (_INT, kinds.Choice(names.IPC_COMMANDS), _PTR),
    sc.SYS_mq_open: (_STR, _OPEN, _MODE, _PTR),
    sc.SYS_mq_unlink: (_STR,),
    sc.SYS_mq_timedsend: (_FD, kinds.InData(2), _SIZE, _UINT, _TS),
    sc.SYS_mq_timedreceive: (_FD, _OUT, _SIZE, _INT_OUT, _TS),
    sc.SYS_mq_notify: (_FD, structs.SigEvent()),
    sc.SYS_mq_getsetattr: (_FD, _PTR, _PTR),
}

_EVENTS: Final[dict[int, Kinds]] = {
    sc.SYS_poll: (structs.PollFds(out=True), _UINT, _INT),
    sc.SYS_ppoll: (structs.PollFds(out=True), _UINT, _TS, _SET, _SIZE),
    sc.SYS_select: (_INT, _FDSET, _FDSET, _FDSET, _TV),
    sc.SYS_pselect6: (_INT, _FDSET, _FDSET, _FDSET, _TS, structs.SigSetArgument()),
    sc.SYS_epoll_create: (_INT,),
    sc.SYS_epoll_create1: (kinds.Flags(file_flags.OPEN_FLAGS),),
    sc.SYS_epoll_ctl: (
        _FD,
        kinds.Choice(file_flags.EPOLL_OPERATIONS),
        _FD,
        structs.EpollEvent(),
    ),
    sc.SYS_epoll_wait: (_FD, structs.EpollEvents(), _INT, _INT),
    sc.SYS_epoll_pwait: (_FD, structs.EpollEvents(), _INT, _INT, _SET, _SIZE),
    sc.SYS_epoll_pwait2: (_FD, structs.EpollEvents(), _INT, _TS, _SET, _SIZE),
    sc.SYS_eventfd: (_UINT,),
    sc.SYS_eventfd2: (_UINT, kinds.Flags(file_flags.EVENTFD_FLAGS)),
    sc.SYS_signalfd: (_FD, _SET, _SIZE),
    sc.SYS_signalfd4: (_FD, _SET, _SIZE, kinds.Flags(file_flags.SIGNALFD_FLAGS)),
    sc.SYS_timerfd_create: (_CLOCK, kinds.Flags(file_flags.TIMERFD_FLAGS)),
    sc.SYS_timerfd_settime: (
        _FD,
        kinds.Flags(file_flags.TIMERFD_SET_FLAGS),
        structs.Itimer(spec=True),
        structs.Itimer(spec=True, out=True),
    ),
    sc.SYS_timerfd_gettime: (_FD, structs.Itimer(spec=True, out=True)),
    sc.SYS_inotify_init: (),
    sc.SYS_inotify_init1: (kinds.Flags(file_flags.INOTIFY_FLAGS),),
    sc.SYS_inotify_add_watch: (_FD, _PATH, kinds.Flags(file_flags.INOTIFY_EVENTS)),
    sc.SYS_inotify_rm_watch: (_FD, _INT),
    sc.SYS_fanotify_init: (_HEX, _HEX),
    sc.SYS_fanotify_mark: (_FD, _HEX, _HEX, _DIR, _PATH),
    sc.SYS_io_setup: (_UINT, _LONG_OUT),
    sc.SYS_io_destroy: (_HEX,),
    sc.SYS_io_getevents: (_HEX, _LONG, _LONG, _PTR, _TS),
    sc.SYS_io_pgetevents: (_HEX, _LONG, _LONG, _PTR, _TS, structs.SigSetArgument()),
    sc.SYS_io_submit: (_HEX, _LONG, _PTR),
    sc.SYS_io_cancel: (_HEX, _PTR, _PTR),
    sc.SYS_io_uring_setup: (_UINT, _PTR),
    sc.SYS_io_uring_enter: (_FD, _UINT, _UINT, _HEX, _SET, _SIZE),
    sc.SYS_io_uring_register: (_FD, _UINT, _PTR, _UINT),
}

_SOCKETS: Final[dict[int, Kinds]] = {
    sc.SYS_socket: (_FAMILY, _SOCK, _INT),
    sc.SYS_socketpair: (_FAMILY, _SOCK, _INT, structs.Numbers(2, out=True)),
    sc.SYS_connect: (_FD, _SOCKADDR, _INT),
    sc.SYS_bind: (_FD, _SOCKADDR, _INT),
    sc.SYS_listen: (_FD, _INT),
    sc.SYS_accept: (_FD, _SOCKADDR_OUT, _INT_OUT),
    sc.SYS_accept4: (_FD, _SOCKADDR_OUT, _INT_OUT, _SOCK_FLAGS),
    sc.SYS_getsockname: (_FD, _SOCKADDR_OUT, _INT_OUT),
    sc.SYS_getpeername: (_FD, _SOCKADDR_OUT, _INT_OUT),
    sc.SYS_sendto: (_FD, _IN1, _SIZE, _MSG, sockets.SocketAddress(5), _UINT),
    sc.SYS_recvfrom: (_FD, _OUT, _SIZE, _MSG, sockets.OutSocketAddress(5), _INT_OUT),
    sc.SYS_sendmsg: (_FD, sockets.MsgHdr(), _MSG),
    sc.SYS_recvmsg: (_FD, sockets.MsgHdr(out=True), _MSG),
    sc.SYS_sendmmsg: (_FD, sockets.MmsgHdrs(), _UINT, _MSG),
    sc.SYS_recvmmsg: (_FD, sockets.MmsgHdrs(out=True), _UINT, _MSG, _TS),
    sc.SYS_shutdown: (_FD, kinds.Choice(names.SHUTDOWN)),
    sc.SYS_setsockopt: (_FD, _LEVEL, sockets.SocketOption(), sockets.OptionValue(), _UINT),
    sc.SYS_getsockopt: (
        _FD,
        _LEVEL,
        sockets.SocketOption(),
        sockets.OptionValue(out=True),
        _INT_OUT,
    ),
}

_SIGNALS: Final[dict[int, Kinds]] = {
    sc.SYS_rt_sigaction: (_SIG, structs.SigAction(), structs.SigAction(out=True), _SIZE),
    sc.SYS_rt_sigprocmask: (kinds.Choice(names.SIGNAL_HOW), _SET, _SET_OUT, _SIZE),
    sc.SYS_rt_sigreturn: (),
    sc.SYS_rt_sigpending: (_SET_OUT, _SIZE),
    sc.SYS_rt_sigsuspend: (_SET, _SIZE),
    sc.SYS_rt_sigtimedwait: (_SET, structs.SigInfo(out=True), _TS, _SIZE),
    sc.SYS_rt_sigqueueinfo: (_PID, _SIG, structs.SigInfo()),
    sc.SYS_rt_tgsigqueueinfo: (_PID, _PID, _SIG, structs.SigInfo()),
    sc.SYS_sigaltstack: (structs.StackT(), structs.StackT(out=True)),
    sc.SYS_kill: (_PID, _SIG),
    sc.SYS_tkill: (_PID, _SIG),
    sc.SYS_tgkill: (_PID, _PID, _SIG),
    sc.SYS_pidfd_open: (_PID, _HEX),
    sc.SYS_pidfd_send_signal: (_FD, _SIG, structs.SigInfo(), _HEX),
    sc.SYS_pidfd_getfd: (_FD, _FD, _HEX),
    sc.SYS_pause: (),
    sc.SYS_restart_syscall: (),
}

_PROCESSES: Final[dict[int, Kinds]] = {
    sc.SYS_clone: (_CLONE, _PTR, _PTR, _PTR, _HEX),
    sc.SYS_clone3: (structs.CloneArgs(), _SIZE),
    sc.SYS_fork: (),
    sc.SYS_vfork: (),
    sc.SYS_execve: (_PATH, kinds.Strings(), kinds.StringCount()),
    sc.SYS_execveat: (_DIR, _PATH, kinds.Strings(), kinds.StringCount(), _AT),
    sc.SYS_exit: (_INT,),
    sc.SYS_exit_group: (_INT,),
    sc.SYS_wait4: (_PID, _STATUS, kinds.Flags(names.WAIT_OPTIONS), _RUSAGE),
    sc.SYS_waitid: (
        kinds.Choice(names.WAIT_ID_KINDS),
        _PID,
        structs.SigInfo(out=True),
        kinds.Flags(names.WAIT_OPTIONS),
        _RUSAGE,
    ),
    sc.SYS_unshare: (kinds.Flags(names.UNSHARE_FLAGS),),
    sc.SYS_setns: (_FD, kinds.Flags(names.UNSHARE_FLAGS)),
    sc.SYS_set_tid_address: (_PTR,),
    sc.SYS_set_robust_list: (_PTR, _SIZE),
    sc.SYS_get_robust_list: (_PID, _LONG_OUT, _LONG_OUT),
    sc.SYS_futex: (
        _PTR,
        kinds.ChoiceAndFlags(0x7F, names.FUTEX_OPERATIONS, names.FUTEX_FLAGS),
        _UINT,
        _HEX,
        _PTR,
        _HEX,
    ),
    sc.SYS_futex_waitv: (_PTR, _UINT, _HEX, _TS, _CLOCK),
    sc.SYS_arch_prctl: (kinds.Choice(names.ARCH_PRCTLS), _HEX),
    sc.SYS_prctl: (kinds.Choice(names.PRCTLS), _HEX, _HEX, _HEX, _HEX),
    sc.SYS_seccomp: (
        kinds.Choice(names.SECCOMP_OPERATIONS),
        kinds.Flags(names.SECCOMP_FLAGS),
        _PTR,
    ),
    sc.SYS_ptrace: (kinds.Choice(names.PTRACE_REQUESTS), _PID, _HEX, _HEX),
    sc.SYS_rseq: (_PTR, _UINT, _HEX, _HEX),
    sc.SYS_personality: (_HEX,),
    sc.SYS_membarrier: (kinds.Choice(names.MEMBARRIER_COMMANDS), _HEX, _INT),
    sc.SYS_kcmp: (_PID, _PID, _INT, _HEX, _HEX),
    sc.SYS_getpid: (),
    sc.SYS_gettid: (),
    sc.SYS_getppid: (),
    sc.SYS_getpgid: (_PID,),
    sc.SYS_setpgid: (_PID, _PID),
    sc.SYS_getpgrp: (),
    sc.SYS_getsid: (_PID,),
    sc.SYS_setsid: (),
    sc.SYS_getuid: (),
    sc.SYS_geteuid: (),
    sc.SYS_getgid: (),
    sc.SYS_getegid: (),
    sc.SYS_setuid: (_ID,),
    sc.SYS_setgid: (_ID,),
    sc.SYS_setreuid: (_ID, _ID),
    sc.SYS_setregid: (_ID, _ID),
    sc.SYS_setresuid: (_ID, _ID, _ID),
    sc.SYS_setresgid: (_ID, _ID, _ID),
    sc.SYS_getresuid: (_INT_OUT, _INT_OUT, _INT_OUT),
    sc.SYS_getresgid: (_INT_OUT, _INT_OUT, _INT_OUT),
    sc.SYS_setfsuid: (_ID,),
    sc.SYS_setfsgid: (_ID,),
    sc.SYS_getgroups: (_INT, structs.NumberList(0, out=True)),
    sc.SYS_setgroups: (_INT, structs.NumberList(0)),
    sc.SYS_capget: (_PTR, structs.CapData(out=True)),
    sc.SYS_capset: (_PTR, structs.CapData()),
    sc.SYS_add_key: (_STR, _STR, kinds.InData(3), _SIZE, _INT),
    sc.SYS_request_key: (_STR, _STR, _STR, _INT),
    sc.SYS_keyctl: (_INT, _HEX, _HEX, _HEX, _HEX),
}

_SYSTEM: Final[dict[int, Kinds]] = {
    sc.SYS_sched_yield: (),
    sc.SYS_sched_setparam: (_PID, structs.SchedParam()),
    sc.SYS_sched_getparam: (_PID, structs.SchedParam(out=True)),
    sc.SYS_sched_setscheduler: (_PID, _POLICY, structs.SchedParam()),
    sc.SYS_sched_getscheduler: (_PID,),
    sc.SYS_sched_get_priority_max: (_POLICY,),
    sc.SYS_sched_get_priority_min: (_POLICY,),
    sc.SYS_sched_rr_get_interval: (_PID, _TS_OUT),
    sc.SYS_sched_setaffinity: (_PID, _SIZE, kinds.InData(1)),
    sc.SYS_sched_getaffinity: (_PID, _SIZE, _OUT),
    sc.SYS_sched_setattr: (_PID, structs.SchedAttr(), _HEX),
    sc.SYS_sched_getattr: (_PID, structs.SchedAttr(out=True), _UINT, _HEX),
    sc.SYS_getpriority: (_PRIORITY, _PID),
    sc.SYS_setpriority: (_PRIORITY, _PID, _INT),
    sc.SYS_ioprio_get: (_INT, _PID),
    sc.SYS_ioprio_set: (_INT, _PID, _HEX),
    sc.SYS_getrlimit: (_LIMIT, structs.Rlimit(out=True)),
    sc.SYS_setrlimit: (_LIMIT, structs.Rlimit()),
    sc.SYS_prlimit64: (_PID, _LIMIT, structs.Rlimit(), structs.Rlimit(out=True)),
    sc.SYS_getrusage: (kinds.Choice(names.USAGES), _RUSAGE),
    sc.SYS_times: (structs.Numbers(4, 8, out=True),),
    sc.SYS_sysinfo: (structs.Sysinfo(),),
    sc.SYS_uname: (structs.Utsname(),),
    sc.SYS_sethostname: (kinds.InData(1), _SIZE),
    sc.SYS_setdomainname: (kinds.InData(1), _SIZE),
    sc.SYS_syslog: (_INT, _PTR, _INT),
    sc.SYS_getrandom: (_OUT, _SIZE, kinds.Flags(names.RANDOM_FLAGS)),
    sc.SYS_getcpu: (_INT_OUT, _INT_OUT, _PTR),
    sc.SYS_reboot: (_HEX, _HEX, _HEX, _PTR),
    sc.SYS_bpf: (_INT, _PTR, _SIZE),
    sc.SYS_perf_event_open: (_PTR, _PID, _INT, _FD, _HEX),
    sc.SYS_iopl: (_INT,),
    sc.SYS_ioperm: (_HEX, _SIZE, _INT),
    sc.SYS_init_module: (_PTR, _SIZE, _STR),
    sc.SYS_finit_module: (_FD, _STR, _HEX),
    sc.SYS_delete_module: (_STR, _HEX),
    sc.SYS_nanosleep: (_TS, _PTR),
    sc.SYS_clock_nanosleep: (_CLOCK, kinds.Flags(names.TIMER_FLAGS), _TS, _PTR),
    sc.SYS_clock_gettime: (_CLOCK, _TS_OUT),
    sc.SYS_clock_settime: (_CLOCK, _TS),
    sc.SYS_clock_getres: (_CLOCK, _TS_OUT),
    sc.SYS_clock_adjtime: (_CLOCK, _PTR),
    sc.SYS_adjtimex: (_PTR,),
    sc.SYS_gettimeofday: (_TV_OUT, _PTR),
    sc.SYS_settimeofday: (_TV, _PTR),
    sc.SYS_time: (_LONG_OUT,),
    sc.SYS_alarm: (_UINT,),
    sc.SYS_getitimer: (kinds.Choice(names.ITIMERS), structs.Itimer(spec=False, out=True)),
    sc.SYS_setitimer: (
        kinds.Choice(names.ITIMERS),
        structs.Itimer(spec=False),
        structs.Itimer(spec=False, out=True),
    ),
    sc.SYS_timer_create: (_CLOCK, structs.SigEvent(), _INT_OUT),
    sc.SYS_timer_settime: (
        _INT,
        kinds.Flags(names.TIMER_FLAGS),
        structs.Itimer(spec=True),
        structs.Itimer(spec=True, out=True),
    ),
    sc.SYS_timer_gettime: (_INT, structs.Itimer(spec=True, out=True)),
    sc.SYS_timer_getoverrun: (_INT,),
    sc.SYS_timer_delete: (_INT,),
}

ARGUMENTS: Final[dict[int, Kinds]] = {
    **_FILES,
    **_MEMORY,
    **_EVENTS,
    **_SOCKETS,
    **_SIGNALS,
    **_PROCESSES,
    **_SYSTEM,
}
"""The kinds of the arguments of each call."""

UNKNOWN: Final[Kinds] = (_HEX, _HEX, _HEX, _HEX, _HEX, _HEX)
"""The arguments of a call that is not in the table."""

ADDRESS_RESULTS: Final = frozenset((sc.SYS_mmap, sc.SYS_mremap, sc.SYS_brk, sc.SYS_shmat))
"""Calls that return an address."""

OCTAL_RESULTS: Final = frozenset((sc.SYS_umask,))
"""Calls that return a mode."""

TIMEOUT_RESULTS: Final = frozenset(
    (
        sc.SYS_poll,
        sc.SYS_ppoll,
        sc.SYS_select,
        sc.SYS_pselect6,
    )
)
"""Calls of which 0 says that the time was up."""
