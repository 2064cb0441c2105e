"""Containers that join the sandbox of another one, because they share its network namespace.

`docker run --network container:X`, Podman's and Kubernetes' pods: the second
container names the namespace of the first by its path.  It gets no sandbox of
its own but a process that stands for it: the caller waits for that one.
"""

import posix
from posix import _exit

from config.bundle import read_document
from config.flags import Config
from config.launch import Launch
from config.oci import Spec
from runsc.errors import NotRunningError, RunscError, describe
from runsc.log import LOG, one_line
from runsc.sandbox import attributes, hostcalls, signals
from runsc.sandbox.cgroup import Cgroup
from runsc.sandbox.client import ANSWER_S, Connection, ControlError, ask
from runsc.sandbox.console import take_as_controlling
from runsc.sandbox.foreground import SignalPipe
from runsc.sandbox.handover import inode_of, is_of_host
from runsc.sandbox.launch import (
    CREATED_BYTE,
    NAMESPACES_MADE_BYTE,
    SandboxProcess,
    close_others,
    join_network,
    leave_pid_namespace,
    null_stdio,
)
from runsc.sandbox.namespace_owner import others
from runsc.sandbox.stand_in import KILLED, enter_pid_namespace, serve
from runsc.sandbox.state import CREATED, PAUSED, RUNNING, Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json

# Where engines say which container a pod's sandbox was made with (CRI, cri-o).
_SANDBOX_KEYS = ("io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID")
# SCM_MAX_FD (unix(7)): what one message can carry.
_MAX_DESCRIPTORS = 253


def find_sandbox(config: Config, spec: Spec, container_id: str) -> Container | None:
    """Return the container whose sandbox a new one joins; None for a sandbox of its own.

    RunscError if that is not started yet.
    """
    namespace = spec.linux.namespace("network")
    if config.network != "sandbox" or namespace is None or not namespace.path:
        return None
    inode = inode_of(namespace.path)
    if inode == 0 or is_of_host(namespace.path):
        return None
    named = {spec.annotations[key] for key in _SANDBOX_KEYS if key in spec.annotations}
    for other in others(config.root, container_id):
        if other.network_mode != "sandbox" or inode_of(f"/proc/{other.pid}/ns/net") != inode:
            continue
        status = other.status()
        if status in (RUNNING, PAUSED):
            return other
        if status == CREATED and other.container_id in named:
            raise RunscError(
                f"container {other.container_id!r}, whose sandbox this one is to join, "
                "has not been started"
            )
    return None


def _shared(config: Config, owner: Container, spec: Spec, kind: str) -> str:
    """Return the container of the sandbox whose namespace is to be shared; "" for none.

    On the host all containers of a sandbox are in its namespaces: it is the
    process in the path that tells them apart.
    """
    namespace = spec.linux.namespace(kind)
    if namespace is None or not namespace.path:
        return ""
    parts = namespace.path.split("/")
    if len(parts) == 5 and parts[1] == "proc" and parts[2].isdigit():
        for other in others(config.root, ""):
            if owner.container_id in (other.container_id, other.sandbox):
                if other.pid == int(parts[2]) and other.is_alive():
                    return other.container_id
    if inode_of(namespace.path) == inode_of(f"/proc/{owner.pid}/ns/{kind}") != 0:
        return owner.container_id
    return ""


def _document(bundle: str) -> "dict[str, Json]":
    """Return config.json as the sandbox is to have it."""
    document = dict(read_document(bundle))
    document.pop("hooks", None)
    linux = document.get("linux")
    if isinstance(linux, dict):
        # Nothing that is used in there, and it may be large.
        document["linux"] = {key: linux[key] for key in linux if key != "seccomp"}
    return document


class Member:
    """A container that is about to join."""

    def __init__(
        self, config: Config, container: Container, owner: Container, handed: Launch, bundle: str
    ) -> None:
        self.owner = owner
        self.handed = handed
        self.request: dict[str, Json] = {
            "do": "create",
            "spec": _document(bundle),
            "overlay2": config.overlay2,
            "netRaw": config.net_raw,
            "sources": [source.index for source in handed.mount_sources],
            "pids": _shared(config, owner, handed.spec, "pid"),
            "uts": _shared(config, owner, handed.spec, "uts"),
            "ipc": _shared(config, owner, handed.spec, "ipc"),
        }
        self._container = container

    def start(self, slave_fd: int = -1) -> SandboxProcess:
        """Fork the process that stands for the container; the slave becomes its terminal."""
        handed = self.handed
        streams = [slave_fd] if slave_fd >= 0 else [0, 1, 2]
        self.request["tty"] = slave_fd >= 0
        sources = [source.host_fd for source in handed.mount_sources]
        host_fds = [handed.root_fd, *sources, *streams, *handed.extra_fds]
        if len(host_fds) > _MAX_DESCRIPTORS:
            raise RunscError(
                f"mounts: too many: a container that joins a sandbox can have "
                f"{_MAX_DESCRIPTORS} descriptors, and this one needs {len(host_fds)}"
            )
        ready_read, ready_write = posix.pipe2(posix.O_CLOEXEC)
        go_read, go_write = posix.pipe2(posix.O_CLOEXEC)
        host_pid = self._fork()
        if host_pid == 0:
            _run(self, host_fds, slave_fd, ready_write, go_read)
        posix.close(ready_write)
        posix.close(go_read)
        return SandboxProcess(host_pid, ready_read, go_write)

    def _fork(self) -> int:
        """Fork into the sandbox's pid namespace; raise NotRunningError if that has ended."""
        enter_pid_namespace(self.owner)
        try:
            host_pid = posix.fork()
        except OSError:
            # pid_namespaces(7): no forks into a namespace whose init has ended.
            if self.owner.is_alive():
                raise
            raise NotRunningError from None
        finally:
            # Hooks are born in our own pid namespace again.
            leave_pid_namespace()
        return host_pid

    def prepare(self, slave_fd: int, keep: set[int]) -> None:
        """Make this process what the container's is to look like from the host."""
        posix.setsid()
        attributes.set_name("runsc-container")
        # The sandbox can see us in its namespace; it must not read our memory or files.
        attributes.set_dumpable(dumpable=False)
        posix.chdir("/")
        if slave_fd >= 0:
            take_as_controlling(slave_fd)
        close_others(keep)
        namespace = self.handed.spec.linux.namespace("network")
        assert namespace is not None
        # Callers find the namespace by our pid, and may have others join it.
        join_network(namespace.path)

    def connect(self, host_fds: list[int]) -> Connection:
        """Have the sandbox make the container; RunscError says why it does not."""
        container = self._container
        container.load()  # with its cgroups, which were made meanwhile
        self.request["cgroup"] = bool(container.cgroups)
        connection = Connection(container)
        answer = connection.ask(self.request, host_fds)
        group = Cgroup(container.cgroups)
        for number in answer.numbers("pids", 1, 1 << 30):
            # cgroups(7): the number is looked up in the writer's pid namespace, which is theirs.
            group.add(number)
        return connection


def _run(member: Member, host_fds: list[int], slave_fd: int, ready_fd: int, go_fd: int) -> None:
    """Become the process that stands for the container; never returns."""
    try:
        if member.handed.ends_with_caller:
            hostcalls.prctl(hostcalls.PR_SET_PDEATHSIG, signals.SIGKILL)
        # Signals count from here on: the guest process may live before we hear of it.
        arrived = SignalPipe(signals.FORWARDED)
        keep = {*host_fds, ready_fd, go_fd, arrived.read_fd, arrived.write_fd, *LOG.descriptors()}
        member.prepare(slave_fd, keep)
        posix.write(ready_fd, NAMESPACES_MADE_BYTE)
        if posix.read(go_fd, 1) != b"g":
            _exit(KILLED)
        posix.close(go_fd)
        connection = member.connect(host_fds)
        # The sandbox has the descriptors now; callers wait for the end of their pipes.
        null_stdio()
        close_others({ready_fd, connection.fileno(), arrived.read_fd, arrived.write_fd})
        posix.write(ready_fd, CREATED_BYTE)
        posix.close(ready_fd)
        _exit(serve(connection, arrived))
    except RunscError as error:
        posix.write(ready_fd, one_line(str(error)).encode("utf-8", "replace"))
    except OSError as error:
        posix.write(ready_fd, describe(error).encode("utf-8", "replace"))
    except BaseException as error:  # noqa: BLE001 - a forked child has nobody above it
        posix.write(ready_fd, f"internal error: {type(error).__name__}: {error}".encode())
    finally:
        _exit(128)


def leave(container: Container) -> None:
    """Have the sandbox forget a container that has joined, with all its processes and files."""
    try:
        ask(container, {"do": "delete"}, ANSWER_S)
    except ControlError as error:
        LOG.debug(f"the sandbox has ended, or will have to: {error}")
