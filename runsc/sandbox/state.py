"""The state directory: what one command leaves for the next.

`ROOT/ID/state.json` holds what cannot be asked of the host. Whether the
container lives is never read from it: the process table says that.
"""

import fcntl
import posix
import time

from config.decode import Fields
from config.jsontext import dumps, loads
from runsc.errors import ContainerExistsError, ContainerNotFoundError, RunscError, describe
from runsc.sandbox.procfs import read_file, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json

CREATING = "creating"
CREATED = "created"
RUNNING = "running"
PAUSED = "paused"
STOPPED = "stopped"

_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+.-")
_MAX_ID = 128
_STATE = "state.json"
_LOCK_WAIT_S = 4.0  # containerd gives its last deletion 5 s


class Container:
    """A container as the state directory knows it."""

    def __init__(self, root: str, container_id: str) -> None:
        self.root = root
        self.container_id = container_id
        self.directory = f"{root}/{container_id}"
        # The container whose sandbox this one has joined; "": it has one of its own.
        self.sandbox = ""
        self.pid = 0  # on the host: of the sandbox process, or of the one that stands for us there
        self.started_at = 0  # its start time, from procfs
        self.phase = CREATING  # how far the runtime came, whatever became of the process
        self.bundle = ""
        self.rootfs = ""
        self.created = ""
        self.version = ""
        self.annotations: dict[str, str] = {}
        self.cgroups: list[str] = []  # directories that deletion removes
        self.terminal = False
        self.network_mode = ""  # --network of a container with a sandbox of its own
        self.network: dict[str, Json] = {}  # {"path", "keep"} with --network=sandbox
        self.takeover: dict[str, Json] = {}  # what the host's network was like (takeover.Record)
        self.poststart: list[Json] = []  # hooks, as in config.json
        self.poststop: list[Json] = []
        self._lock_fd = -1

    def status(self) -> str:
        """Return the status as of now, by the process table."""
        if self.pid and start_time(self.pid) == self.started_at:
            return self.phase
        if not self.pid and self.phase == CREATING and self._is_locked_elsewhere():
            return CREATING
        return STOPPED

    def control_directory(self) -> str:
        """Return the state directory with the control socket of the sandbox."""
        return f"{self.root}/{self.sandbox}" if self.sandbox else self.directory

    def is_alive(self) -> bool:
        """Say whether the process that the pid file names lives."""
        return self.pid != 0 and start_time(self.pid) == self.started_at

    def describe(self) -> "dict[str, Json]":
        """Return the OCI state object (runtime.md, State)."""
        status = self.status()
        return {
            "ociVersion": self.version,
            "id": self.container_id,
            "status": status,
            "pid": 0 if status == STOPPED else self.pid,
            "bundle": self.bundle,
            "rootfs": self.rootfs,
            "created": self.created,
            "annotations": dict(self.annotations),
            "owner": "",
        }

    def save(self) -> None:
        """Write the record, whole or not at all."""
        record: dict[str, Json] = {
            "sandbox": self.sandbox,
            "pid": self.pid,
            "startedAt": self.started_at,
            "phase": self.phase,
            "bundle": self.bundle,
            "rootfs": self.rootfs,
            "created": self.created,
            "ociVersion": self.version,
            "annotations": dict(self.annotations),
            "cgroups": list(self.cgroups),
            "terminal": self.terminal,
            "networkMode": self.network_mode,
            "network": self.network,
            "takeover": self.takeover,
            "poststart": self.poststart,
            "poststop": self.poststop,
        }
        write_atomically(f"{self.directory}/{_STATE}", dumps(record).encode())

    def load(self) -> None:
        """Read the record; leave the defaults when creation has not come that far."""
        try:
            fields = Fields(loads(read_file(f"{self.directory}/{_STATE}")), "")
            self.sandbox = fields.text("sandbox", "")
            self.pid = fields.number("pid", 0, 0, 1 << 30)
            self.started_at = fields.number("startedAt", 0, 0, 1 << 62)
            self.phase = fields.text("phase")
            self.bundle = fields.text("bundle")
            self.rootfs = fields.text("rootfs")
            self.created = fields.text("created")
            self.version = fields.text("ociVersion")
            self.annotations = fields.text_map("annotations")
            self.cgroups = fields.texts("cgroups")
            self.terminal = fields.flag("terminal")
            self.network_mode = fields.text("networkMode", "")
            self.network = fields.fields("network").values
            self.takeover = fields.fields("takeover").values
            self.poststart = [item.values for item in fields.objects("poststart")]
            self.poststop = [item.values for item in fields.objects("poststop")]
        except FileNotFoundError:
            return
        except ValueError as error:
            raise RunscError(f"{self.directory}/{_STATE}: {error}") from None

    def lock(self) -> None:
        """Keep other commands from changing the container; the kernel unlocks when we die."""
        try:
            self._lock_fd = posix.open(
                self.directory, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC
            )
        except FileNotFoundError:
            raise ContainerNotFoundError(self.container_id) from None
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise RunscError(
                        f"container {self.container_id!r} is busy: another command works on it"
                    ) from None
                time.sleep(0.01)
        # While we waited, the container may have been deleted.
        if posix.fstat(self._lock_fd).st_nlink == 0:
            raise ContainerNotFoundError(self.container_id)

    def unlock(self) -> None:
        """Let other commands in again."""
        if self._lock_fd >= 0:
            posix.close(self._lock_fd)
            self._lock_fd = -1

    def _is_locked_elsewhere(self) -> bool:
        try:
            probe_fd = posix.open(self.directory, posix.O_RDONLY | posix.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(probe_fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            posix.close(probe_fd)
        return False

    def remove(self) -> None:
        """Remove the state directory; what is already gone is fine."""
        try:
            names = posix.listdir(self.directory)
        except FileNotFoundError:
            return
        for name in names:
            try:
                posix.unlink(f"{self.directory}/{name}")
            except FileNotFoundError:
                continue
        try:
            posix.rmdir(self.directory)
        except FileNotFoundError:
            return


def write_atomically(path: str, data: bytes) -> None:
    """Write a file that readers see whole or not at all."""
    head, _, name = path.rpartition("/")
    scratch = f"{head}/.{name}.{posix.getpid()}"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
    try:
        host_fd = posix.open(scratch, flags, 0o644)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    try:
        try:
            while data:
                data = data[posix.write(host_fd, data) :]
        finally:
            posix.close(host_fd)
        posix.rename(scratch, path)
    except OSError:
        posix.unlink(scratch)
        raise


def check_id(container_id: str) -> None:
    """Raise RunscError unless the name is one that runc takes."""
    if (
        not container_id
        or len(container_id) > _MAX_ID
        or container_id in (".", "..")
        or not _ID_CHARACTERS.issuperset(container_id)
    ):
        raise RunscError(f"invalid container id {container_id!r}")


def make_container(root: str, container_id: str) -> Container:
    """Return a new, locked container with an empty state directory."""
    check_id(container_id)
    container = Container(root, container_id)
    try:
        _make_directories(root)
        posix.mkdir(container.directory, 0o711)
    except FileExistsError:
        raise ContainerExistsError(container_id) from None
    except OSError as error:
        raise RunscError(f"--root: cannot make {describe(error)}") from None
    container.lock()
    now = time.time_ns()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9))
    container.created = f"{stamp}.{now % 10**9:09d}Z"
    return container


def load_container(root: str, container_id: str) -> Container:
    """Return the container of that name; raise ContainerNotFoundError."""
    check_id(container_id)
    container = Container(root, container_id)
    try:
        posix.stat(container.directory)
    except FileNotFoundError:
        raise ContainerNotFoundError(container_id) from None
    container.load()
    return container


def container_ids(root: str) -> list[str]:
    """Return the names of all containers; none when the root is not there yet."""
    try:
        return sorted(posix.listdir(root))
    except FileNotFoundError:
        return []


def _make_directories(path: str) -> None:
    made = 0
    while made >= 0:
        made = path.find("/", made + 1)
        try:
            posix.mkdir(path if made < 0 else path[:made], 0o711)
        except FileExistsError:
            continue
