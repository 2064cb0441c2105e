"""The containers of a sandbox: the first, which it was made with, and those that join it."""

import os
import stat
from typing import Final

from config.flags import Config
from config.launch import Launch, MountSource
from config.oci import Spec
from runsc.boot.container import Container, Machine, Namespaces, exit_code
from runsc.boot.programs import reason_of
from runsc.boot.requests import ContainerTable, ExecSession, JoinSession, RequestHandler
from runsc.boot.sysctls import apply_sysctls
from runsc.errors import RunscError
from sentry.errors import SysError
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.spawn import ExitWatcher
from sentry.kernel.thread_group import ThreadGroup
from sentry.kernel.timer import Timer

MAX_CONTAINERS: Final = 64
PATIENCE_NS: Final = 2_000_000_000


class InitWatcher(ExitWatcher):
    """Notices the end of the init of a container that has joined."""

    def __init__(self, group: ThreadGroup, member: "Member") -> None:
        super().__init__(group)
        self._member = member

    def on_exit(self, status: int) -> None:
        self._member.on_init_exit(status)


class Patience(Timer):
    """The end of waiting for the clients of `exec`."""

    def __init__(self, member: "Member") -> None:
        super().__init__()
        self._member = member

    def fire(self) -> None:
        self._member.tell_end()


class Member(Container):
    """A container that has joined; its end leaves the sandbox running.

    It is told after all clients of `exec` have gone: engines forget a container
    whose init has ended, and an exec that is told later with it.
    """

    def __init__(
        self,
        machine: Machine,
        launch: Launch,
        namespaces: Namespaces,
        session: JoinSession,
    ) -> None:
        super().__init__(machine, launch, namespaces)
        self._platform = machine.kernel.platform
        self._session = session
        self._watcher: InitWatcher | None = None
        self._execs: set[ExecSession] = set()
        self._patience = Patience(self)
        self._status = -1  # of init, once it has ended and until that was told
        self._is_down = False

    def watch_init(self) -> None:
        """Have the end of init told."""
        self._watcher = InitWatcher(self.init(), self)

    def on_init_exit(self, status: int) -> None:
        """Called when init has ended; in a pid namespace of its own that was the last process."""
        if not self.cgroup.living():
            self.take_down()
        self._status = exit_code(status)
        if not self._execs:
            self.tell_end()
            return
        deadline_ns = self._kernel.clock.monotonic_ns() + PATIENCE_NS
        self._kernel.timers.arm(self._patience, deadline_ns)

    def tell_end(self) -> None:
        """Report how init has ended, once."""
        if self._status >= 0:
            status = self._status
            self._status = -1
            self._session.on_exit(status)

    def exec(self, session: ExecSession) -> None:
        super().exec(session)
        self._execs.add(session)

    def forget_exec(self, session: ExecSession) -> None:
        self._execs.discard(session)
        if not self._execs:
            self._kernel.timers.disarm(self._patience)
            self.tell_end()

    def take_down(self) -> None:
        """Give back what it has of the host, once."""
        if not self._is_down:
            self._is_down = True
            self._platform.drop_origin(self.cgroup.origin)
            super().take_down()

    def make_origin(self) -> None:
        """Have its host processes be copies of one that can be put into a cgroup."""
        try:
            self.cgroup.origin = self._platform.make_origin()
        except SysError as error:
            raise RunscError(f"cannot make a process: {reason_of(error)}") from None

    def host_tids(self) -> list[int]:
        """Return the host processes that are to be in its cgroup before it is started."""
        leader = self.init().leader
        assert leader is not None
        return [self.cgroup.origin, leader.thread.host_tid]


class Containers(ContainerTable):
    """The containers by name."""

    def __init__(self, machine: Machine, launch: Launch, first: Container) -> None:
        """`launch` is what the first container was made by."""
        self._machine = machine
        self._config: Config = launch.config
        self._first_id = launch.container_id
        self._first = first
        self._members: dict[str, Member] = {}

    def find(self, container_id: str) -> RequestHandler:
        return self._container(container_id)

    def _container(self, container_id: str) -> Container:
        if not container_id or container_id == self._first_id:
            return self._first
        member = self._members.get(container_id)
        if member is None:
            raise RunscError("container not running")
        return member

    def create(self, session: JoinSession) -> tuple[RequestHandler, list[int]]:
        try:
            self._check(session)
            launch = self._launch(session)
            namespaces = self._namespaces_of(session)
        except BaseException:
            _close(session.descriptors())
            raise
        try:
            member = self._make(session, launch, namespaces)
        except BaseException:
            if not session.pids_of:
                self._machine.kernel.forget_pid_namespace(namespaces.pids)
            raise
        self._members[session.container_id] = member
        return member, member.host_tids() if session.has_cgroup else []

    def delete(self, container_id: str) -> None:
        member = self._members.pop(container_id, None)
        if member is not None:
            member.kill()
            member.take_down()

    def _check(self, session: JoinSession) -> None:
        """RunscError for what a container cannot have in this sandbox."""
        if session.container_id in ("", self._first_id, *self._members):
            raise RunscError(f"container {session.container_id!r} is in the sandbox already")
        # What has ended counts until it is deleted: its client may still ask for it.
        if len(self._members) >= MAX_CONTAINERS:
            raise RunscError(f"the sandbox has {MAX_CONTAINERS} containers already")
        if not self._first.is_started():
            raise RunscError("the first container of the sandbox has not been started")
        check_users(self._first.spec, session.spec)
        if self._config.net_raw and not session.allows_raw:
            raise RunscError("--net-raw: the sandbox that the container joins allows raw sockets")
        for index in session.mount_fds:
            if index >= len(session.spec.mounts):
                raise RunscError(f"mounts[{index}]: there is no such mount")

    def _launch(self, session: JoinSession) -> Launch:
        launch = Launch(self._config, session.spec, session.container_id)
        launch.overlay2 = session.overlay2
        launch.root_fd = session.root_fd
        for index, host_fd in session.mount_fds.items():
            is_directory = stat.S_ISDIR(os.fstat(host_fd).st_mode)
            launch.mount_sources.append(MountSource(index, host_fd, is_directory=is_directory))
        return launch

    def _namespaces_of(self, session: JoinSession) -> Namespaces:
        uts_of = self._container(session.uts_of).place if session.uts_of else None
        ipc_of = self._container(session.ipc_of).place if session.ipc_of else None
        namespaces = Namespaces(self._pids_of(session), session.spec)
        if uts_of is not None:
            namespaces.uts = uts_of.uts
        if ipc_of is not None:
            namespaces.ipc = ipc_of.ipc
        return namespaces

    def _pids_of(self, session: JoinSession) -> PidNamespace:
        if not session.pids_of:
            return self._machine.kernel.new_pid_namespace()
        pids = self._container(session.pids_of).place.pids
        if pids.has_ended:
            raise RunscError(
                f"container {session.pids_of!r}, whose processes are shared, has ended"
            )
        return pids

    def _make(self, session: JoinSession, launch: Launch, namespaces: Namespaces) -> Member:
        kernel = self._machine.kernel
        try:
            if kernel.network is not None:
                apply_sysctls(kernel.network, session.spec)
            member = Member(self._machine, launch, namespaces, session)
        except BaseException:
            # The file systems that were made already have closed theirs.
            left = [launch.root_fd, *(source.host_fd for source in launch.mount_sources)]
            _close([host_fd for host_fd in left if host_fd >= 0] + session.host_fds)
            raise
        if session.has_cgroup:
            try:
                member.make_origin()
            except BaseException:
                _close(session.host_fds)
                member.take_down()
                raise
        try:
            member.create(session.host_fds, tty=session.tty)
        except BaseException:
            member.take_down()
            raise
        member.watch_init()
        return member


def _close(host_fds: list[int]) -> None:
    for host_fd in host_fds:
        os.close(host_fd)


def check_users(first: Spec, other: Spec) -> None:
    """RunscError if a container wants users mapped in another way than its sandbox has them."""
    if (first.linux.namespace("user") is None) != (other.linux.namespace("user") is None):
        raise RunscError("linux.namespaces: user: not as in the sandbox that the container joins")
    for name, one, two in (
        ("uidMappings", first.linux.uid_mappings, other.linux.uid_mappings),
        ("gidMappings", first.linux.gid_mappings, other.linux.gid_mappings),
    ):
        if one != two:
            raise RunscError(f"linux.{name}: not those of the sandbox that the container joins")
