"""Signals: numbers, flags, codes and structs (signal(7), asm/signal.h, asm-generic/siginfo.h)."""

from struct import Struct
from typing import Final

# Numbers
SIGHUP: Final = 1
SIGINT: Final = 2
SIGQUIT: Final = 3
SIGILL: Final = 4
SIGTRAP: Final = 5
SIGABRT: Final = 6
SIGBUS: Final = 7
SIGFPE: Final = 8
SIGKILL: Final = 9
SIGUSR1: Final = 10
SIGSEGV: Final = 11
SIGUSR2: Final = 12
SIGPIPE: Final = 13
SIGALRM: Final = 14
SIGTERM: Final = 15
SIGSTKFLT: Final = 16
SIGCHLD: Final = 17
SIGCONT: Final = 18
SIGSTOP: Final = 19
SIGTSTP: Final = 20
SIGTTIN: Final = 21
SIGTTOU: Final = 22
SIGURG: Final = 23
SIGXCPU: Final = 24
SIGXFSZ: Final = 25
SIGVTALRM: Final = 26
SIGPROF: Final = 27
SIGWINCH: Final = 28
SIGIO: Final = 29
SIGPWR: Final = 30
SIGSYS: Final = 31
SIGIOT: Final = 6
SIGPOLL: Final = 29

# The first and the last real-time signal of the kernel; the C library keeps two
SIGRTMIN: Final = 32
SIGRTMAX: Final = 64

# Dispositions
SIG_DFL: Final = 0
SIG_IGN: Final = 1
SIG_ERR: Final = 0xFFFF_FFFF_FFFF_FFFF

# rt_sigprocmask(2)
SIG_BLOCK: Final = 0
SIG_UNBLOCK: Final = 1
SIG_SETMASK: Final = 2

# struct sigaction: flags
SA_NOCLDSTOP: Final = 0x1
SA_NOCLDWAIT: Final = 0x2
SA_SIGINFO: Final = 0x4
SA_UNSUPPORTED: Final = 0x400
SA_EXPOSE_TAGBITS: Final = 0x800
SA_RESTORER: Final = 0x0400_0000
SA_ONSTACK: Final = 0x800_0000
SA_RESTART: Final = 0x1000_0000
SA_NODEFER: Final = 0x4000_0000
SA_RESETHAND: Final = 0x8000_0000

# sigaltstack(2)
SS_ONSTACK: Final = 0x1
SS_DISABLE: Final = 0x2
SS_AUTODISARM: Final = 0x8000_0000

MINSIGSTKSZ: Final = 2048

# si_code of any signal
SI_USER: Final = 0
SI_KERNEL: Final = 128
SI_QUEUE: Final = -1
SI_TIMER: Final = -2
SI_MESGQ: Final = -3
SI_ASYNCIO: Final = -4
SI_SIGIO: Final = -5
SI_TKILL: Final = -6
SI_DETHREAD: Final = -7
SI_ASYNCNL: Final = -60

# si_code of SIGILL
ILL_ILLOPC: Final = 1
ILL_ILLOPN: Final = 2
ILL_ILLADR: Final = 3
ILL_ILLTRP: Final = 4
ILL_PRVOPC: Final = 5
ILL_PRVREG: Final = 6
ILL_COPROC: Final = 7
ILL_BADSTK: Final = 8

# si_code of SIGFPE
FPE_INTDIV: Final = 1
FPE_INTOVF: Final = 2
FPE_FLTDIV: Final = 3
FPE_FLTOVF: Final = 4
FPE_FLTUND: Final = 5
FPE_FLTRES: Final = 6
FPE_FLTINV: Final = 7
FPE_FLTSUB: Final = 8

# si_code of SIGSEGV
SEGV_MAPERR: Final = 1
SEGV_ACCERR: Final = 2
SEGV_BNDERR: Final = 3
SEGV_PKUERR: Final = 4

# si_code of SIGBUS
BUS_ADRALN: Final = 1
BUS_ADRERR: Final = 2
BUS_OBJERR: Final = 3
BUS_MCEERR_AR: Final = 4
BUS_MCEERR_AO: Final = 5

# si_code of SIGTRAP
TRAP_BRKPT: Final = 1
TRAP_TRACE: Final = 2
TRAP_BRANCH: Final = 3
TRAP_HWBKPT: Final = 4

# si_code of SIGCHLD
CLD_EXITED: Final = 1
CLD_KILLED: Final = 2
CLD_DUMPED: Final = 3
CLD_TRAPPED: Final = 4
CLD_STOPPED: Final = 5
CLD_CONTINUED: Final = 6

# si_code of SIGIO
POLL_IN: Final = 1
POLL_OUT: Final = 2
POLL_MSG: Final = 3
POLL_ERR: Final = 4
POLL_PRI: Final = 5
POLL_HUP: Final = 6

# si_code of SIGSYS
SYS_SECCOMP: Final = 1
SYS_USER_DISPATCH: Final = 2

# timer_create(2): sigev_notify
SIGEV_SIGNAL: Final = 0
SIGEV_NONE: Final = 1
SIGEV_THREAD: Final = 2
SIGEV_THREAD_ID: Final = 4

NSIG: Final = 64
SIGSET_SIZE: Final = 8


# The word that sets SIGKILL and SIGSTOP, which nobody can block or catch.
UNBLOCKABLE: Final = 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1)

NAMES: Final[dict[int, str]] = {
    SIGHUP: "SIGHUP",
    SIGINT: "SIGINT",
    SIGQUIT: "SIGQUIT",
    SIGILL: "SIGILL",
    SIGTRAP: "SIGTRAP",
    SIGABRT: "SIGABRT",
    SIGBUS: "SIGBUS",
    SIGFPE: "SIGFPE",
    SIGKILL: "SIGKILL",
    SIGUSR1: "SIGUSR1",
    SIGSEGV: "SIGSEGV",
    SIGUSR2: "SIGUSR2",
    SIGPIPE: "SIGPIPE",
    SIGALRM: "SIGALRM",
    SIGTERM: "SIGTERM",
    SIGSTKFLT: "SIGSTKFLT",
    SIGCHLD: "SIGCHLD",
    SIGCONT: "SIGCONT",
    SIGSTOP: "SIGSTOP",
    SIGTSTP: "SIGTSTP",
    SIGTTIN: "SIGTTIN",
    SIGTTOU: "SIGTTOU",
    SIGURG: "SIGURG",
    SIGXCPU: "SIGXCPU",
    SIGXFSZ: "SIGXFSZ",
    SIGVTALRM: "SIGVTALRM",
    SIGPROF: "SIGPROF",
    SIGWINCH: "SIGWINCH",
    SIGIO: "SIGIO",
    SIGPWR: "SIGPWR",
    SIGSYS: "SIGSYS",
}
"""The name of each standard signal."""

SIGACTION_SIZE: Final = 32
STACK_T_SIZE: Final = 24
SIGEVENT_SIZE: Final = 64
SIGINFO_SIZE: Final = 128
_SIGACTION: Final = Struct("<QQQQ")  # handler, flags, restorer, mask: the kernel's order
_STACK_T: Final = Struct("<Qi4xQ")  # ss_sp, ss_flags, ss_size
_SIGEVENT: Final = Struct("<Qiii44x")  # value, signo, notify, thread id

# Where the fields of siginfo_t lie, after si_signo, si_errno and si_code.
SI_SIGNO_OFFSET: Final = 0
SI_ERRNO_OFFSET: Final = 4
SI_CODE_OFFSET: Final = 8
SI_PID_OFFSET: Final = 16
SI_UID_OFFSET: Final = 20
SI_STATUS_OFFSET: Final = 24
SI_VALUE_OFFSET: Final = 24
SI_TIMERID_OFFSET: Final = 16
SI_OVERRUN_OFFSET: Final = 20
SI_ADDR_OFFSET: Final = 16
SI_BAND_OFFSET: Final = 16
SI_FD_OFFSET: Final = 24
SI_CALL_ADDR_OFFSET: Final = 16
SI_SYSCALL_OFFSET: Final = 24
SI_ARCH_OFFSET: Final = 28
_INFO_HEAD: Final = Struct("<iii4xii")
_INFO_KILL: Final = Struct("<iii4xiI104x")
_INFO_RT: Final = Struct("<iii4xiIQ96x")
_INFO_CHLD: Final = Struct("<iii4xiIi4xqq80x")
_INFO_FAULT: Final = Struct("<iii4xQ104x")
_INFO_POLL: Final = Struct("<iii4xqi100x")
_INFO_SYS: Final = Struct("<iii4xQiI96x")


def name(signal: int) -> str:
    """Return the name of a signal: SIGHUP, SIGRT_1 for a real-time one, or its number."""
    if SIGRTMIN <= signal <= SIGRTMAX:
        return f"SIGRT_{signal - SIGRTMIN}"
    return NAMES.get(signal, str(signal))


def sigmask(signal: int) -> int:
    """Return the bit of a signal in a set."""
    return 1 << (signal - 1)


def unpack_sigaction(data: bytes) -> tuple[int, int, int, int]:
    """Return handler, flags, restorer and mask of the kernel's struct sigaction."""
    handler, flags, restorer, mask = _SIGACTION.unpack_from(data, 0)
    return handler, flags, restorer, mask


def pack_sigaction(handler: int, flags: int, restorer: int, mask: int) -> bytes:
    """Return the kernel's struct sigaction."""
    return _SIGACTION.pack(handler, flags, restorer, mask)


def unpack_stack_t(data: bytes, offset: int = 0) -> tuple[int, int, int]:
    """Return ss_sp, ss_flags and ss_size of a stack_t."""
    sp, flags, size = _STACK_T.unpack_from(data, offset)
    return sp, flags & 0xFFFF_FFFF, size


def pack_stack_t(sp: int, flags: int, size: int) -> bytes:
    """Return a stack_t."""
    return _STACK_T.pack(sp, _s32(flags), size)


def unpack_sigevent(data: bytes) -> tuple[int, int, int, int]:
    """Return sigev_value, sigev_signo, sigev_notify and sigev_notify_thread_id."""
    value, signo, notify, thread_id = _SIGEVENT.unpack_from(data, 0)
    return value, signo, notify, thread_id


def pack_siginfo_kill(signal: int, code: int, pid: int, uid: int) -> bytes:
    """Return the siginfo_t of kill(2) and tgkill(2) (SI_USER, SI_TKILL)."""
    return _INFO_KILL.pack(signal, 0, code, pid, uid)


def pack_siginfo_rt(signal: int, code: int, pid: int, uid: int, value: int) -> bytes:
    """Return the siginfo_t of sigqueue(3) (SI_QUEUE, SI_MESGQ)."""
    return _INFO_RT.pack(signal, 0, code, pid, uid, value)


def pack_siginfo_timer(signal: int, timer_id: int, overrun: int, value: int) -> bytes:
    """Return the siginfo_t of a POSIX timer (SI_TIMER)."""
    return _INFO_RT.pack(signal, 0, SI_TIMER, timer_id, overrun, value)


def pack_siginfo_chld(
    code: int, pid: int, uid: int, status: int, user_ticks: int, system_ticks: int
) -> bytes:
    """Return the siginfo_t of SIGCHLD; `status` is an exit code or a signal."""
    return _INFO_CHLD.pack(SIGCHLD, 0, code, pid, uid, status, user_ticks, system_ticks)


def pack_siginfo_fault(signal: int, code: int, address: int) -> bytes:
    """Return the siginfo_t of a fault (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP)."""
    return _INFO_FAULT.pack(signal, 0, code, address)


def pack_siginfo_poll(signal: int, code: int, band: int, fd: int) -> bytes:
    """Return the siginfo_t of SIGIO (F_SETSIG of fcntl(2))."""
    return _INFO_POLL.pack(signal, 0, code, band, fd)


def pack_siginfo_sys(code: int, errno: int, call_address: int, number: int, arch: int) -> bytes:
    """Return the siginfo_t of SIGSYS (SECCOMP_RET_TRAP)."""
    return _INFO_SYS.pack(SIGSYS, errno, code, call_address, number, arch)


def unpack_siginfo(data: bytes) -> tuple[int, int, int]:
    """Return si_signo, si_errno and si_code of a siginfo_t."""
    signal, errno, code, _, _ = _INFO_HEAD.unpack_from(data, 0)
    return signal, errno, code


def _s32(value: int) -> int:
    low = value & 0xFFFF_FFFF
    return low - 0x1_0000_0000 if low & 0x8000_0000 else low
