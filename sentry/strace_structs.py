"""How the structs that arguments point to are written: files, time, limits, signals, waiting."""

from typing import Final

from sentry.abi import fcntl, resource, signal, stat
from sentry.abi import time as abi_time
from sentry.abi.types import s32
from sentry.strace_file_flags import (
    EPOLL_EVENTS,
    FILE_KINDS,
    LOCK_TYPES,
    OPEN_FLAGS,
    OPEN_MODES,
    POLL_EVENTS,
    RESOLVE_FLAGS,
    STATFS_TYPES,
    STATX_MASK,
    WHENCE,
)
from sentry.strace_flags import (
    CHILD_CODES,
    CLONE_FLAGS,
    POLICIES,
    SIGACTION_FLAGS,
    SIGEVENT_KINDS,
    SIGNAL_CODES,
    STACK_FLAGS,
)
from sentry.strace_kinds import (
    MAX_DATA,
    MAX_ITEMS,
    Call,
    Kind,
    buffer,
    choice,
    choice_and_flags,
    flags,
    octal,
    pointer,
    quote,
    read,
    s32_at,
    s64_at,
    sigset,
    u32_at,
    u64_at,
)


class Struct(Kind):
    """A struct of one size; an out struct of a failed call is only an address."""

    def __init__(self, size: int, *, out: bool = False) -> None:
        super().__init__(out=out)
        self.size = size

    def text(self, call: Call, value: int) -> str:
        if self.out and call.is_failed():
            return pointer(value)
        data = read(call.memory, value, self.size)
        return self.fields(call, data) if data else pointer(value)

    def fields(self, call: Call, data: bytes) -> str:
        """Return what stands for `size` bytes of the guest."""
        return quote(data[:MAX_DATA], is_cut=len(data) > MAX_DATA)


class Numbers(Struct):
    """An array of `count` numbers of `width` bytes."""

    def __init__(
        self, count: int = 1, width: int = 4, *, signed: bool = True, out: bool = False
    ) -> None:
        super().__init__(count * width, out=out)
        self._width = width
        self._is_signed = signed

    def fields(self, call: Call, data: bytes) -> str:
        parts: list[str] = []
        for offset in range(0, self.size, self._width):
            item = data[offset : offset + self._width]
            parts.append(str(int.from_bytes(item, "little", signed=self._is_signed)))
        return "[" + ", ".join(parts) + "]"


class NumberList(Kind):
    """An array of 32-bit numbers, as many as another argument or (out) the result says."""

    def __init__(self, count_index: int, *, out: bool = False) -> None:
        super().__init__(out=out)
        self._count_index = count_index

    def text(self, call: Call, value: int) -> str:
        if self.out and call.is_failed():
            return pointer(value)
        count = call.result if self.out else s32(call.args[self._count_index])
        if count <= 0:
            return "[]"
        data = read(call.memory, value, 4 * min(count, MAX_ITEMS))
        if not data:
            return pointer(value)
        parts = [str(u32_at(data, offset)) for offset in range(0, len(data), 4)]
        return "[" + ", ".join(parts) + (", …]" if count > MAX_ITEMS else "]")


class Timespec(Struct):
    """struct timespec, or several; `out` is written even by calls that fail with EINTR."""

    def __init__(self, count: int = 1, *, out: bool = False) -> None:
        super().__init__(16 * count, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        parts = [_timespec(data, offset) for offset in range(0, self.size, 16)]
        return parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"


class Timeval(Struct):
    """struct timeval, or two of them."""

    def __init__(self, count: int = 1, *, out: bool = False) -> None:
        super().__init__(16 * count, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        parts = [_timeval(data, offset) for offset in range(0, self.size, 16)]
        return parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"


class Itimer(Struct):
    """struct itimerspec or struct itimerval."""

    def __init__(self, *, spec: bool, out: bool = False) -> None:
        super().__init__(32, out=out)
        self._spec = spec

    def fields(self, call: Call, data: bytes) -> str:
        if self._spec:
            return f"{{it_interval={_timespec(data, 0)}, it_value={_timespec(data, 16)}}}"
        return f"{{it_interval={_timeval(data, 0)}, it_value={_timeval(data, 16)}}}"


class Stat(Struct):
    """struct stat."""

    def __init__(self) -> None:
        super().__init__(stat.STAT_SIZE, out=True)

    def fields(self, call: Call, data: bytes) -> str:
        mode = u32_at(data, 24)
        return f"{{st_mode={file_mode(mode)}, {_size_or_device(mode, data, 48, 40)}, …}}"


class Statx(Struct):
    """struct statx."""

    def __init__(self) -> None:
        super().__init__(stat.STATX_STRUCT_SIZE, out=True)

    def fields(self, call: Call, data: bytes) -> str:
        mode = u32_at(data, 28) & 0xFFFF
        mask = flags(STATX_MASK, u32_at(data, 0))
        return f"{{stx_mask={mask}, stx_mode={file_mode(mode)}, stx_size={u64_at(data, 40)}, …}}"


class StatFs(Struct):
    """struct statfs."""

    def __init__(self) -> None:
        super().__init__(stat.STATFS_SIZE, out=True)

    def fields(self, call: Call, data: bytes) -> str:
        kind = choice(STATFS_TYPES, u64_at(data, 0))
        return f"{{f_type={kind}, f_bsize={u64_at(data, 8)}, f_blocks={u64_at(data, 16)}, …}}"


class Rlimit(Struct):
    """struct rlimit."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(resource.RLIMIT_SIZE, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        return f"{{rlim_cur={_limit(u64_at(data, 0))}, rlim_max={_limit(u64_at(data, 8))}}}"


class Rusage(Struct):
    """struct rusage."""

    def __init__(self) -> None:
        super().__init__(resource.RUSAGE_SIZE, out=True)

    def fields(self, call: Call, data: bytes) -> str:
        return f"{{ru_utime={_timeval(data, 0)}, ru_stime={_timeval(data, 16)}, …}}"


class Sysinfo(Struct):
    """struct sysinfo."""

    def __init__(self) -> None:
        super().__init__(112, out=True)

    def fields(self, call: Call, data: bytes) -> str:
        ram = f"totalram={u64_at(data, 32)}, freeram={u64_at(data, 40)}"
        return f"{{uptime={s64_at(data, 0)}, {ram}, …}}"


class Utsname(Struct):
    """struct new_utsname."""

    def __init__(self) -> None:
        super().__init__(390, out=True)

    def fields(self, call: Call, data: bytes) -> str:
        parts: list[str] = []
        for index, name in enumerate(("sysname", "nodename", "release")):
            field = data[65 * index : 65 * index + 65].partition(b"\0")[0]
            parts.append(f"{name}={quote(field)}")
        return "{" + ", ".join(parts) + ", …}"


class SigSet(Struct):
    """A set of signals."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(8, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        return sigset(u64_at(data, 0))


class SigSetArgument(Kind):
    """The last argument of pselect6(2): a pointer to the address and size of a set."""

    def text(self, call: Call, value: int) -> str:
        data = read(call.memory, value, 16)
        if not data:
            return pointer(value)
        mask = read(call.memory, u64_at(data, 0), 8)
        shown = sigset(u64_at(mask, 0)) if mask else pointer(u64_at(data, 0))
        return f"{{sigmask={shown}, sigsetsize={u64_at(data, 8)}}}"


class SigAction(Struct):
    """The kernel's struct sigaction."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(signal.SIGACTION_SIZE, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        handler = u64_at(data, 0)
        name = {0: "SIG_DFL", 1: "SIG_IGN"}.get(handler, hex(handler))
        bits = flags(SIGACTION_FLAGS, u64_at(data, 8))
        return f"{{sa_handler={name}, sa_mask={sigset(u64_at(data, 24))}, sa_flags={bits}}}"


class StackT(Struct):
    """stack_t."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(signal.STACK_T_SIZE, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        bits = flags(STACK_FLAGS, u32_at(data, 8))
        return f"{{ss_sp={pointer(u64_at(data, 0))}, ss_flags={bits}, ss_size={u64_at(data, 16)}}}"


class SigInfo(Struct):
    """siginfo_t."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(signal.SIGINFO_SIZE, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        number = s32_at(data, 0)
        code = u32_at(data, 8)
        names = CHILD_CODES if number == signal.SIGCHLD and code in CHILD_CODES else SIGNAL_CODES
        text = f"{{si_signo={signal.name(number)}, si_code={choice(names, code)}"
        text += f", si_pid={s32_at(data, 16)}, si_uid={u32_at(data, 20)}"
        if names is CHILD_CODES:
            text += f", si_status={s32_at(data, 24)}"
        return text + "}"


class SigEvent(Struct):
    """struct sigevent."""

    def __init__(self) -> None:
        super().__init__(signal.SIGEVENT_SIZE)

    def fields(self, call: Call, data: bytes) -> str:
        how = choice(SIGEVENT_KINDS, u32_at(data, 12))
        return f"{{sigev_signo={signal.name(s32_at(data, 8))}, sigev_notify={how}}}"


class PollFds(Kind):
    """The array of poll(2), before and after the call."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(out=out)

    def text(self, call: Call, value: int) -> str:
        count = call.args[1] & 0xFFFF_FFFF
        data = read(call.memory, value, 8 * min(count, MAX_ITEMS)) if count else b""
        if not data:
            return pointer(value) if count else "[]"
        parts: list[str] = []
        for offset in range(0, len(data), 8):
            both = u32_at(data, offset + 4)
            text = f"{{fd={s32_at(data, offset)}, events={flags(POLL_EVENTS, both & 0xFFFF)}"
            if self.out and not call.is_failed():
                text += f", revents={flags(POLL_EVENTS, both >> 16)}"
            parts.append(text + "}")
        return "[" + ", ".join(parts) + (", …]" if count > MAX_ITEMS else "]")


class FdSet(Kind):
    """A set of descriptors of select(2), as it was before the call."""

    def text(self, call: Call, value: int) -> str:
        limit = min(max(s32(call.args[0]), 0), 1024)
        data = read(call.memory, value, (limit + 63) // 64 * 8)
        if not data:
            return pointer(value)
        bits = int.from_bytes(data, "little")
        fds = [str(fd) for fd in range(limit) if bits >> fd & 1]
        shown = " ".join(fds[:MAX_ITEMS])
        return f"[{shown} …]" if len(fds) > MAX_ITEMS else f"[{shown}]"


class EpollEvent(Struct):
    """struct epoll_event for epoll_ctl(2)."""

    def __init__(self) -> None:
        super().__init__(12)

    def fields(self, call: Call, data: bytes) -> str:
        return _epoll_event(data, 0)


class EpollEvents(Kind):
    """What epoll_wait(2) found."""

    def __init__(self) -> None:
        super().__init__(out=True)

    def text(self, call: Call, value: int) -> str:
        if call.is_failed():
            return pointer(value)
        if call.result == 0:
            return "[]"
        data = read(call.memory, value, 12 * min(call.result, MAX_ITEMS))
        if not data:
            return pointer(value)
        parts = [_epoll_event(data, offset) for offset in range(0, len(data), 12)]
        return "[" + ", ".join(parts) + (", …]" if call.result > MAX_ITEMS else "]")


class WaitStatus(Struct):
    """The status word of wait4(2), which is written if the call found a child."""

    def __init__(self) -> None:
        super().__init__(4, out=True)

    def text(self, call: Call, value: int) -> str:
        return pointer(value) if call.result <= 0 else super().text(call, value)

    def fields(self, call: Call, data: bytes) -> str:
        return "[" + wait_status(u32_at(data, 0)) + "]"


class OpenHow(Struct):
    """struct open_how."""

    def __init__(self) -> None:
        super().__init__(24)

    def fields(self, call: Call, data: bytes) -> str:
        bits = choice_and_flags(3, OPEN_MODES, OPEN_FLAGS, u64_at(data, 0))
        resolve = flags(RESOLVE_FLAGS, u64_at(data, 16))
        return f"{{flags={bits}, mode={octal(u64_at(data, 8))}, resolve={resolve}}}"


class CloneArgs(Struct):
    """struct clone_args, the first version of it."""

    def __init__(self) -> None:
        super().__init__(64)

    def fields(self, call: Call, data: bytes) -> str:
        bits = flags(CLONE_FLAGS, u64_at(data, 0))
        end = signal.name(u32_at(data, 32)) if u32_at(data, 32) else "0"
        stack = f"stack={pointer(u64_at(data, 40))}, stack_size={hex(u64_at(data, 48))}"
        return f"{{flags={bits}, exit_signal={end}, {stack}, tls={pointer(u64_at(data, 56))}}}"


class SchedParam(Struct):
    """struct sched_param."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(4, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        return f"[{s32_at(data, 0)}]"


class SchedAttr(Struct):
    """struct sched_attr, the first fields of it."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(24, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        policy = choice(POLICIES, u32_at(data, 4))
        return f"{{sched_policy={policy}, sched_nice={s32_at(data, 16)}, …}}"


class CapData(Struct):
    """The two __user_cap_data_struct of capget(2)."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(24, out=out)

    def fields(self, call: Call, data: bytes) -> str:
        sets: list[str] = []
        for name, offset in (("effective", 0), ("permitted", 4), ("inheritable", 8)):
            sets.append(f"{name}={hex(u32_at(data, offset) | u32_at(data, offset + 12) << 32)}")
        return "{" + ", ".join(sets) + "}"


class Dirents(Kind):
    """The entries that getdents64(2) returned: how many."""

    def __init__(self, length_offset: int = 16) -> None:
        super().__init__(out=True)
        self._length_offset = length_offset

    def text(self, call: Call, value: int) -> str:
        if call.is_failed():
            return pointer(value)
        data = read(call.memory, value, call.result)
        count = 0
        offset = 0
        while offset + self._length_offset + 2 <= len(data):
            size = u32_at(data, offset + self._length_offset) & 0xFFFF
            if size == 0:
                break
            offset += size
            count += 1
        return f"{pointer(value)} /* {count} entries */"


class Iovecs(Kind):
    """An array of struct iovec: the bytes to be written, or (out) those that were read."""

    def __init__(self, *, out: bool = False) -> None:
        super().__init__(out=out)

    def text(self, call: Call, value: int) -> str:
        left = call.result if self.out else -1
        return iovecs(call, value, call.args[2], left)


class FcntlArgument(Kind):
    """The third argument of fcntl(2), by its command."""

    def text(self, call: Call, value: int) -> str:
        command = call.args[1] & 0xFFFF_FFFF
        if command == fcntl.F_SETFD:
            return "FD_CLOEXEC" if value == 1 else hex(value)
        if command == fcntl.F_SETFL:
            return choice_and_flags(3, OPEN_MODES, OPEN_FLAGS, value & 0xFFFF_FFFF)
        if command in _LOCK_COMMANDS:
            data = read(call.memory, value, fcntl.FLOCK_SIZE)
            return _flock(data) if data else pointer(value)
        return str(s32(value)) if command in _NUMBER_COMMANDS else hex(value)


_LOCK_COMMANDS: Final = frozenset(
    (
        fcntl.F_GETLK,
        fcntl.F_SETLK,
        fcntl.F_SETLKW,
        fcntl.F_OFD_GETLK,
        fcntl.F_OFD_SETLK,
        fcntl.F_OFD_SETLKW,
    )
)
_NUMBER_COMMANDS: Final = frozenset(
    (fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC, fcntl.F_SETPIPE_SZ, fcntl.F_SETOWN, fcntl.F_SETSIG)
)


def iovecs(call: Call, address: int, count: int, left: int) -> str:
    """Return an array of struct iovec with `left` bytes of content (-1: all there are)."""
    if address == 0 or count == 0:
        return pointer(address) if address == 0 else "[]"
    data = read(call.memory, address, 16 * min(count, MAX_ITEMS)) if count <= 1024 else b""
    if not data:
        return pointer(address)
    parts: list[str] = []
    for offset in range(0, len(data), 16):
        base = u64_at(data, offset)
        size = u64_at(data, offset + 8)
        shown = size if left < 0 else min(size, left)
        text = buffer(call.memory, base, shown) if shown else pointer(base)
        parts.append(f"{{iov_base={text}, iov_len={size}}}")
        if left > 0:
            left -= shown
    return "[" + ", ".join(parts) + (", …]" if count > MAX_ITEMS else "]")


def file_mode(mode: int) -> str:
    """Return the mode of a file: S_IFREG|0644."""
    kind = mode & stat.S_IFMT
    name = FILE_KINDS[kind] if kind in FILE_KINDS else octal(kind)
    return f"{name}|{mode & 0o7777:#05o}".replace("0o", "0")


def wait_status(status: int) -> str:
    """Return what the status of a child tells."""
    if status == 0xFFFF:
        return "{WIFCONTINUED(s)}"
    low = status & 0x7F
    if low == 0x7F:
        return f"{{WIFSTOPPED(s) && WSTOPSIG(s) == {signal.name(status >> 8 & 0xFF)}}}"
    if low:
        core = " && WCOREDUMP(s)" if status & 0x80 else ""
        return f"{{WIFSIGNALED(s) && WTERMSIG(s) == {signal.name(low)}{core}}}"
    return f"{{WIFEXITED(s) && WEXITSTATUS(s) == {status >> 8 & 0xFF}}}"


def _size_or_device(mode: int, data: bytes, size_offset: int, device_offset: int) -> str:
    if mode & stat.S_IFMT in (stat.S_IFCHR, stat.S_IFBLK):
        device = u64_at(data, device_offset)
        return f"st_rdev=makedev({stat.major(device):#x}, {stat.minor(device):#x})"
    return f"st_size={s64_at(data, size_offset)}"


def _timespec(data: bytes, offset: int) -> str:
    nanoseconds = s64_at(data, offset + 8)
    if nanoseconds == abi_time.UTIME_NOW:
        return "UTIME_NOW"
    if nanoseconds == abi_time.UTIME_OMIT:
        return "UTIME_OMIT"
    return f"{{tv_sec={s64_at(data, offset)}, tv_nsec={nanoseconds}}}"


def _timeval(data: bytes, offset: int) -> str:
    return f"{{tv_sec={s64_at(data, offset)}, tv_usec={s64_at(data, offset + 8)}}}"


def _limit(value: int) -> str:
    if value == resource.RLIM_INFINITY:
        return "RLIM_INFINITY"
    return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)


def _epoll_event(data: bytes, offset: int) -> str:
    events = flags(EPOLL_EVENTS, u32_at(data, offset))
    return f"{{events={events}, data={hex(u64_at(data, offset + 4))}}}"


def _flock(data: bytes) -> str:
    kind = choice(LOCK_TYPES, u32_at(data, 0) & 0xFFFF)
    whence = choice(WHENCE, u32_at(data, 0) >> 16)
    start = s64_at(data, 8)
    length = s64_at(data, 16)
    return f"{{l_type={kind}, l_whence={whence}, l_start={start}, l_len={length}}}"
