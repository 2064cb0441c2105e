"""Output that waits for the next call of its kind."""

from sentry.abi.syscalls import SYS_epoll_wait, SYS_poll
from sentry.kernel.deferral import WAIT_NS, Deferral, HeldOutput
from tests.fake_task import FakePlatform


class WaitingPlatform(FakePlatform):
    """Agrees to have output wait."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[bool] = []
        self.agrees = True

    def may_defer(self) -> bool:
        return True

    def note_deferred(self, *, waits: bool) -> bool:
        self.notes.append(waits)
        return self.agrees


class Output(HeldOutput):
    def __init__(self) -> None:
        self.pushes = 0

    def push(self) -> None:
        self.pushes += 1


TASK, OTHER = object(), object()


def test_the_second_call_of_a_kind_may_wait_and_any_other_ends_that():
    platform = WaitingPlatform()
    deferral = Deferral(platform)
    output = Output()
    deferral.on_call(TASK, 1, 5)
    assert not deferral.may_hold()
    deferral.on_call(TASK, 1, 5)
    assert deferral.may_hold()
    deferral.hold(output, 1000)
    deferral.on_call(TASK, 1, 5)
    deferral.hold(output, 2000)
    assert output.pushes == 0
    for task, number, fd in ((OTHER, 1, 5), (OTHER, 1, 6), (OTHER, 2, 6)):
        deferral.on_call(task, number, fd)
        assert not deferral.may_hold()
        assert output.pushes == 1
        output.pushes = 0
        deferral.on_call(task, number, fd)
        deferral.hold(output, 3000)
    assert platform.notes == [True, False] * 3 + [True]


def test_asking_who_is_ready_ends_nothing_unless_the_caller_has_to_sleep():
    deferral = Deferral(WaitingPlatform())
    output = Output()
    deferral.on_call(TASK, 1, 5)
    deferral.on_call(TASK, 1, 5)
    deferral.hold(output, 1000)
    deferral.on_call(TASK, SYS_poll, 7)
    deferral.on_call(TASK, 1, 5)
    assert deferral.may_hold()
    assert output.pushes == 0
    deferral.on_call(TASK, SYS_epoll_wait, 3)
    deferral.on_sleep()
    assert output.pushes == 1


def test_nothing_waits_for_long():
    deferral = Deferral(WaitingPlatform())
    output = Output()
    deferral.hold(output, 1000)
    assert not deferral.is_late(1000 + WAIT_NS)
    assert deferral.is_late(1001 + WAIT_NS)
    deferral.hold(output, 2000)  # what waited before is gone
    assert not deferral.is_late(1001 + WAIT_NS)
    deferral.push()
    assert output.pushes == 1
    assert not deferral.is_late(1 << 60)


def test_only_one_waits():
    deferral = Deferral(WaitingPlatform())
    first, second = Output(), Output()
    deferral.hold(first, 0)
    deferral.hold(second, 0)
    assert (first.pushes, second.pushes) == (1, 0)


def test_other_output_waits_whatever_calls_are_made():
    platform = WaitingPlatform()
    deferral = Deferral(platform)
    calls, other = Output(), Output()
    deferral.hold(calls, 1000)
    assert deferral.hold_other(other, 1000, is_new=True)
    deferral.on_call(TASK, 1, 5)
    assert (calls.pushes, other.pushes) == (1, 0)
    assert deferral.waits
    assert platform.notes == [True]
    assert deferral.hold_other(other, 5000, is_new=False)
    assert deferral.is_late(1001 + WAIT_NS)
    assert deferral.hold_other(other, 9000, is_new=True)
    assert not deferral.is_late(9000 + WAIT_NS)
    deferral.push()
    assert other.pushes == 1
    assert not deferral.waits
    assert platform.notes == [True, False]


def test_what_nobody_would_look_after_does_not_wait():
    platform = WaitingPlatform()
    platform.agrees = False
    output = Output()
    Deferral(platform).hold(output, 0)
    assert output.pushes == 1
    assert not Deferral(platform).hold_other(output, 0, is_new=True)
    deferral = Deferral(FakePlatform())
    deferral.on_call(TASK, 1, 5)
    deferral.on_call(TASK, 1, 5)
    assert not deferral.may_hold()
