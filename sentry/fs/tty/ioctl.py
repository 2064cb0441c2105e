"""The requests of ioctl_tty(2), for terminals and for masters of pseudo-terminals.

What a request means does not depend on the side: a master's settings and
window size are those of its terminal.
"""

from struct import Struct
from typing import Final

from sentry.abi.capability import CAP_SYS_ADMIN
from sentry.abi.errno import EINVAL, EIO, ENOTTY, EPERM, ERESTARTSYS, ESRCH
from sentry.abi.ioctl import (
    CBAUD,
    N_TTY,
    NCCS,
    TCGETA,
    TCGETS,
    TCGETS2,
    TCIOFF,
    TCION,
    TCOOFF,
    TCOON,
    TCSBRK,
    TCSBRKP,
    TCSETA,
    TCSETAF,
    TCSETAW,
    TCSETS,
    TCSETS2,
    TCSETSF,
    TCSETSF2,
    TCSETSW,
    TCSETSW2,
    TCXONC,
    TERMIOS2_SIZE,
    TERMIOS_SIZE,
    TIOCEXCL,
    TIOCGETD,
    TIOCGEXCL,
    TIOCGPGRP,
    TIOCGSID,
    TIOCGWINSZ,
    TIOCNOTTY,
    TIOCNXCL,
    TIOCOUTQ,
    TIOCSCTTY,
    TIOCSETD,
    TIOCSPGRP,
    TIOCSTI,
    TIOCSWINSZ,
    TIOCVHANGUP,
    VSTART,
    VSTOP,
    WINSIZE_SIZE,
    Termios,
    unpack_termios,
)
from sentry.abi.signal import SIGTTOU
from sentry.errors import SysError
from sentry.fs.tty.terminal import Tty
from sentry.kernel import jobs
from sentry.kernel.task import Task
from sentry.mm.user import read_i32, write_u32

_TERMIO: Final = Struct("<HHHHB8s")  # struct termio, with a byte of padding after it
_TERMIO_SIZE: Final = 18
_SPEEDS: Final = Struct("<II")
_FLUSHING: Final = (TCSETSF, TCSETSF2, TCSETAF)
_SETTERS: Final = (
    TCSETS,
    TCSETSW,
    TCSETSF,
    TCSETS2,
    TCSETSW2,
    TCSETSF2,
    TCSETA,
    TCSETAW,
    TCSETAF,
)
# Speeds of CBAUD in bits per second (termios(3)); the pseudo-terminal has none in truth.
_BAUDS: Final = {
    0o0: 0, 0o1: 50, 0o2: 75, 0o3: 110, 0o4: 134, 0o5: 150, 0o6: 200, 0o7: 300, 0o10: 600,
    0o11: 1200, 0o12: 1800, 0o13: 2400, 0o14: 4800, 0o15: 9600, 0o16: 19200, 0o17: 38400,
    0o10001: 57600, 0o10002: 115200, 0o10003: 230400, 0o10004: 460800, 0o10005: 500000,
    0o10006: 576000, 0o10007: 921600, 0o10010: 1000000, 0o10011: 1152000, 0o10012: 1500000,
    0o10013: 2000000, 0o10014: 2500000, 0o10015: 3000000, 0o10016: 3500000, 0o10017: 4000000,
}  # fmt: skip


def tty_ioctl(tty: Tty, task: Task, request: int, argument: int, *, is_master: bool) -> int:
    """Do what both sides can be asked; SysError(ENOTTY) for what is not a terminal's."""
    memory = task.memory
    if request in _SETTERS:
        check_change(tty, task, is_master=is_master)
        _set_termios(tty, task, request, argument)
    elif request == TCGETS:
        memory.write(argument, tty.line.termios.pack())
    elif request == TCGETS2:
        termios = tty.line.termios
        memory.write(argument, termios.pack() + _SPEEDS.pack(*_speeds(termios)))
    elif request == TCGETA:
        memory.write(argument, _pack_termio(tty.line.termios))
    elif request == TIOCGWINSZ:
        tty.end.refresh()
        memory.write(argument, tty.window)
    elif request == TIOCSWINSZ:
        if tty.set_window(memory.read(argument, WINSIZE_SIZE)):
            tty.end.resized(tty.window)
    elif request in (TIOCSCTTY, TIOCNOTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID):
        return _job_ioctl(tty, task, request, argument, is_master=is_master)
    elif request in (TCSBRK, TCSBRKP):
        check_change(tty, task, is_master=is_master)  # there is no line to break
    elif request == TCXONC:
        check_change(tty, task, is_master=is_master)
        _flow(tty, argument)
    elif request == TIOCOUTQ:
        write_u32(memory, argument, 0)
    else:
        return _rare_ioctl(tty, task, request, argument)
    return 0


def _rare_ioctl(tty: Tty, task: Task, request: int, argument: int) -> int:
    memory = task.memory
    if request == TIOCGETD:
        write_u32(memory, argument, N_TTY)
    elif request == TIOCSETD:
        if read_i32(memory, argument) != N_TTY:
            raise SysError(EINVAL)
    elif request == TIOCEXCL:
        tty.is_exclusive = True
    elif request == TIOCNXCL:
        tty.is_exclusive = False
    elif request == TIOCGEXCL:
        write_u32(memory, argument, int(tty.is_exclusive))
    elif request == TIOCSTI:
        # What a process types on its terminal could run as someone else's command: Linux
        # has had it off by default since 6.2.
        raise SysError(EIO)
    elif request == TIOCVHANGUP:
        if not task.creds.has_capability(CAP_SYS_ADMIN):
            raise SysError(EPERM)
        tty.hang_up()
    else:
        raise SysError(ENOTTY)
    return 0


# Settings.


def check_change(tty: Tty, task: Task, *, is_master: bool) -> None:
    """Have a process in the background that changes its terminal stop (SIGTTOU)."""
    if is_master or task.group.terminal is not tty:
        return
    if not jobs.may_use_terminal(task.group, tty, task, SIGTTOU):
        raise SysError(ERESTARTSYS)


def _set_termios(tty: Tty, task: Task, request: int, argument: int) -> None:
    memory = task.memory
    if request in (TCSETA, TCSETAW, TCSETAF):
        new = _unpack_termio(memory.read(argument, _TERMIO_SIZE), tty.line.termios)
    elif request in (TCSETS, TCSETSW, TCSETSF):
        new = unpack_termios(memory.read(argument, TERMIOS_SIZE))
    else:
        new = unpack_termios(memory.read(argument, TERMIOS2_SIZE))
    if request in _FLUSHING:
        tty.line.drop_input()
    new.line = N_TTY
    tty.set_termios(new)


def _speeds(termios: Termios) -> tuple[int, int]:
    """Return the speeds of input and output in bits per second."""
    output = _BAUDS.get(termios.cflag & CBAUD, 38400)
    input_bits = termios.cflag >> 16 & CBAUD
    return (_BAUDS.get(input_bits, output) if input_bits else output), output


def _pack_termio(termios: Termios) -> bytes:
    packed = _TERMIO.pack(
        termios.iflag & 0xFFFF,
        termios.oflag & 0xFFFF,
        termios.cflag & 0xFFFF,
        termios.lflag & 0xFFFF,
        termios.line,
        termios.control_chars[:8],
    )
    return packed + b"\0"


def _unpack_termio(data: bytes, old: Termios) -> Termios:
    """Return the settings of a struct termio; what it has no bits for stays."""
    iflag, oflag, cflag, lflag, line, chars = _TERMIO.unpack_from(data, 0)
    high = 0xFFFF_0000
    return Termios(
        old.iflag & high | iflag,
        old.oflag & high | oflag,
        old.cflag & high | cflag,
        old.lflag & high | lflag,
        line,
        (chars + old.control_chars[8:])[:NCCS],
    )


def _flow(tty: Tty, what: int) -> None:
    """Do tcflow(3)."""
    if what in (TCOOFF, TCOON):
        tty.set_stopped(is_stopped=what == TCOOFF)
    elif what in (TCIOFF, TCION):
        char = tty.line.termios.control_chars[VSTOP if what == TCIOFF else VSTART]
        if char:
            tty.end.send(bytes((char,)))
    else:
        raise SysError(EINVAL)


# Job control.


def _job_ioctl(tty: Tty, task: Task, request: int, argument: int, *, is_master: bool) -> int:
    group = task.group
    if request == TIOCSCTTY:
        _take_terminal(tty, task, argument)
    elif request == TIOCNOTTY:
        if group.terminal is not tty or is_master:
            raise SysError(ENOTTY)
        jobs.give_up_terminal(group, is_ending=False)
    elif request == TIOCSPGRP:
        _set_foreground(tty, task, argument)
    else:
        if group.terminal is not tty and not is_master:
            raise SysError(ENOTTY)
        if request == TIOCGSID:
            if tty.session is None:
                raise SysError(ENOTTY)
            write_u32(task.memory, argument, tty.session.sid)
        else:
            foreground = tty.foreground
            write_u32(task.memory, argument, 0 if foreground is None else foreground.pgid)
    return 0


def _take_terminal(tty: Tty, task: Task, argument: int) -> None:
    """Do TIOCSCTTY: argument 1 lets CAP_SYS_ADMIN take it from another session."""
    group = task.group
    session = group.session()
    is_leader = session.sid == group.pid
    if is_leader and tty.session is session:
        return
    if not is_leader or group.terminal is not None:
        raise SysError(EPERM)
    if tty.session is not None:
        if argument != 1 or not task.creds.has_capability(CAP_SYS_ADMIN):
            raise SysError(EPERM)
        jobs.clear_terminal(tty.session)
    jobs.set_terminal(group, tty)


def _set_foreground(tty: Tty, task: Task, argument: int) -> None:
    """Do TIOCSPGRP (tcsetpgrp(3))."""
    group = task.group
    try:
        check_change(tty, task, is_master=False)
    except SysError as error:
        # A background process of an orphaned group: POSIX wants ENOTTY here.
        raise SysError(ENOTTY if error.errno == EIO else error.errno) from None
    session = group.session()
    pgid = read_i32(task.memory, argument)
    if pgid < 0:
        raise SysError(EINVAL)
    if group.terminal is not tty or tty.session is not session:
        raise SysError(ENOTTY)
    process_group = group.pids.process_groups.get(pgid)
    if process_group is None:
        raise SysError(EPERM if pgid in group.pids.tasks else ESRCH)
    if process_group.session is not session:
        raise SysError(EPERM)
    tty.foreground = process_group
