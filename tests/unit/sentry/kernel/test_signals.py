"""What becomes of signals: pending, blocked, ignored, stops, ends, children."""

from sentry.abi.errno import ECHILD, ERESTARTSYS
from sentry.abi.signal import (
    SIGCHLD,
    SIGCONT,
    SIGKILL,
    SIGRTMIN,
    SIGSEGV,
    SIGSTOP,
    SIGTERM,
    SIGUSR1,
    SIGWINCH,
)
from sentry.abi.types import NULL, Int, Pid
from sentry.kernel import delivery, exit
from sentry.kernel.signal import (
    PendingSignals,
    SignalAction,
    kernel_info,
    send_to_group,
    send_to_task,
    set_mask,
    signal_bit,
)
from sentry.kernel.task import HOLD_STOP
from sentry.syscalls.wait import sys_wait4
from sentry.vfs.mount import FsContext
from tests.fake_task import FakeTask, call


class Context(FsContext):
    """A context that is only counted."""

    def __init__(self) -> None:
        self.users = 1


def family() -> tuple[FakeTask, FakeTask]:
    """Return an init and a child of it."""
    init = FakeTask()
    init.kernel.pids.init = init.group
    child = FakeTask(init.kernel, 2)
    child.group.parent = init.group
    init.group.children.add(child.group)
    child.fs = Context()
    return init, child


def test_pending_keeps_one_of_each_standard_signal_and_all_real_time_ones() -> None:
    pending = PendingSignals()
    assert [pending.add(kernel_info(SIGUSR1)) for _ in range(2)] == [True, False]
    for _ in range(3):
        pending.add(kernel_info(SIGRTMIN))
    pending.add(kernel_info(SIGSEGV))
    taken = []
    while (info := pending.take(-1)) is not None:
        taken.append(info.number)
    assert taken == [SIGSEGV, SIGUSR1, SIGRTMIN, SIGRTMIN, SIGRTMIN]
    assert (pending.mask, pending.count) == (0, 0)


def test_ignored_by_default_is_dropped_but_kept_while_blocked() -> None:
    _, child = family()
    send_to_group(child.group, kernel_info(SIGWINCH))
    assert not child.has_signal
    set_mask(child, signal_bit(SIGWINCH))
    send_to_group(child.group, kernel_info(SIGWINCH))
    assert child.group.pending.mask == signal_bit(SIGWINCH)
    set_mask(child, 0)
    assert child.has_signal
    assert delivery.deliver(child, -ERESTARTSYS)  # nothing came of it: the call goes on
    assert not child.has_signal


def test_default_of_sigterm_ends_the_process_and_tells_the_parent() -> None:
    init, child = family()
    init.group.handlers.actions[SIGCHLD] = SignalAction(0x1000, 0, 0, 0)
    send_to_group(child.group, kernel_info(SIGTERM))
    delivery.deliver(child, 0)
    assert child.is_dead()
    assert child.group.is_zombie
    assert init.group.pending.mask == signal_bit(SIGCHLD)
    assert call(init, lambda: sys_wait4(init, Pid(-1), NULL, Int(0), NULL)) == 2
    assert call(init, lambda: sys_wait4(init, Pid(-1), NULL, Int(0), NULL)) == -ECHILD
    assert 2 not in init.kernel.pids.tasks


def test_init_takes_only_what_it_handles_and_kill_from_outside() -> None:
    init = FakeTask()
    for number in (SIGTERM, SIGKILL, SIGSTOP):
        send_to_group(init.group, kernel_info(number))
        assert not init.has_signal
    send_to_group(init.group, kernel_info(SIGTERM), force=True)
    assert not init.has_signal
    send_to_group(init.group, kernel_info(SIGKILL), force=True)
    assert init.group.is_exiting


def test_a_fault_ends_init_too() -> None:
    init = FakeTask()
    init.kernel.pids.init = init.group
    init.fs = Context()
    set_mask(init, signal_bit(SIGSEGV))
    delivery.force(init, kernel_info(SIGSEGV))
    delivery.deliver(init, 0)
    assert (init.kernel.is_finished, init.kernel.exit_status) == (True, SIGSEGV)


def test_stop_holds_and_continue_lets_go() -> None:
    init, child = family()
    send_to_group(child.group, kernel_info(SIGSTOP))
    delivery.deliver(child, 0)
    assert child.hold == HOLD_STOP
    assert child.group.stop_unreported
    assert call(init, lambda: sys_wait4(init, Pid(2), NULL, Int(2), NULL)) == 2
    send_to_group(child.group, kernel_info(SIGCONT))
    assert child.hold == 0
    assert child.group.continue_unreported


def test_a_stopped_init_continues_though_it_has_no_handler() -> None:
    init, _ = family()
    send_to_group(init.group, kernel_info(SIGSTOP), force=True)
    delivery.deliver(init, 0)
    assert init.is_stopped
    send_to_group(init.group, kernel_info(SIGCONT))
    assert not init.is_stopped
    assert not init.hold & HOLD_STOP


def test_a_stopped_process_can_be_killed() -> None:
    _, child = family()
    send_to_group(child.group, kernel_info(SIGSTOP))
    delivery.deliver(child, 0)
    send_to_group(child.group, kernel_info(SIGKILL))
    assert child.has_signal
    delivery.deliver(child, 0)
    assert child.group.exit_status == SIGKILL


def test_children_of_the_dead_go_to_the_nearest_subreaper() -> None:
    init, child = family()
    child.group.is_subreaper = True
    middle = FakeTask(init.kernel, 3)
    middle.fs = Context()
    middle.group.parent = child.group
    child.group.children.add(middle.group)
    last = FakeTask(init.kernel, 4)
    last.group.parent = middle.group
    middle.group.children.add(last.group)
    exit.exit_task(middle, 0)
    assert last.group.parent is child.group


def test_thread_signal_is_not_seen_by_others() -> None:
    _, child = family()
    child.group.handlers.actions[SIGUSR1] = SignalAction(0x1000, 0, 0, 0)
    send_to_task(child, kernel_info(SIGUSR1))
    assert child.pending.mask == signal_bit(SIGUSR1)
    assert child.group.pending.mask == 0
