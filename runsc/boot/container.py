"""The running container: carries out what the control server is asked for."""

import os
from typing import Final

from config.network import NetworkSettings
from config.oci import Process
from runsc.boot.interfaces import Interfaces
from runsc.boot.processes import ProcessMaker
from runsc.boot.requests import ExecSession, ForwardSession, RequestHandler
from runsc.boot.terminals import Console, Terminals
from runsc.errors import RunscError
from sentry.errors import SysError
from sentry.fs.stdio import host_stream
from sentry.kernel.exit import end_group
from sentry.kernel.freeze import freeze, running, thaw
from sentry.kernel.kernel import Kernel
from sentry.kernel.signal import send_to_group, user_info
from sentry.kernel.spawn import ExitWatcher
from sentry.kernel.task import Task
from sentry.kernel.thread_group import ThreadGroup
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


def streams(kernel: Kernel, host_fds: list[int]) -> list[File]:
    """Return the files for host descriptors, which become theirs."""
    files: list[File] = []
    for host_fd in host_fds:
        files.append(host_stream(kernel.platform, host_fd))
    return files


def standard_files(
    kernel: Kernel, terminals: Terminals, host_fds: list[int], process: Process, *, tty: bool
) -> tuple[Console | None, list[File]]:
    """Return a new process's console, if it has one, and its files from descriptor 0 on."""
    if not tty:
        return None, streams(kernel, host_fds)
    is_main = kernel.init is None
    console = terminals.attach(host_fds[0], process.user.uid, is_main=is_main)
    return console, console.streams() + streams(kernel, host_fds[1:])


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


class Container(RequestHandler):
    """One container and its processes."""

    def __init__(
        self,
        kernel: Kernel,
        loop: Loop,
        maker: ProcessMaker,
        terminals: Terminals,
        interfaces: Interfaces | None,
        init: Task,
    ) -> None:
        self._kernel = kernel
        self._loop = loop
        self._maker = maker
        self._terminals = terminals
        self._interfaces = interfaces
        self._init = init
        self._forwards = Forwards(kernel)
        self._started = False
        self._is_paused = False
        self._pending: list[int] = []  # signals that came before the start
        self._watchers: dict[int, SessionWatcher] = {}

    def start(self, network: NetworkSettings, host_fds: list[int]) -> None:
        if self._started:
            for host_fd in host_fds:
                os.close(host_fd)
            raise RunscError("cannot start an already running container")
        if self._interfaces is not None:
            self._interfaces.add(network, host_fds)
        self._started = True
        self._loop.start(self._init)
        for number in self._pending:
            self._send(self._init.group, number)

    def is_started(self) -> bool:
        return self._started

    def signal(self, number: int, *, everyone: bool) -> None:
        if not self._started:
            if number == SIGKILL:
                end_group(self._init.group, SIGKILL)
            elif number:
                self._pending.append(number)
            return
        if not everyone:
            self._send(self._init.group, number)
            return
        for group in list(self._kernel.groups.values()):
            if not group.is_zombie:
                self._send(group, number)

    def _send(self, group: ThreadGroup, number: int) -> None:
        if number and not group.is_zombie:
            forced = number in (SIGKILL, SIGSTOP)
            send_to_group(group, user_info(number, SI_USER, 0, 0), force=forced)

    def pause(self) -> int:
        self._is_paused = True
        freeze(self._kernel)
        return running(self._kernel)

    def resume(self) -> None:
        self._is_paused = False
        thaw(self._kernel)

    def exec(self, session: ExecSession) -> None:
        console, files = standard_files(
            self._kernel, self._terminals, session.host_fds, session.process, tty=session.tty
        )
        try:
            task = self._make(session.process, files)
        except RunscError:
            for file in files:
                file.acquire()
            for file in files:
                file.drop()
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
        if self._init.group.is_zombie:
            raise RunscError("container not running")
        if self._is_paused:
            raise RunscError("cannot exec in a paused container")
        return self._maker.make(process, files, make_cwd=False)

    def signal_exec(self, session: ExecSession, number: int) -> None:
        watcher = self._watchers.get(session.pid)
        if number == SIGWINCH and watcher is not None and watcher.console is not None:
            watcher.console.refresh()  # which tells the foreground group, should it have changed
            return
        group = self._kernel.groups.get(session.pid)
        if group is not None:
            self._send(group, number)

    def abandon_exec(self, session: ExecSession) -> None:
        self.signal_exec(session, SIGKILL)

    def forward(self, session: ForwardSession) -> None:
        if not self._started or self._init.group.is_zombie:
            raise RunscError("container not running")
        try:
            self._forwards.add(session.port, session.host_fd, ForwardEnd(session))
        except SysError as error:
            raise RunscError(f"port {session.port}: {os.strerror(error.errno).lower()}") from None

    def network_report(self) -> str:
        note = self._interfaces.note() if self._interfaces is not None else ""
        return (f"{note}\n" if note else "") + network_report(self._kernel)

    def host_pids(self) -> list[int]:
        # Numbers of the sandbox's own pid namespace would mean nothing to the caller.
        return []

    def processes(self) -> list[tuple[int, int, int, str]]:
        found = []
        for pid, group in sorted(self._kernel.groups.items()):
            leader = group.leader
            parent = 0 if group.parent is None else group.parent.pid
            if leader is not None and not group.is_zombie:
                comm = leader.comm.decode("utf-8", "backslashreplace")
                found.append((pid, parent, leader.creds.uid, comm))
        return found
