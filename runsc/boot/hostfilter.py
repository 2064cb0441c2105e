"""The second wall: which system calls the sandbox itself may make on the host.

The sandbox's own threads are filtered by the list below and by what the parts of
the sentry declare; anything else kills the process.  A rule compares single
arguments for equality under a mask, and nothing else: libseccomp 2.5.4 and 2.6.0
compile several inequalities on one call into filters that allow too much.  An
`int` argument is compared under a mask of 32 bits, because that is all that the
kernel looks at.  Stubs are not subject to this filter: they were made before it,
and have a stricter one.

What the filter cannot see (paths, structures in memory) is worth nothing by the
rest of the confinement: the root is an empty directory, and `openat` needs a
descriptor to start from.
"""

from typing import IO, Final

from runsc.boot.seccomp_binding import load_binding

INT: Final = 0xFFFF_FFFF  # an argument of which the kernel reads 32 bits
LONG: Final = 0xFFFF_FFFF_FFFF_FFFF


class Compare:
    """Argument number `argument`, seen through `mask`, equals `value`."""

    def __init__(self, argument: int, mask: int, value: int) -> None:
        self.argument = argument
        self.mask = mask
        self.value = value

    def holds(self, arguments: tuple[int, ...]) -> bool:
        """Return whether the call's (unsigned 64-bit) arguments satisfy this."""
        return arguments[self.argument] & self.mask == self.value


class HostCall:
    """A call that the sandbox may make: always, or when one of `rules` holds as a whole."""

    def __init__(self, name: str, why: str, rules: tuple[tuple[Compare, ...], ...] = ()) -> None:
        self.name = name
        self.why = why
        self.rules = rules

    def allows(self, arguments: tuple[int, ...]) -> bool:
        """Return whether the declaration allows the call with these arguments."""
        if not self.rules:
            return True
        return any(all(compare.holds(arguments) for compare in rule) for rule in self.rules)


def one_of(argument: int, mask: int, values: tuple[int, ...]) -> tuple[tuple[Compare, ...], ...]:
    """Return rules that let an argument be one of `values`."""
    return tuple((Compare(argument, mask, value),) for value in values)


# Constants of the host that only the filter needs.
_PROT_EXEC: Final = 0x4
_SIGN_BIT: Final = 0x8000_0000
PTRACE_REQUESTS: Final = {
    "PTRACE_PEEKUSER": 3,
    "PTRACE_POKEUSER": 6,
    "PTRACE_CONT": 7,
    "PTRACE_SINGLESTEP": 9,
    "PTRACE_GETREGS": 12,
    "PTRACE_SETREGS": 13,
    "PTRACE_SYSCALL": 24,
    "PTRACE_GETSIGINFO": 0x4202,
    "PTRACE_GETREGSET": 0x4204,
    "PTRACE_SETREGSET": 0x4205,
    "PTRACE_INTERRUPT": 0x4207,
    "PTRACE_GET_SYSCALL_INFO": 0x420E,
}
_FCNTL_COMMANDS: Final = (
    1,  # F_GETFD
    2,  # F_SETFD
    3,  # F_GETFL
    4,  # F_SETFL
    36,  # F_OFD_GETLK
    37,  # F_OFD_SETLK
    1030,  # F_DUPFD_CLOEXEC
    1031,  # F_SETPIPE_SZ
    1032,  # F_GETPIPE_SZ
    1033,  # F_ADD_SEALS
    1034,  # F_GET_SEALS
)
IOCTL_COMMANDS: Final = (
    0x5401,  # TCGETS: Python asks of every file that it opens whether it is a terminal
    0x5413,  # TIOCGWINSZ
    0x5414,  # TIOCSWINSZ
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x80086601,  # FS_IOC_GETFLAGS
    0xC0686611,  # PROCMAP_QUERY
)
_PRCTL_OPTIONS: Final = (
    15,  # PR_SET_NAME
    0x53564D41,  # PR_SET_VMA: glibc and Python name anonymous mappings where the kernel can
)

MSG_DONTWAIT: Final = 0x40
_SHUT_WR: Final = 1
_MSG_TRUNC: Final = 0x20

_NO_EXEC: Final = ((Compare(2, _PROT_EXEC, 0),),)
_BENEATH: Final = ((Compare(0, _SIGN_BIT, 0),),)
_BOTH_BENEATH: Final = ((Compare(0, _SIGN_BIT, 0), Compare(2, _SIGN_BIT, 0)),)

RULES: Final[dict[str, tuple[tuple[Compare, ...], ...]]] = {
    # No new code: neither fresh nor by changing the protection of what is there.
    "mmap": _NO_EXEC,
    "mprotect": _NO_EXEC,
    # A path starts at a descriptor: AT_FDCWD is negative, in 32 bits and in 64.
    "openat": _BENEATH,
    "openat2": _BENEATH,
    "newfstatat": _BENEATH,
    "statx": _BENEATH,
    "mkdirat": _BENEATH,
    "unlinkat": _BENEATH,
    "symlinkat": ((Compare(1, _SIGN_BIT, 0),),),
    "readlinkat": _BENEATH,
    "faccessat2": _BENEATH,
    "fchmodat": _BENEATH,
    "fchmodat2": _BENEATH,
    "fchownat": _BENEATH,
    "utimensat": _BENEATH,
    "mknodat": _BENEATH,
    "renameat": _BOTH_BENEATH,
    "renameat2": _BOTH_BENEATH,
    "linkat": _BOTH_BENEATH,
    # Only what steers threads that are traced already: nobody new can be attached to.
    "ptrace": one_of(0, LONG, tuple(PTRACE_REQUESTS.values())),
    "fcntl": one_of(1, INT, _FCNTL_COMMANDS),
    # The kernel reads 32 bits of the command (TIOCSTI with high bits set was a hole elsewhere).
    "ioctl": one_of(1, INT, IOCTL_COMMANDS),
    "prctl": one_of(0, INT, _PRCTL_OPTIONS),
    # With no other flag: not out of band, not to open a connection on its way (MSG_FASTOPEN).
    "sendmsg": one_of(2, INT, (MSG_DONTWAIT,)),
    # Only "no more will come".
    "shutdown": one_of(1, INT, (_SHUT_WR,)),
    "recvmmsg": one_of(3, INT, (MSG_DONTWAIT | _MSG_TRUNC,)),
}
"""Argument rules by call; they hold whichever part of the sandbox asks for the call."""

# Looked for first, in this order: the kernel remembers what is always allowed, but of ptrace(2),
# made four times for each call of a guest, the filter is asked each time.
_MOST_FREQUENT: Final = ("ptrace", "newfstatat", "openat")
_FIRST_PRIORITY: Final = 255

INTERPRETER_CALLS: Final = (
    HostCall("brk", "the heap"),
    HostCall("mmap", "memory", _NO_EXEC),
    HostCall("munmap", "memory"),
    HostCall("mremap", "a large realloc"),
    HostCall("mprotect", "the heap of a thread", _NO_EXEC),
    HostCall("madvise", "memory given back"),
    HostCall("futex", "the interpreter's lock"),
    HostCall("rt_sigaction", "handlers of the platform"),
    HostCall("rt_sigprocmask", "handlers of the platform"),
    HostCall("rt_sigreturn", "handlers of the platform"),
    HostCall("sigaltstack", "threads"),
    HostCall("restart_syscall", "a call that a signal interrupted"),
    HostCall("clock_gettime", "clocks, where the vDSO does not answer"),
    HostCall("gettimeofday", "clocks, where the vDSO does not answer"),
    HostCall("getrandom", "hash seeds, address space layout, the guest's getrandom"),
    HostCall("getpid", "the interpreter"),
    HostCall("gettid", "the interpreter"),
    HostCall("sched_yield", "the interpreter's lock"),
    HostCall("read", "descriptors that the sandbox holds"),
    HostCall("write", "descriptors that the sandbox holds"),
    HostCall("close", "descriptors that the sandbox holds"),
    HostCall("lseek", "descriptors that the sandbox holds"),
    HostCall("fstat", "descriptors that the sandbox holds"),
    HostCall("exit", "the end of a thread"),
    HostCall("exit_group", "the end"),
)

CONTROL_CALLS: Final = (
    HostCall("accept4", "the control socket"),
    HostCall("recvmsg", "requests and the descriptors that come with them"),
    HostCall("getsockopt", "who asks (SO_PEERCRED)"),
    HostCall("getsockname", "what Python asks about every socket object"),
    HostCall("fcntl", "non-blocking descriptors", RULES["fcntl"]),
)


def merge_calls(
    parts: tuple[tuple[str, tuple[str, ...]], ...], special: tuple[HostCall, ...] = ()
) -> list[HostCall]:
    """Return the whole allow-list: ours, and the names that each of `parts` declares.

    A call of `special` has the rules that are given there instead of its usual ones.
    """
    merged: dict[str, HostCall] = {call.name: call for call in special}
    for call in INTERPRETER_CALLS + CONTROL_CALLS:
        merged.setdefault(call.name, call)
    for part, names in parts:
        for name in names:
            merged.setdefault(name, HostCall(name, part, RULES.get(name, ())))
    return list(merged.values())


class HostFilter:
    """The allow-list as a libseccomp filter, ready to be loaded or looked at."""

    def __init__(self, calls: list[HostCall], *, trap: bool) -> None:
        """`trap`: a refused call raises SIGSYS, to be reported; else it kills at once."""
        binding = load_binding()
        self._filter = binding.SyscallFilter(binding.TRAP if trap else binding.KILL_PROCESS)
        self._filter.set_attr(binding.Attr.CTL_TSYNC, 1)
        # libseccomp's own choice for 32-bit calls would end a single thread.
        self._filter.set_attr(binding.Attr.ACT_BADARCH, binding.KILL_PROCESS)
        for call in calls:
            if not call.rules:
                self._filter.add_rule_exactly(binding.ALLOW, call.name)
            for rule in call.rules:
                arguments = [
                    binding.Arg(c.argument, binding.EQ, c.value)
                    if c.mask == LONG
                    else binding.Arg(c.argument, binding.MASKED_EQ, c.mask, c.value)
                    for c in rule
                ]
                self._filter.add_rule_exactly(binding.ALLOW, call.name, *arguments)
        for rank, name in enumerate(_MOST_FREQUENT):
            self._filter.syscall_priority(name, _FIRST_PRIORITY - rank)

    def load(self) -> None:
        """Put the filter on every thread of this process, for ever."""
        self._filter.load()

    def export(self, file: IO[bytes]) -> None:
        """Write the compiled program (struct sock_filter each)."""
        self._filter.export_bpf(file)
