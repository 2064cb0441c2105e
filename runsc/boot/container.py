"""A container of the sandbox: carries out what the control server is asked for."""

import os
from typing import Final

from config.launch import Launch
from config.network import NetworkSettings
from config.oci import Process, Spec
from runsc.boot.interfaces import Interfaces
from runsc.boot.mounts import build_namespace
from runsc.boot.processes import ProcessMaker
from runsc.boot.requests import ExecSession, ForwardSession, RequestHandler
from runsc.boot.terminals import Console, Terminals
from runsc.errors import RunscError
from sentry.errors import SysError
from sentry.fs.ipc_namespace import IpcNamespace
from sentry.fs.stdio import host_stream
from sentry.kernel.control_group import ControlGroup
from sentry.kernel.exit import end_group
from sentry.kernel.freeze import freeze, running, thaw
from sentry.kernel.kernel import Kernel
from sentry.kernel.namespaces import UtsNamespace
from sentry.kernel.pid_namespace import PidNamespace
from sentry.kernel.signal import send_to_group, user_info
from sentry.kernel.spawn import ContainerPlace, ExitWatcher
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
from sentry.loader.program import Loader
from sentry.loop import Loop
from sentry.socket.forward import EndListener, Forwards
from sentry.socket.net_report import network_report
from sentry.vfs.file import File

SIGKILL: Final = 9
SIGSTOP: Final = 19
SIGWINCH: Final = 28
SI_USER: Final = 0


def exit_code(status: int) -> int:
    """Return what a shell makes of a wait(2) status: 0..255, 128+n for a signal."""
    return 128 + (status & 0x7F) if status & 0x7F else status >> 8 & 0xFF


class Namespaces:
    """The namespaces that containers of a sandbox can share; at first all but the pids are new."""

    def __init__(self, pids: PidNamespace, spec: Spec) -> None:
        # Docker gives the domain's name as a sysctl.
        domainname = spec.domainname or spec.linux.sysctl.get("kernel.domainname", "")
        hostname = spec.hostname or "runsc"
        self.pids = pids
        self.uts = UtsNamespace(hostname.encode(), (domainname or "(none)").encode())
        self.ipc = IpcNamespace()


class SessionWatcher(ExitWatcher):
    """Tells an `exec` how its process ended."""

    def __init__(self, group: ThreadGroup, session: ExecSession, console: Console | None) -> None:
        super().__init__(group)
        self._session = session
        self.console = console

    def on_exit(self, status: int) -> None:
        self._session.on_exit(exit_code(status))


class ForwardEnd(EndListener):
    """Tells a session that its stream has ended."""

    def __init__(self, session: ForwardSession) -> None:
        self._session = session

    def on_forward_end(self) -> None:
        self._session.on_end()


class Machine:
    """What the containers of a sandbox have in common."""

    def __init__(
        self,
        kernel: Kernel,
        loop: Loop,
        loader: Loader,
        interfaces: Interfaces | None,
        file_limits: tuple[int, int],
    ) -> None:
        self.kernel = kernel
        self.loop = loop
        self.loader = loader
        self.interfaces = interfaces
        self.file_limits = file_limits  # RLIMIT_NOFILE, soft and hard
        self.forwards = Forwards(kernel)


class Container(RequestHandler):
    """One container and its processes."""

    def __init__(self, machine: Machine, launch: Launch, namespaces: Namespaces) -> None:
        """Make its file tree; RunscError says what is wrong with its bundle."""
        kernel = machine.kernel
        self._kernel = kernel
        self._machine = machine
        self._loop = machine.loop
        self._is_first = kernel.pids.init is None
        self.spec = launch.spec
        self.cgroup = ControlGroup()
        pids = namespaces.pids
        mounts = build_namespace(pids, launch)
        self.place = ContainerPlace(pids, self.cgroup, mounts, namespaces.uts, namespaces.ipc)
        self.terminals = Terminals(kernel, self.place.mounts, is_first=self._is_first)
        self._maker = ProcessMaker(kernel, machine.loader, self.place, machine.file_limits)
        self._init: Task | None = None
        self._started = False
        self._is_paused = False
        self._pending: list[int] = []  # signals that came before the start
        self._watchers: dict[int, SessionWatcher] = {}

    def create(self, host_fds: list[int], *, tty: bool) -> ThreadGroup:
        """Make init, stopped before its first instruction; RunscError says why not.

        The descriptors are its streams, which become its own in any case.
        """
        process = self.spec.process
        console, files = self._streams(host_fds, process, tty=tty, is_main=True)
        try:
            init = self._maker.make(process, files, make_cwd=True)
        except RunscError:
            _drop(files)
            raise
        self._init = init
        if console is not None:
            console.control(init)
        return init.group

    def init(self) -> ThreadGroup:
        """Return the process that the container lives as long as."""
        assert self._init is not None
        return self._init.group

    def _streams(
        self, host_fds: list[int], process: Process, *, tty: bool, is_main: bool
    ) -> tuple[Console | None, list[File]]:
        """Return a new process's console, if it has one, and its files from descriptor 0 on."""
        if not tty:
            return None, self._files(host_fds)
        console = self.terminals.attach(host_fds[0], process.user.uid, is_main=is_main)
        return console, console.streams() + self._files(host_fds[1:])

    def _files(self, host_fds: list[int]) -> list[File]:
        """Return the files for host descriptors, which become theirs."""
        return [host_stream(self._kernel.platform, host_fd) for host_fd in host_fds]

    def start(self, network: NetworkSettings, host_fds: list[int]) -> None:
        if self._started or self._init is None:
            for host_fd in host_fds:
                os.close(host_fd)
            raise RunscError("cannot start an already running container")
        if self._machine.interfaces is not None and self._is_first:
            self._machine.interfaces.add(network, host_fds)
        self._started = True
        self._loop.start(self._init)
        for number in self._pending:
            self._send(self._init.group, number)

    def is_started(self) -> bool:
        return self._started

    def signal(self, number: int, *, everyone: bool) -> None:
        if not self._started:
            if number == SIGKILL:
                self.kill()
            elif number:
                self._pending.append(number)
            return
        if not everyone:
            self._send(self.init(), number)
            return
        if number == SIGKILL:
            self.kill()  # also those that are frozen
            return
        for group in self.cgroup.living():
            self._send(group, number)

    def _send(self, group: ThreadGroup, number: int) -> None:
        if number and not group.is_zombie:
            forced = number in (SIGKILL, SIGSTOP)
            send_to_group(group, user_info(number, SI_USER, 0, 0), force=forced)

    def kill(self) -> None:
        for group in self.cgroup.living():
            end_group(group, SIGKILL)

    def follow_window(self) -> None:
        self.terminals.refresh()

    def pause(self) -> int:
        self._is_paused = True
        freeze(self.cgroup)
        return running(self.cgroup)

    def resume(self) -> None:
        self._is_paused = False
        thaw(self.cgroup)

    def exec(self, session: ExecSession) -> None:
        console, files = self._streams(
            session.host_fds, session.process, tty=session.tty, is_main=False
        )
        try:
            task = self._make(session.process, files)
        except RunscError:
            _drop(files)
            raise
        session.pid = task.group.pid
        if console is not None:
            console.control(task)
        self._watchers = {
            pid: watcher for pid, watcher in self._watchers.items() if not watcher.group.is_zombie
        }
        self._watchers[session.pid] = SessionWatcher(task.group, session, console)
        self._loop.start(task)

    def _make(self, process: Process, files: list[File]) -> Task:
        if self.init().is_zombie:
            raise RunscError("container not running")
        if self._is_paused:
            raise RunscError("cannot exec in a paused container")
        return self._maker.make(process, files, make_cwd=False)

    def signal_exec(self, session: ExecSession, number: int) -> None:
        watcher = self._watchers.get(session.pid)
        if watcher is None:
            return
        if number == SIGWINCH and watcher.console is not None:
            watcher.console.refresh()  # which tells the foreground group, should it have changed
            return
        self._send(watcher.group, number)

    def abandon_exec(self, session: ExecSession) -> None:
        self.signal_exec(session, SIGKILL)

    def forward(self, session: ForwardSession) -> None:
        if not self._started or self.init().is_zombie:
            raise RunscError("container not running")
        try:
            self._machine.forwards.add(session.port, session.host_fd, ForwardEnd(session))
        except SysError as error:
            raise RunscError(f"port {session.port}: {os.strerror(error.errno).lower()}") from None

    def network_report(self) -> str:
        interfaces = self._machine.interfaces
        note = interfaces.note() if interfaces is not None else ""
        return (f"{note}\n" if note else "") + network_report(self._kernel)

    def host_pids(self) -> list[int]:
        # Numbers of the sandbox's own pid namespace would mean nothing to the caller.
        return []

    def processes(self) -> list[tuple[int, int, int, str]]:
        found = []
        for group in sorted(self.cgroup.living(), key=_pid_of):
            leader = group.leader
            parent = 0 if group.parent is None else group.parent.pid
            if leader is not None:
                comm = leader.comm.decode("utf-8", "backslashreplace")
                found.append((group.pid, parent, leader.creds.uid, comm))
        return found

    def take_down(self) -> None:
        """Give back what it has of the host: nobody of it is left."""
        self.terminals.give_up()
        self.place.mounts.take_down()


def _pid_of(group: ThreadGroup) -> int:
    return group.pid


def _drop(files: list[File]) -> None:
    """Release files that nobody has taken."""
    for file in files:
        file.acquire()
    for file in files:
        file.drop()
