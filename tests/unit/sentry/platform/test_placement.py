"""Where threads run: near the sentry while they stop often, anywhere when they compute."""

import os
from collections.abc import Callable

import pytest

from sentry.platform.interface import STOP_HOST_EVENT, STOP_NONE, STOP_SYSCALL
from sentry.platform.ptrace.placement import FAR, NO_HOME
from sentry.platform.ptrace.platform import PtracePlatform
from sentry.platform.ptrace.thread import PtraceThread
from tests.unit.sentry.platform import guest

ALLOWED = os.sched_getaffinity(0)

pytestmark = pytest.mark.skipif(len(ALLOWED) < 2, reason="there is one processor only")

CHATTY = "void guest_main(ul *stack) { for (;;) sys(39, 0, 0, 0); }"
# Computes after its first call until the word that it names is cleared, then calls often.
COMPUTING = """
volatile ul quiet = 1;
void guest_main(ul *stack) { sys(39, &quiet, 0, 0); while (quiet); for (;;) sys(39, 1, 0, 0); }
"""


def step(platform: PtracePlatform, thread: PtraceThread, count: int) -> None:
    """Answer `count` calls of a thread."""
    for _ in range(count):
        assert guest.next_stop(platform) == STOP_SYSCALL
        thread.finish(1)
        platform.resume(thread)


def tick(platform: PtracePlatform, until: Callable[[], bool]) -> None:
    """Let the platform deal with its own events until something is so."""
    for _ in range(200):
        if until():
            return
        kind = platform.wait()
        if kind == STOP_HOST_EVENT:
            platform.dispatch()
        else:
            assert kind == STOP_NONE
    pytest.fail("the policy did not come to that")


def test_a_thread_that_stops_often_shares_the_processor_of_the_sentry(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    thread = start(CHATTY)
    platform.resume(thread)
    step(platform, thread, 5)
    home = {platform.placement.home}
    assert os.sched_getaffinity(0) == home
    assert os.sched_getaffinity(thread.host_tid) == home


def test_fresh_address_spaces_begin_at_home(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    first = start(CHATTY)
    platform.resume(first)
    step(platform, first, 2)
    for _ in range(2):  # the second is no longer from the pool
        second = start(CHATTY)
        assert os.sched_getaffinity(second.host_tid) == os.sched_getaffinity(0)


def test_a_computing_thread_is_let_go_and_comes_back(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    thread = start(COMPUTING)
    platform.resume(thread)
    assert guest.next_stop(platform) == STOP_SYSCALL
    quiet = thread.a0
    thread.finish(1)
    platform.resume(thread)
    tick(platform, lambda: thread.cpu == FAR)
    assert os.sched_getaffinity(thread.host_tid) == ALLOWED
    thread.memory.write(quiet, bytes(8))
    step(platform, thread, 200)
    assert thread.cpu == platform.placement.home
    assert os.sched_getaffinity(thread.host_tid) == os.sched_getaffinity(0)


def test_an_idle_sandbox_gives_its_processor_up(
    platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    thread = start(CHATTY)
    platform.resume(thread)
    step(platform, thread, 3)
    assert guest.next_stop(platform) == STOP_SYSCALL  # and nothing is resumed
    tick(platform, lambda: not platform.placement.is_ticking)
    assert platform.placement.home == NO_HOME
    assert os.sched_getaffinity(0) == ALLOWED


def test_closing_lets_the_thread_run_anywhere(
    proc_fd: int, platform: PtracePlatform, start: Callable[..., PtraceThread]
) -> None:
    thread = start(CHATTY)
    platform.resume(thread)
    step(platform, thread, 2)
    platform.placement.close()
    assert os.sched_getaffinity(0) == ALLOWED
