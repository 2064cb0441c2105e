"""`exec`: another process in a container.

Each exec has a host process of its own, a stand-in (`stand_in.py`) that exits
with the guest process's status and passes on the signals that it gets. Living
in the sandbox's pid namespace it ends before the sandbox: Docker forgets a
container whose init has ended, and an exec that is told later with it.
"""

import posix
from posix import _exit

from config.bundle import BundleError, load_process
from config.decode import FieldError, Fields
from config.flags import Config
from config.jsontext import loads
from config.oci import Process, read_process
from runsc.errors import NotRunningError, RunscError, describe
from runsc.log import LOG, one_line
from runsc.sandbox import attributes, signals
from runsc.sandbox.cgroup import Cgroup
from runsc.sandbox.client import Connection
from runsc.sandbox.console import Console, take_as_controlling
from runsc.sandbox.foreground import SignalPipe, attend, catch_signals
from runsc.sandbox.launch import close_others, exit_status, null_stdio, preserved_fds
from runsc.sandbox.procfs import read_file
from runsc.sandbox.stand_in import KILLED, enter_pid_namespace, serve
from runsc.sandbox.state import (
    CREATED,
    PAUSED,
    RUNNING,
    Container,
    load_container,
    write_atomically,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json

_STARTED = b"\0"


class ExecOptions:
    """What `exec` was asked for."""

    def __init__(self) -> None:
        self.process_file = ""
        self.args: list[str] = []
        self.cwd = ""
        self.env: list[str] = []
        self.user = ""
        self.additional_gids: list[int] = []
        self.capabilities: list[str] = []
        self.tty = False
        self.no_new_privileges = False
        self.detach = False
        self.pid_file = ""
        self.internal_pid_file = ""
        self.console_socket = ""
        self.preserve_fds = 0


def execute(config: Config, container_id: str, options: ExecOptions) -> int:
    """Run a process in a container; return its status, or 0 when it is detached."""
    container = load_container(config.root, container_id)
    status = container.status()
    if status == PAUSED:
        raise RunscError("cannot exec in a paused container")
    if status not in (CREATED, RUNNING):
        raise NotRunningError
    process, document = _process_of(container, options)
    terminal = process.terminal or options.tty
    if terminal and options.detach and not options.console_socket:
        raise RunscError("a terminal in the background needs --console-socket")
    if options.console_socket and not terminal:
        raise RunscError("--console-socket is given, but no terminal is asked for")
    document["terminal"] = terminal
    signals.reset()
    stand_in = StandIn(container, document, options)
    if not options.detach and not terminal:
        stand_in.connect(options)
        return stand_in.serve()
    console = Console(process.console_width, process.console_height) if terminal else None
    return _fork_stand_in(container, stand_in, console, options)


def _process_of(container: Container, options: ExecOptions) -> "tuple[Process, dict[str, Json]]":
    if options.process_file:
        try:
            return load_process(options.process_file)
        except BundleError as error:
            raise RunscError(str(error)) from None
    if not options.args:
        raise RunscError("exec needs a program to run, or --process")
    fields = Fields(loads(read_file(f"{container.directory}/process.json")), "")
    document = fields.values
    document["args"] = list(options.args)
    if options.cwd:
        document["cwd"] = options.cwd
    if options.env:
        env = fields.texts("env")
        names = {item.partition("=")[0] for item in options.env}
        kept = [item for item in env if item.partition("=")[0] not in names]
        document["env"] = [*kept, *options.env]
    if options.user:
        document["user"] = _parse_user(options.user)
    if options.additional_gids:
        user = fields.fields("user").values
        user["additionalGids"] = list(options.additional_gids)
        document["user"] = user
    if options.no_new_privileges:
        document["noNewPrivileges"] = True
    if options.capabilities:
        _add_capabilities(fields, options.capabilities)
    try:
        return read_process(fields), document
    except FieldError as error:
        raise RunscError(str(error)) from None


def _parse_user(text: str) -> "dict[str, Json]":
    uid, _, gid = text.partition(":")
    for part in (uid, gid or "0"):
        if not (part.isascii() and part.isdigit()):
            raise RunscError(f"--user: {text!r} is not UID or UID:GID")
    return {"uid": int(uid), "gid": int(gid or "0")}


def _add_capabilities(fields: Fields, names: list[str]) -> None:
    sets = fields.fields("capabilities")
    for kind in ("bounding", "effective", "permitted"):
        old = sets.texts(kind)
        sets.values[kind] = [*old, *(name for name in names if name not in old)]
    fields.values["capabilities"] = sets.values


class StandIn:
    """The host process that stands for a guest process."""

    def __init__(
        self, container: Container, document: "dict[str, Json]", options: ExecOptions
    ) -> None:
        self._container = container
        self._document = document
        self._extra_fds = preserved_fds(options.preserve_fds)
        self._connection: Connection | None = None
        self.guest_pid = 0
        self._arrived: SignalPipe | None = None

    def connect(self, options: ExecOptions, slave_fd: int = -1) -> None:
        """Have the sandbox start the guest process; raise RunscError when it cannot."""
        # Signals count from here on: the guest process may live before we hear of it.
        self._arrived = SignalPipe(signals.FORWARDED)
        stdio = [slave_fd] if slave_fd >= 0 else [0, 1, 2]
        self._connection = Connection(self._container)
        answer = self._connection.ask(
            {"do": "exec", "process": self._document, "tty": slave_fd >= 0},
            stdio + self._extra_fds,
        )
        self.guest_pid = answer.number("pid", 0, 0, 1 << 30)
        if options.internal_pid_file:
            write_atomically(options.internal_pid_file, str(self.guest_pid).encode())

    def serve(self) -> int:
        """Pass signals on until the guest process ends; return its status."""
        assert self._connection is not None
        assert self._arrived is not None
        return serve(self._connection, self._arrived)


def _fork_stand_in(
    container: Container, stand_in: StandIn, console: Console | None, options: ExecOptions
) -> int:
    told_read, told_write = posix.pipe2(posix.O_CLOEXEC)
    go_read, go_write = posix.pipe2(posix.O_CLOEXEC)
    slave_fd = console.slave_fd if console is not None else -1
    enter_pid_namespace(container)
    try:
        host_pid = posix.fork()
    except OSError:
        # pid_namespaces(7): no forks into a namespace whose init has ended.
        if container.is_alive():
            raise
        raise NotRunningError from None
    if host_pid == 0:
        _run_stand_in(stand_in, slave_fd, told_write, go_read, options)
    posix.close(told_write)
    posix.close(go_read)
    try:
        if console is not None:
            console.close_slave()
        if container.cgroups:
            Cgroup(container.cgroups).add(host_pid)
        if console is not None and options.console_socket:
            console.send(options.console_socket)
            console.close_master()
        posix.write(go_write, b"g")
        message = posix.read(told_read, 65536)
        if message != _STARTED:
            raise RunscError(
                message.decode("utf-8", "replace") or "the process of exec ended at its start"
            )
        if options.pid_file:
            write_atomically(options.pid_file, str(host_pid).encode())
    except BaseException:
        posix.kill(host_pid, signals.SIGKILL)
        posix.waitpid(host_pid, 0)
        raise
    finally:
        posix.close(go_write)
        posix.close(told_read)
    if options.detach:
        return 0
    mine = None if options.console_socket else console
    attend(host_pid, mine, catch_signals(mine), _Kill(host_pid).forward)
    return exit_status(posix.waitpid(host_pid, 0)[1])


class _Kill:
    """Passes signals of the foreground command on to the stand-in."""

    def __init__(self, host_pid: int) -> None:
        self._host_pid = host_pid

    def forward(self, number: int) -> None:
        """Send one signal to a child that is not reaped yet."""
        posix.kill(self._host_pid, number)


def _run_stand_in(
    stand_in: StandIn, slave_fd: int, told_fd: int, go_fd: int, options: ExecOptions
) -> None:
    """Become the stand-in; never returns."""
    try:
        posix.setsid()
        attributes.set_name("runsc-exec")
        # The sandbox can see us in its namespace; it must not read our memory or files.
        attributes.set_dumpable(dumpable=False)
        if slave_fd >= 0:
            take_as_controlling(slave_fd)
        keep = {told_fd, go_fd, *LOG.descriptors(), *range(3, 3 + options.preserve_fds)}
        close_others(keep | ({slave_fd} if slave_fd >= 0 else set()))
        if posix.read(go_fd, 1) != b"g":
            _exit(KILLED)
        posix.close(go_fd)
        stand_in.connect(options, slave_fd)
        # The sandbox has the descriptors now; callers wait for the end of their pipes.
        null_stdio()
        if slave_fd >= 0:
            posix.close(slave_fd)
        posix.write(told_fd, _STARTED)
        posix.close(told_fd)
        posix.chdir("/")
        _exit(stand_in.serve())
    except RunscError as error:
        posix.write(told_fd, one_line(str(error)).encode("utf-8", "replace"))
    except OSError as error:
        posix.write(told_fd, describe(error).encode("utf-8", "replace"))
    except BaseException as error:  # noqa: BLE001 - a forked child has nobody above it
        posix.write(told_fd, f"internal error: {type(error).__name__}: {error}".encode())
    finally:
        _exit(128)
