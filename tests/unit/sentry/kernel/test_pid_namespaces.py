"""Containers of one kernel: numbers of one pid namespace mean nothing in another."""

import pytest

from sentry.abi.errno import ECHILD, EINVAL, ESRCH
from sentry.abi.fcntl import F_GETLK, F_SETLK, FLOCK_SIZE, O_RDWR, pack_flock, unpack_flock
from sentry.abi.signal import SIGCONT, SIGKILL, SIGTERM
from sentry.abi.stat import S_IFREG
from sentry.abi.types import NULL, Fd, Int, Pid
from sentry.errors import SysError
from sentry.fs.pidfd import open_pidfd
from sentry.fs.tmpfs import TmpFile, TmpFilesystem, TmpInode
from sentry.kernel import exit
from sentry.kernel.async_io import F_OWNER_PID, owner_of, send_to_owner
from sentry.kernel.control_group import ControlGroup
from sentry.kernel.freeze import freeze, thaw
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.signal import kernel_info, signal_bit
from sentry.kernel.task import HOLD_FREEZE, HOLD_STOP
from sentry.socket.base import pack_ucred_for
from sentry.socket.unix import ucred_of
from sentry.syscalls.identity import sys_getpgid
from sentry.syscalls.locks import lock_command
from sentry.syscalls.pidfd import sys_pidfd_open, sys_pidfd_send_signal
from sentry.syscalls.signal import sys_kill, sys_tgkill
from sentry.syscalls.wait import sys_waitid
from sentry.vfs.file import File
from sentry.vfs.mount import FsContext
from tests.fake_task import BASE, FakeTask, call

P_PIDFD = 3
WEXITED = 4


class Context(FsContext):
    """A context that is only counted."""

    def __init__(self) -> None:
        self.users = 1


class World:
    """Two containers, each with an init and a child of it."""

    def __init__(self) -> None:
        self.first = FakeTask()
        self.kernel = self.first.kernel
        self.pids = self.kernel.new_pid_namespace()
        self.second = FakeTask(self.kernel, 1, self.pids)
        self.groups = [ControlGroup(), ControlGroup()]
        self.children = [
            self._family(self.first, self.kernel.pids, self.groups[0]),
            self._family(self.second, self.pids, self.groups[1]),
        ]

    def _family(self, init: FakeTask, pids: PidNamespace, cgroup: ControlGroup) -> FakeTask:
        pids.init = init.group
        child = FakeTask(self.kernel, 2, pids)
        child.group.parent = init.group
        init.group.children.add(child.group)
        for task in (init, child):
            task.fs = Context()
            cgroup.add(task.group)
        return child


@pytest.fixture
def world() -> World:
    return World()


def pending(task: FakeTask) -> int:
    return task.group.pending.mask


def test_numbers_are_given_anew_in_each(world: World) -> None:
    assert [world.kernel.pids.new_pid(), world.pids.new_pid()] == [3, 3]
    assert world.kernel.task_count() == 4
    world.kernel.max_tasks = 4
    with pytest.raises(SysError):
        world.pids.new_pid()


def test_signals_stay_in_the_namespace(world: World) -> None:
    one, two = world.children
    assert call(world.second, lambda: sys_kill(world.second, Pid(2), Int(SIGTERM))) == 0
    assert (pending(one), pending(two)) == (0, signal_bit(SIGTERM))
    assert call(world.first, lambda: sys_tgkill(world.first, Pid(2), Pid(2), Int(SIGTERM))) == 0
    assert one.pending.mask == signal_bit(SIGTERM)


def test_kill_of_everybody_is_of_everybody_in_the_namespace(world: World) -> None:
    one, two = world.children
    assert call(world.second, lambda: sys_kill(world.second, Pid(-1), Int(SIGTERM))) == 0
    assert (pending(one), pending(two)) == (0, signal_bit(SIGTERM))
    assert pending(world.first) == 0
    third = FakeTask(world.kernel, 5, world.kernel.new_pid_namespace())
    assert call(third, lambda: sys_kill(third, Pid(-1), Int(SIGTERM))) == -ESRCH
    assert call(third, lambda: sys_kill(third, Pid(2), Int(0))) == -ESRCH
    assert call(third, lambda: sys_getpgid(third, Pid(2))) == -ESRCH


def test_the_end_of_an_init_ends_its_namespace_alone(world: World) -> None:
    exit.end_group(world.second.group, SIGKILL)
    assert world.children[1].is_dead()
    assert not world.children[0].is_dead()
    assert not world.kernel.is_finished
    assert world.pids.number not in world.kernel.pid_namespaces
    assert (world.pids.tasks, world.pids.groups, world.groups[1].members) == ({}, {}, {})
    with pytest.raises(SysError):
        world.pids.new_pid()
    exit.end_group(world.first.group, 3 << 8)
    assert (world.kernel.is_finished, world.kernel.exit_status) == (True, 3 << 8)


def test_orphans_get_the_init_of_their_namespace(world: World) -> None:
    child = world.children[1]
    grandchild = FakeTask(world.kernel, 7, world.pids)
    grandchild.group.parent = child.group
    child.group.children.add(grandchild.group)
    exit.end_group(child.group, 0)
    assert grandchild.group.parent is world.second.group


def test_a_pidfd_from_elsewhere_signals_nobody(world: World) -> None:
    stranger, own = world.first, world.second
    fd = Fd(own.fds.install(open_pidfd(world.children[0].group, 0), cloexec=True))
    send = call(own, lambda: sys_pidfd_send_signal(own, fd, Int(SIGTERM), NULL, 0))
    assert send == -EINVAL
    waited = call(own, lambda: sys_waitid(own, Int(P_PIDFD), Pid(fd), NULL, Int(WEXITED), NULL))
    assert waited == -ECHILD
    assert pending(world.children[0]) == pending(world.children[1]) == pending(stranger) == 0
    assert call(own, lambda: sys_pidfd_open(own, Pid(9), 0)) == -ESRCH


def test_credentials_have_no_pid_of_another_namespace(world: World) -> None:
    packed = pack_ucred_for(world.first, ucred_of(world.children[1]))
    assert packed == bytes(12)
    assert pack_ucred_for(world.second, ucred_of(world.children[1]))[:4] == b"\2\0\0\0"


def test_the_owner_of_a_file_is_who_was_meant(world: World) -> None:
    owner = owner_of(File(0))
    owner.kind, owner.number, owner.pid_namespace = F_OWNER_PID, 2, world.pids.number
    send_to_owner(world.kernel, owner, kernel_info(SIGTERM))
    assert [pending(child) for child in world.children] == [0, signal_bit(SIGTERM)]
    world.kernel.forget_pid_namespace(world.pids)
    send_to_owner(world.kernel, owner, kernel_info(SIGCONT))
    assert pending(world.children[1]) == signal_bit(SIGTERM)


def test_freezing_is_of_one_control_group(world: World) -> None:
    freeze(world.groups[1])
    held = [task.hold for task in (world.first, world.children[0], world.second, world.children[1])]
    assert held == [0, 0, HOLD_FREEZE, HOLD_FREEZE]
    thaw(world.groups[1])
    assert world.second.hold & (HOLD_FREEZE | HOLD_STOP) == 0


def test_the_holder_of_a_lock_has_a_number_in_its_own_namespace(world: World) -> None:
    inode = TmpFilesystem().root().create(b"file", S_IFREG | 0o644, 0, 0)
    assert isinstance(inode, TmpInode)

    def lock(task: FakeTask, command: int) -> int:
        fd = task.fds.install(TmpFile(inode, O_RDWR), cloexec=False)
        task.memory.write(BASE, pack_flock(1, 0, 0, 0, 0))
        assert call(task, lambda: lock_command(task, fd, command, BASE)) == 0
        return unpack_flock(task.memory.read(BASE, FLOCK_SIZE))[4]

    holder = world.children[1]
    lock(holder, F_SETLK)
    sibling, stranger = world.second, world.children[0]
    assert (lock(sibling, F_GETLK), lock(stranger, F_GETLK)) == (holder.group.pid, 0)
