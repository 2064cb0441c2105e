"""A bug of ours ends the process that met it, is logged, and ends nothing else."""

import pytest

from sentry.abi.signal import SIGKILL
from sentry.kernel import exit
from sentry.kernel.blocking import DONE
from sentry.kernel.kernel import Kernel
from sentry.kernel.task import TASK_DEAD, TASK_GUEST, Task
from sentry.kernel.timer import Timer
from sentry.log import Log
from sentry.loop import Loop
from sentry.platform.interface import STOP_HOST_EVENT, STOP_SYSCALL, GuestThread
from sentry.syscalls import _dispatch
from sentry.vfs.mount import FsContext
from tests.fake_task import FakePlatform, FakeTask, ManualClock

BUG, SANE = 1000, 1001
ENDLESS = 1002


class Context(FsContext):
    """A context that is only counted."""

    def __init__(self) -> None:
        self.users = 1


class ListLog(Log):
    """Keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, text: str) -> None:
        self.lines.append(text)


class ScriptedPlatform(FakePlatform):
    """Reports the stops of a script: a task and a number, or a host event."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[tuple[Task, int] | None] = []
        self.resumed: list[GuestThread] = []
        self.failures = 0
        self.deadlines: list[int] = []

    def set_timer(self, deadline_ns: int) -> None:
        self.deadlines.append(deadline_ns)

    def resume(self, thread: GuestThread) -> None:
        self.resumed.append(thread)

    def wait(self) -> int:
        stop = self.script.pop(0)
        self.thread = None
        if stop is None:
            return STOP_HOST_EVENT
        task, number = stop
        self.thread = task.thread
        task.thread.number = number
        return STOP_SYSCALL

    def dispatch(self) -> None:
        if self.failures:
            self.failures -= 1
            raise KeyError("a watcher")


def raise_key_error(task: Task, thread: GuestThread) -> int:
    raise KeyError(f"what nobody thought of in task {task.tid}")


def recurse(task: Task, thread: GuestThread) -> int:
    return recurse(task, thread) + 1


def answer(task: Task, thread: GuestThread) -> int:
    return 5


def end_all(task: Task, thread: GuestThread) -> int:
    exit.exit_group(task, 7 << 8)
    return DONE


class World:
    """An init and two children in a kernel over a script."""

    def __init__(self) -> None:
        self.platform = ScriptedPlatform()
        self.log = ListLog()
        self.kernel = Kernel(self.platform, self.log)
        self.kernel.clock = ManualClock()
        self.init = FakeTask(self.kernel, 1)
        self.kernel.pids.init = self.init.group
        self.children = [self.child(2), self.child(3)]
        for task in (self.init, *self.children):
            task.thread.owner = task
            task.state = TASK_GUEST
            task.fs = Context()

    def child(self, pid: int) -> FakeTask:
        child = FakeTask(self.kernel, pid)
        child.group.parent = self.init.group
        child.group.exit_signal = 17
        self.init.group.children.add(child.group)
        return child

    def run(self, *script: tuple[Task, int] | None) -> int:
        """Run the script, then have init end with status 7."""
        self.platform.script = [*script, (self.init, 231)]
        return Loop(self.kernel, None).run()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world whose calls of unused numbers are the test's."""
    handlers = {BUG: raise_key_error, SANE: answer, ENDLESS: recurse, 231: end_all}
    for number, handler in handlers.items():
        monkeypatch.setitem(_dispatch.HANDLERS, number, handler)
    return World()


@pytest.mark.parametrize("number", [BUG, ENDLESS])
def test_a_handler_with_a_bug_ends_its_process_alone(world: World, number: int) -> None:
    first, second = world.children
    status = world.run((first, number), (second, SANE), (second, SANE))
    assert status == 7 << 8
    assert first.state == TASK_DEAD
    assert first.group.exit_status == SIGKILL
    assert world.platform.resumed == [second.thread, second.thread]
    assert len(world.log.lines) == 1
    assert "test_loop.py" in world.log.lines[0], "where it was"
    assert f"task 2 (b'') ends because of a bug in call {number}" in world.log.lines[0]


def test_a_bug_in_a_thread_ends_its_siblings(world: World) -> None:
    first, second = world.children
    sibling = FakeTask(world.kernel, 4)
    sibling.group = first.group
    first.group.tasks.append(sibling)
    sibling.fs = Context()
    sibling.state = TASK_GUEST
    world.run((first, BUG), (second, SANE))
    assert sibling.state == TASK_DEAD
    assert world.platform.resumed == [second.thread]


def test_a_bug_in_the_end_of_a_process_is_not_the_sandboxs(world: World) -> None:
    first, second = world.children
    ended: list[str] = []
    # What ends a process needs these, and raises without them.
    first.fs = None
    first.thread.kill = lambda: ended.append("killed")  # type: ignore[method-assign]  # a fake
    assert world.run((first, BUG), (second, SANE)) == 7 << 8
    assert "killed" in ended
    assert world.platform.resumed == [second.thread]
    assert "and its end has a bug too" in world.log.lines[1]


def test_a_bug_of_init_ends_the_sandbox_with_its_status(world: World) -> None:
    world.platform.script = [(world.init, BUG)]
    assert Loop(world.kernel, None).run() == SIGKILL
    assert len(world.log.lines) == 1


def test_a_timer_is_set_once(world: World) -> None:
    """However many packets come before it is due."""
    world.kernel.timers.arm(BadTimer(), 10**15)
    assert world.run(None, None, None) == 7 << 8
    assert world.platform.deadlines == [10**15]


class BadTimer(Timer):
    """Raises when it is due."""

    def fire(self) -> None:
        raise ZeroDivisionError("in a timer")


def test_a_bug_in_a_timer_or_watcher_is_logged(world: World) -> None:
    second = world.children[1]
    world.kernel.timers.arm(BadTimer(), 5)
    world.platform.failures = 1
    assert world.run(None, None, None, (second, SANE)) == 7 << 8
    assert len(world.log.lines) == 2
    assert "KeyError: 'a watcher'" in world.log.lines[0]
    assert "in a timer" in world.log.lines[1]
    assert world.platform.resumed == [second.thread]
