"""What the control server can ask of containers; the kernel's side derives from it."""

from config.network import NetworkSettings
from config.oci import Process, Spec


class ExecSession:
    """One `exec`: the process, and where its end is reported."""

    def __init__(self, process: Process, host_fds: list[int], *, tty: bool) -> None:
        self.process = process
        # Descriptors 0, 1, 2, 3, ... of the process, or with a terminal that and 3, 4, ...;
        # the handler's once `exec` is called.
        self.host_fds = host_fds
        self.tty = tty
        self.pid = 0  # of the guest process, once there is one

    def on_exit(self, status: int) -> None:
        """Called once, when the guest process has ended (0..255, 128+n for a signal)."""


class JoinSession:
    """A container that joins the sandbox, and where the end of its init is reported."""

    def __init__(self, container_id: str, spec: Spec) -> None:
        self.container_id = container_id
        self.spec = spec
        self.overlay2 = "none"
        self.allows_raw = False  # --net-raw
        self.has_cgroup = False  # on the host: its processes are to be moved there
        self.pids_of = ""  # the container whose pid namespace it shares; "": one of its own
        self.uts_of = ""  # and whose names of the machine
        self.ipc_of = ""  # and whose objects of System V IPC
        # All of these are the handler's once `create` is called.
        self.root_fd = -1
        self.mount_fds: dict[int, int] = {}  # by the index of the mount
        self.host_fds: list[int] = []  # as those of an ExecSession
        self.tty = False

    def descriptors(self) -> list[int]:
        """Return all descriptors."""
        return [self.root_fd, *self.mount_fds.values(), *self.host_fds]

    def on_exit(self, status: int) -> None:
        """Called once, when init has ended (0..255, 128+n for a signal)."""


class ForwardSession:
    """One stream that is joined to a port of the container."""

    def __init__(self, port: int, host_fd: int) -> None:
        self.port = port
        self.host_fd = host_fd  # of a stream socket; the handler's once `forward` has succeeded

    def on_end(self) -> None:
        """Called once, when both ends are closed."""


class RequestHandler:
    """Carries out requests to a container; each raises RunscError with one line for the user."""

    def start(self, network: NetworkSettings, host_fds: list[int]) -> None:
        """Start the container's program, with these interfaces; the descriptors become theirs."""
        raise NotImplementedError

    def is_started(self) -> bool:
        """Return whether the program was started."""
        raise NotImplementedError

    def signal(self, number: int, *, everyone: bool) -> None:
        """Send a signal to the container's init, or to all its processes."""
        raise NotImplementedError

    def follow_window(self) -> None:
        """Take the window size of the host's terminal over for the container's own."""
        raise NotImplementedError

    def kill(self) -> None:
        """End all processes now."""
        raise NotImplementedError

    def pause(self) -> int:
        """Freeze all processes; return how many threads have yet to stop. May be repeated."""
        raise NotImplementedError

    def resume(self) -> None:
        """Let all processes go on."""
        raise NotImplementedError

    def exec(self, session: ExecSession) -> None:
        """Start another process; set `session.pid`."""
        raise NotImplementedError

    def signal_exec(self, session: ExecSession, number: int) -> None:
        """Send a signal to the process of an `exec`."""
        raise NotImplementedError

    def abandon_exec(self, session: ExecSession) -> None:
        """Kill the process of an `exec` whose client has gone."""
        raise NotImplementedError

    def forget_exec(self, session: ExecSession) -> None:
        """Called when the client of an `exec` has gone, after its end was told or before."""

    def forward(self, session: ForwardSession) -> None:
        """Join a stream to a port of the loopback address inside."""
        raise NotImplementedError

    def network_report(self) -> str:
        """Return what there is to be said of the container's network, as text."""
        raise NotImplementedError

    def host_pids(self) -> list[int]:
        """Return the pids on the host that belong to the container."""
        raise NotImplementedError

    def processes(self) -> list[tuple[int, int, int, str]]:
        """Return pid, parent's pid, uid and command name of each guest process."""
        raise NotImplementedError


class ContainerTable:
    """The containers of a sandbox."""

    def find(self, container_id: str) -> RequestHandler:
        """Return a container, the first for an empty name; RunscError if there is none."""
        raise NotImplementedError

    def create(self, session: JoinSession) -> tuple[RequestHandler, list[int]]:
        """Make one more container, not started.

        The numbers are those of host processes, in the sandbox's pid namespace,
        that are to be in its cgroup; those that come later are copies of them.
        """
        raise NotImplementedError

    def delete(self, container_id: str) -> None:
        """End a container that has joined and forget it, if it is still there."""
        raise NotImplementedError
