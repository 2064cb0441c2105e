"""Specs that the runtime writes itself: for `spec`, and for `do`."""

import posix

from config.jsontext import dumps
from config.oci import Capabilities, Mount, Process, Root, Spec
from runsc.errors import RunscError
from runsc.version import SPEC_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What Docker grants by default (moby's oci/caps list).
_DEFAULT_CAPABILITIES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

_MOUNTS = (
    ("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    ),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
)


def new_config(args: list[str], cwd: str, *, terminal: bool) -> "dict[str, Json]":
    """Return a config.json to start from."""
    sets: dict[str, Json] = {
        kind: list(_DEFAULT_CAPABILITIES) for kind in ("bounding", "effective", "permitted")
    }
    mounts: list[Json] = [
        {"destination": place, "type": kind, "source": source, "options": list(options)}
        for place, kind, source, options in _MOUNTS
    ]
    kinds = ("pid", "network", "ipc", "uts", "mount")
    return {
        "ociVersion": SPEC_VERSION,
        "process": {
            "terminal": terminal,
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": [_PATH, "TERM=xterm"],
            "cwd": cwd,
            "capabilities": sets,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "runsc",
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in kinds],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
        },
    }


def host_spec(args: list[str], cwd: str, capabilities: tuple[str, ...]) -> Spec:
    """Return a Spec over the host's own root file system, for `do`."""
    spec = Spec(Root("/", readonly=False))
    spec.version = SPEC_VERSION
    process = Process()
    process.args = args
    process.cwd = cwd
    process.env = [_PATH, "HOME=/root"]
    term = posix.environ.get(b"TERM")
    if term:
        process.env.append("TERM=" + term.decode("ascii", "replace"))
    process.terminal = posix.isatty(0) and posix.isatty(1) and posix.isatty(2)
    sets = Capabilities()
    sets.bounding = sets.effective = sets.permitted = list(capabilities)
    process.capabilities = sets
    spec.process = process
    spec.hostname = posix.uname().nodename
    for place, kind, source, options in _MOUNTS:
        spec.mounts.append(Mount(place, kind, source, list(options)))
    return spec


def write_config(directory: str, args: list[str], cwd: str) -> None:
    """Write a config.json to start from; raise RunscError when there is one already."""
    path = f"{directory}/config.json"
    text = dumps(new_config(args or ["sh"], cwd, terminal=True), indent=2) + "\n"
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC
    try:
        host_fd = posix.open(path, flags, 0o644)
    except FileExistsError:
        raise RunscError(f"{path} already exists") from None
    try:
        posix.write(host_fd, text.encode())
    finally:
        posix.close(host_fd)
