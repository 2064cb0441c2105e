"""Signals: what is pending, what a process does with each, and sending (signal(7)).

Sending never ends or stops anything by itself: it marks the tasks that have
to look (`has_signal`) and wakes them; `delivery.py` does the rest when such a
task is about to run guest code.  So it may be called from inside any handler.
Signal sets are bit masks: signal N is bit N-1.
"""

from collections import deque
from typing import TYPE_CHECKING, Final

from sentry.abi import signal as abi
from sentry.abi.poll import POLLIN
from sentry.abi.resource import RLIMIT_SIGPENDING
from sentry.abi.signal import (
    CLD_CONTINUED,
    CLD_STOPPED,
    NSIG,
    SA_NOCLDSTOP,
    SI_KERNEL,
    SI_TIMER,
    SIG_DFL,
    SIG_IGN,
    SIGABRT,
    SIGBUS,
    SIGCHLD,
    SIGCONT,
    SIGFPE,
    SIGILL,
    SIGKILL,
    SIGQUIT,
    SIGRTMIN,
    SIGSEGV,
    SIGSTOP,
    SIGSYS,
    SIGTRAP,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGURG,
    SIGWINCH,
    SIGXCPU,
    SIGXFSZ,
)
from sentry.waitqueue import WaitQueue

if TYPE_CHECKING:
    from sentry.kernel.task import Task
    from sentry.kernel.thread_group import ProcessGroup, ThreadGroup

# Sets of signals.
ALL_SIGNALS: Final = (1 << NSIG) - 1
UNBLOCKABLE: Final = (1 << (SIGKILL - 1)) | (1 << (SIGSTOP - 1))
STOP_SIGNALS: Final = (
    (1 << (SIGSTOP - 1)) | (1 << (SIGTSTP - 1)) | (1 << (SIGTTIN - 1)) | (1 << (SIGTTOU - 1))
)
IGNORED_BY_DEFAULT: Final = (
    (1 << (SIGCHLD - 1)) | (1 << (SIGCONT - 1)) | (1 << (SIGURG - 1)) | (1 << (SIGWINCH - 1))
)
# Raised by an instruction: delivered before all others.
SYNCHRONOUS: Final = (
    (1 << (SIGSEGV - 1))
    | (1 << (SIGBUS - 1))
    | (1 << (SIGILL - 1))
    | (1 << (SIGTRAP - 1))
    | (1 << (SIGFPE - 1))
    | (1 << (SIGSYS - 1))
)
# Those whose default is to dump core.
CORE_SIGNALS: Final = (
    SYNCHRONOUS
    | (1 << (SIGQUIT - 1))
    | (1 << (SIGABRT - 1))
    | (1 << (SIGXCPU - 1))
    | (1 << (SIGXFSZ - 1))
)
_CONT_BIT: Final = 1 << (SIGCONT - 1)


def signal_bit(number: int) -> int:
    """Return the mask with just signal `number`."""
    return 1 << (number - 1)


class SignalInfo:
    """One signal with what siginfo_t tells about it."""

    def __init__(self, number: int, code: int, raw: bytes) -> None:
        self.number = number
        self.code = code  # si_code
        self.raw = raw  # the whole siginfo_t, 128 bytes
        self.is_pending = False


def user_info(number: int, code: int, pid: int, uid: int) -> SignalInfo:
    """Return a signal sent by process `pid`: SI_USER (kill(2)) or SI_TKILL (tgkill(2))."""
    return SignalInfo(number, code, abi.pack_siginfo_kill(number, code, pid, uid))


def kernel_info(number: int) -> SignalInfo:
    """Return a signal that the kernel sends of its own accord (SI_KERNEL)."""
    return SignalInfo(number, SI_KERNEL, abi.pack_siginfo_kill(number, SI_KERNEL, 0, 0))


def timer_info(number: int, timer_id: int, overrun: int, value: int) -> SignalInfo:
    """Return the signal of a timer of timer_create(2) (SI_TIMER)."""
    raw = abi.pack_siginfo_timer(number, timer_id, overrun, value)
    return SignalInfo(number, SI_TIMER, raw)


def child_info(
    code: int, pid: int, uid: int, status: int, user_ticks: int, system_ticks: int
) -> SignalInfo:
    """Return the signal that tells a parent about a child (SIGCHLD, CLD_ codes)."""
    raw = abi.pack_siginfo_chld(code, pid, uid, status, user_ticks, system_ticks)
    return SignalInfo(SIGCHLD, code, raw)


def fault_info(number: int, code: int, address: int) -> SignalInfo:
    """Return a signal for something an instruction did at `address`."""
    return SignalInfo(number, code, abi.pack_siginfo_fault(number, code, address))


def poll_info(number: int, code: int, band: int, fd: int) -> SignalInfo:
    """Return the signal of F_SETSIG for descriptor `fd` (POLL_IN, ..., fcntl(2))."""
    return SignalInfo(number, code, abi.pack_siginfo_poll(number, code, band, fd))


class PendingSignals:
    """Signals sent but not delivered: one of each standard, all of each real-time one."""

    def __init__(self) -> None:
        self.mask = 0
        self.count = 0  # how many are queued, for RLIMIT_SIGPENDING
        self._infos: dict[int, deque[SignalInfo]] = {}

    def add(self, info: SignalInfo) -> bool:
        """Queue a signal; False if a standard one is pending already."""
        number = info.number
        bit = 1 << (number - 1)
        if number < SIGRTMIN and self.mask & bit:
            return False
        self.mask |= bit
        self.count += 1
        info.is_pending = True
        infos = self._infos.get(number)
        if infos is None:
            self._infos[number] = deque((info,))
        else:
            infos.append(info)
        return True

    def take(self, allowed: int) -> SignalInfo | None:
        """Return and forget the lowest-numbered pending signal in `allowed`, oldest first."""
        ready = self.mask & allowed
        if not ready:
            return None
        if ready & SYNCHRONOUS:
            ready &= SYNCHRONOUS
        number = (ready & -ready).bit_length()
        infos = self._infos[number]
        info = infos.popleft()
        self.count -= 1
        info.is_pending = False
        if not infos:
            del self._infos[number]
            self.mask &= ~(1 << (number - 1))
        return info

    def discard(self, mask: int) -> None:
        """Forget every pending signal in `mask`."""
        left = self.mask & mask
        self.mask &= ~mask
        while left:
            number = (left & -left).bit_length()
            left &= left - 1
            infos = self._infos.pop(number)
            self.count -= len(infos)
            for info in infos:
                info.is_pending = False


class SignalAction:
    """What sigaction(2) sets for one signal; never changed, only replaced."""

    def __init__(self, handler: int, flags: int, restorer: int, mask: int) -> None:
        self.handler = handler
        self.flags = flags
        self.restorer = restorer
        self.mask = mask


DEFAULT_ACTION: Final = SignalAction(SIG_DFL, 0, 0, 0)


class SignalHandlers:
    """The actions of a thread group; shared with CLONE_SIGHAND."""

    def __init__(self) -> None:
        self.actions: list[SignalAction] = [DEFAULT_ACTION] * (NSIG + 1)
        self.users = 1
        # Told (POLLIN) of every signal that becomes pending: signalfd(2), sigtimedwait(2).
        self.queue = WaitQueue()

    def copy(self) -> "SignalHandlers":
        """Return a copy for a child of fork(2)."""
        new = SignalHandlers()
        new.actions = list(self.actions)
        return new

    def reset_for_exec(self) -> None:
        """Set handled signals to default; ignored ones stay ignored (execve(2))."""
        for number in range(1, NSIG + 1):
            if self.actions[number].handler > SIG_IGN:
                self.actions[number] = DEFAULT_ACTION
            elif self.actions[number].handler == SIG_IGN:
                self.actions[number] = SignalAction(SIG_IGN, 0, 0, 0)

    def ignores(self, number: int) -> bool:
        """Return whether the action is to ignore: set so, or by default."""
        handler = self.actions[number].handler
        if handler == SIG_DFL:
            return bool(1 << (number - 1) & IGNORED_BY_DEFAULT)
        return handler == SIG_IGN


# Masks.


def recalculate(task: "Task") -> None:
    """Set `has_signal` anew: after a change of mask, of what is pending, of a stop."""
    group = task.group
    task.has_signal = (
        bool((task.pending.mask | group.pending.mask) & ~task.signal_mask)
        or group.is_exiting
        or task.must_stop()
    )


def set_mask(task: "Task", mask: int) -> None:
    """Replace the signal mask; other threads get what this one will not take any more."""
    mask &= ~UNBLOCKABLE
    newly_blocked = mask & ~task.signal_mask
    task.signal_mask = mask
    recalculate(task)
    if newly_blocked & task.group.pending.mask:
        retarget(task, newly_blocked)


def retarget(task: "Task", mask: int) -> None:
    """Have other threads of the group take the pending signals in `mask`."""
    group = task.group
    left = group.pending.mask & mask
    if not left:
        return
    for other in group.tasks:
        if other is not task and left & ~other.signal_mask:
            left &= other.signal_mask
            other.notice_signal()


def begin_temporary_mask(task: "Task", mask: int) -> None:
    """Set a mask for the time of a call (ppoll(2), sigsuspend(2)); once per call."""
    if task.saved_mask < 0:
        task.saved_mask = task.signal_mask
    set_mask(task, mask)


def end_temporary_mask(task: "Task") -> None:
    """Put the mask from before the call back, when it ends without a signal."""
    if task.saved_mask >= 0:
        mask = task.saved_mask
        task.saved_mask = -1
        set_mask(task, mask)


# Sending.


def send_to_task(task: "Task", info: SignalInfo, *, force: bool = False) -> None:
    """Send a signal to one thread; `force`: init cannot refuse SIGKILL and SIGSTOP."""
    group = task.group
    if task.is_dead() or not _prepare(group, task, info.number, force=force):
        return
    if not _has_room(group, task.pending, info):
        return
    if not task.pending.add(info):
        return
    _complete(group, task, info.number, task)


def send_to_group(group: "ThreadGroup", info: SignalInfo, *, force: bool = False) -> None:
    """Send a signal to a process; some thread that does not block it takes it."""
    if not group.tasks:
        return
    first = group.tasks[0]
    if not _prepare(group, first, info.number, force=force):
        return
    if not _has_room(group, group.pending, info):
        return
    if not group.pending.add(info):
        return
    _complete(group, first, info.number, None)


def send_to_process_group(
    process_group: "ProcessGroup", info: SignalInfo, *, force: bool = False
) -> None:
    """Send a signal to every process of a process group."""
    for group in list(process_group.members):
        send_to_group(group, info, force=force)


def can_queue(group: "ThreadGroup", pending: PendingSignals) -> bool:
    """Return whether RLIMIT_SIGPENDING lets one more signal be queued (counted per queue)."""
    return pending.count < group.limits.soft[RLIMIT_SIGPENDING]


def _has_room(group: "ThreadGroup", pending: PendingSignals, info: SignalInfo) -> bool:
    # Standard signals are never lost: there is at most one of each (signal(7)).
    return info.number < SIGRTMIN or can_queue(group, pending)


def _prepare(group: "ThreadGroup", task: "Task", number: int, *, force: bool) -> bool:
    """Do what sending does at once to stops; return whether the signal is to be queued."""
    if group.is_exiting:
        return False
    bit = 1 << (number - 1)
    # Stops end, whatever becomes of the signal: Linux does the same for init.
    if bit & STOP_SIGNALS:
        _discard(group, _CONT_BIT)
    elif number == SIGCONT:
        _discard(group, STOP_SIGNALS)
        resume_group(group)
    is_default = group.handlers.actions[number].handler == SIG_DFL
    # A blocked signal is queued even for init: it may wait in sigwaitinfo(2) or signalfd(2).
    is_blocked = bool((task.signal_mask | task.awaited) & bit)
    if group.is_unkillable and is_default and not is_blocked:
        # pid_namespaces(7): init gets nothing it has no handler for, but from outside.
        if not (force and bit & UNBLOCKABLE):
            return False
    # A blocked signal stays: its action may change before it is unblocked.
    return is_blocked or not group.handlers.ignores(number)


def _discard(group: "ThreadGroup", mask: int) -> None:
    group.pending.discard(mask)
    for task in group.tasks:
        task.pending.discard(mask)


def _complete(group: "ThreadGroup", first: "Task", number: int, only: "Task | None") -> None:
    """Find the thread that takes the signal, and wake it."""
    queue = group.handlers.queue
    if queue.entries:
        queue.notify(POLLIN)
    bit = 1 << (number - 1)
    target: Task | None = None
    if only is not None:
        if _wants(only, number):
            target = only
    elif not first.has_signal and _wants(first, number):
        target = first
    else:
        for task in group.tasks:
            if _wants(task, number) and (target is None or not task.has_signal):
                target = task
                if not task.has_signal:
                    break
    if target is None:
        return
    if (
        group.handlers.actions[number].handler == SIG_DFL
        and not target.awaited & bit
        and not bit & (STOP_SIGNALS | CORE_SIGNALS | IGNORED_BY_DEFAULT)
        and (number == SIGKILL or not group.is_unkillable)
    ):
        # Nothing can save the process: even a vfork(2) parent and a stopped one must go.
        start_group_exit(group, number)
    else:
        target.notice_signal()


def _wants(task: "Task", number: int) -> bool:
    """Return whether a thread can take a signal now: a stopped one takes SIGKILL only."""
    if task.signal_mask & 1 << (number - 1):
        return False
    return not task.is_stopped or number == SIGKILL


def start_group_exit(group: "ThreadGroup", status: int) -> None:
    """Make every thread of the group end with the wait(2) status as soon as it can."""
    if group.is_exiting:
        return
    group.is_exiting = True
    group.exit_status = status
    for task in group.tasks:
        task.notice_kill()


# Stopped processes.


def resume_group(group: "ThreadGroup") -> None:
    """Let a stopped process run on, and tell its parent (SIGCONT)."""
    if not group.stop_signal:
        return
    was_stopped = not group.stop_pending
    signal = group.stop_signal
    group.stop_signal = 0
    group.stop_pending = False
    group.stop_unreported = False
    for task in group.tasks:
        task.end_stop()
    if was_stopped:
        group.continue_unreported = True
        notify_parent_of_stop(group, CLD_CONTINUED, SIGCONT)
    else:
        # The stop did not come to its end: the parent hears of the stop alone.
        notify_parent_of_stop(group, CLD_STOPPED, signal)


def notify_parent_of_stop(group: "ThreadGroup", code: int, status: int) -> None:
    """Tell the parent that a child stopped or continued (SA_NOCLDSTOP, wait(2))."""
    parent = group.parent
    if parent is None or not parent.tasks:
        return
    action = parent.handlers.actions[SIGCHLD]
    if action.handler != SIG_IGN and not action.flags & SA_NOCLDSTOP:
        uid = group.tasks[0].creds.uid if group.tasks else 0
        send_to_group(parent, child_info(code, group.pid, uid, status, 0, 0))
    parent.child_queue.notify(POLLIN)
