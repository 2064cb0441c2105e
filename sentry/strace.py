"""The log of system calls, in the manner of strace(1).

    [   7] cat: openat(AT_FDCWD, "/etc/hosts", O_RDONLY) = 3 (41 µs)

What goes into a call is written down when the call begins, what comes out of
it when it ends; a call that sleeps and runs again is one line.  Which kinds
of arguments a call has is said in `strace_tables.py`.
"""

from typing import Final

from sentry.abi import errno, fcntl, syscalls
from sentry.log import Log
from sentry.platform.interface import GuestMemory, GuestThread
from sentry.strace_file_flags import OPEN_FLAGS, OPEN_MODES
from sentry.strace_kinds import Call, choice_and_flags, octal
from sentry.strace_tables import (
    ADDRESS_RESULTS,
    ARGUMENTS,
    OCTAL_RESULTS,
    TIMEOUT_RESULTS,
    UNKNOWN,
)
from sentry.tracer import CallTracer

_MODE_OPENS: Final = fcntl.O_CREAT | fcntl.O_TMPFILE & ~fcntl.O_DIRECTORY

# They do not return, but where they do not, they succeeded.
_EXECS: Final = frozenset((syscalls.SYS_execve, syscalls.SYS_execveat))

_RESTARTS: Final[dict[int, str]] = {
    errno.ERESTARTSYS: "To be restarted if SA_RESTART is set",
    errno.ERESTARTNOINTR: "To be restarted",
    errno.ERESTARTNOHAND: "To be restarted if no handler",
    errno.ERESTART_RESTARTBLOCK: "Interrupted by signal",
}


class CallTrace:
    """One call between its entry and its end."""

    def __init__(self, number: int, args: tuple[int, ...], memory: GuestMemory) -> None:
        self.started_ns = 0
        self._call = Call(number, args, memory)
        self._kinds = ARGUMENTS.get(number, UNKNOWN)
        self._texts: list[str] = []
        for index in range(self._count(number, args)):
            kind = self._kinds[index]
            self._texts.append("" if kind.out else kind.text(self._call, args[index]))

    def _count(self, number: int, args: tuple[int, ...]) -> int:
        """Return how many arguments are shown: a mode only where a file may be made."""
        if number == syscalls.SYS_open and not args[1] & _MODE_OPENS:
            return 2
        if number == syscalls.SYS_openat and not args[2] & _MODE_OPENS:
            return 3
        return len(self._kinds)

    def end(self, result: int, elapsed_ns: int) -> str:
        """Return the line of a call that returned a result or a negated errno."""
        self._call.result = result
        return f"{self._line()} = {self._result(result)} ({elapsed_ns // 1000} µs)"

    def end_without_result(self) -> str:
        """Return the line of a call that does not come back (exit, execve, rt_sigreturn)."""
        self._call.result = -errno.EINTR  # nothing was written
        done = "0" if self._call.number in _EXECS else "?"
        return f"{self._line()} = {done}"

    def _line(self) -> str:
        parts: list[str] = []
        for index, text in enumerate(self._texts):
            kind = self._kinds[index]
            parts.append(kind.text(self._call, self._call.args[index]) if kind.out else text)
        return f"{syscalls.name(self._call.number)}({', '.join(parts)})"

    def _result(self, result: int) -> str:
        number = self._call.number
        if -4096 < result < 0:
            return error_text(-result)
        if number in ADDRESS_RESULTS:
            return hex(result)
        if number in OCTAL_RESULTS:
            return octal(result)
        if result == 0 and number in TIMEOUT_RESULTS:
            return "0 (Timeout)"
        if number == syscalls.SYS_fcntl and self._call.args[1] == fcntl.F_GETFL:
            bits = choice_and_flags(fcntl.O_ACCMODE, OPEN_MODES, OPEN_FLAGS, result)
            return f"{hex(result)} (flags {bits})"
        return str(result)


class Strace(CallTracer):
    """Logs the calls of all tasks, or those whose names are in `names` if there are any."""

    def __init__(self, log: Log, names: frozenset[str]) -> None:
        self._log = log
        self._names = names
        self._calls: dict[int, CallTrace] = {}
        self._titles: dict[int, str] = {}

    def begin(self, tid: int, comm: bytes, thread: GuestThread, now_ns: int) -> None:
        number = thread.number
        self._calls.pop(tid, None)  # whatever it was: it is over
        self._titles.pop(tid, None)
        if self._names and syscalls.name(number) not in self._names:
            return
        args = (thread.a0, thread.a1, thread.a2, thread.a3, thread.a4, thread.a5)
        trace = CallTrace(number, args, thread.memory)
        trace.started_ns = now_ns
        self._calls[tid] = trace
        self._titles[tid] = f"[{tid:4}] {_printable(comm)}: "

    def end(self, tid: int, result: int, now_ns: int) -> None:
        trace = self._calls.get(tid)
        if trace is None:
            return
        if result < -4095:
            line = trace.end_without_result()
        else:
            line = trace.end(result, now_ns - trace.started_ns)
        self._log.info(self._titles[tid] + line)
        if not -517 < result < -511:
            del self._calls[tid]
            del self._titles[tid]


def parse_names(text: str) -> frozenset[str]:
    """Return the calls that a comma-separated list names; ValueError for one that is none."""
    names = frozenset([name.strip() for name in text.split(",") if name.strip()])
    for name in sorted(names):
        if name not in syscalls.NUMBERS:
            raise ValueError(f"no such system call: {name}")
    return names


def format_call(
    number: int, args: tuple[int, ...], memory: GuestMemory, result: int, elapsed_ns: int
) -> str:
    """Return the line of a call that is over."""
    return CallTrace(number, args, memory).end(result, elapsed_ns)


def error_text(number: int) -> str:
    """Return how a failure is shown: -1 ENOENT (No such file or directory)."""
    if number in _RESTARTS:
        return f"? {errno.name(number)} ({_RESTARTS[number]})"
    return f"-1 {errno.name(number)} ({errno.MESSAGES.get(number, 'Unknown error')})"


def _printable(comm: bytes) -> str:
    return "".join([chr(byte) if 32 <= byte < 127 else "?" for byte in comm])
