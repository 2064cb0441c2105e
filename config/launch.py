"""What the host side hands to the sandbox process that it forks.

`runsc/sandbox/launch.py` fills a `Launch`, forks (the child is pid 1 of a new
pid namespace), and the child calls `runsc.boot.main.boot(launch)`, which never
returns: it ends with the exit status of the container's init.

The control socket speaks frames: a 4-byte little-endian length, then that many
bytes of UTF-8 JSON (an object); descriptors ride as SCM_RIGHTS on the first
byte of a frame.  One request a connection, which `create`, `exec` and `forward`
keep.  Each may name a container of the sandbox ("container":ID); without that
the first one is meant, which was made with the sandbox:

  {"do":"create","container":ID,"spec":{config.json},"overlay2":TEXT,"sources":[index of a bind
   mount, ...],"tty":bool,"netRaw":bool,"cgroup":bool,"pids":ID,"uts":ID} + the root, the sources,
   descriptors 0,1,2 (or the pty slave)
        -> {"ok":true,"pids":[...]} once a container that joins the sandbox is made, later
           {"exit":STATUS}; `pids` of the request and `uts` name containers whose namespaces it
           shares; those of the answer are for its cgroup, as numbers of the sandbox's namespace;
           signals and the drop of the connection as with `exec`, for all of its processes
  {"do":"delete"}                         -> {"ok":true} once nothing of a container that has joined
        is left, or if it is gone already
  {"do":"start","network":{...}} + a packet socket for each interface
        -> {"ok":true} once the program runs; `network` is NetworkSettings of config/network.py,
           absent with --network=none
  {"do":"signal","signal":N,"all":bool}   -> {"ok":true}
  {"do":"pause"}                          -> {"ok":true,"running":N}: N threads still run guest
        code, but will soon have stopped; ask again until it is 0
  {"do":"resume"}                         -> {"ok":true,"started":bool}
  {"do":"exec","process":{OCI process},"tty":bool} + descriptors 0,1,2 (or the pty slave)
        -> {"ok":true,"pid":GUEST_PID}, later {"exit":STATUS} (0..255, 128+n for a signal);
           the client may send {"signal":N} frames; when the connection drops
           before the exit, the guest process is killed
  {"do":"forward","port":N} + the descriptor of a stream socket
        -> {"ok":true} once it is joined to that port of the loopback address inside, later
           {"end":true} when both ends are closed; the client need not stay for that
  {"do":"ps"}
        -> {"ok":true,"pids":[host pids],"guest":[{"pid","ppid","uid","comm"}]}
  {"do":"network"}
        -> {"ok":true,"text":"what there is to be said of the network, for people"}
  {"do":"state"}                          -> {"ok":true,"started":bool}
A failure is {"ok":false,"error":"one line for the user"}.
"""

from config.flags import Config
from config.oci import Spec


class MountSource:
    """A host directory or file that a mount of the container shows."""

    def __init__(self, index: int, host_fd: int, *, is_directory: bool) -> None:
        self.index = index  # into Spec.mounts
        self.host_fd = host_fd  # an O_PATH descriptor of a detached clone of the mount tree
        self.is_directory = is_directory


class Launch:
    """Everything that the sandbox process gets, by way of fork(2)."""

    def __init__(self, config: Config, spec: Spec, container_id: str) -> None:
        self.config = config
        self.spec = spec
        self.container_id = container_id
        self.overlay2 = config.overlay2
        self.root_fd = -1  # O_PATH of the root filesystem (detached clone)
        self.mount_sources: list[MountSource] = []
        self.stdio_fds: list[int] = [
            0,
            1,
            2,
        ]  # host descriptors; three times the slave with a terminal
        self.terminal = False
        self.control_fd = -1  # listening AF_UNIX stream socket, or -1
        # The sandbox writes b"\0" here when it is created (all checks done, confined),
        # or one line of text that says why not, and closes it.
        self.ready_fd = -1
        self.ends_with_caller = False  # `do`: is killed when its parent ends
        self.autostart = False  # `run`: start the program without a `start` request
        self.extra_fds: list[int] = []  # --preserve-fds: host descriptors of guest 3, 4, ...
        self.log_fd = -1  # debug log of the sandbox, or -1
        self.capture_fd = -1  # --pcap-log, or -1
