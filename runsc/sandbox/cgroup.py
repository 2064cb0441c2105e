"""The container's cgroup, of version 1 (one directory for each controller) or 2.

A controller that the host lacks is an error only when a limit of it was asked
for; guest devices are the business of our own kernel, so device rules are not
written.
"""

import posix
import time

from config.oci import Resources
from runsc.errors import RunscError, describe
from runsc.sandbox.procfs import read_file

_CPU_SHARES_MAX = 262144
_REMOVE_WAIT_S = 2.0


class Hierarchy:
    """A mounted cgroup hierarchy."""

    def __init__(self, mount_point: str, controllers: frozenset[str], *, is_v2: bool) -> None:
        self.mount_point = mount_point
        self.controllers = controllers
        self.is_v2 = is_v2


def hierarchies() -> list[Hierarchy]:
    """Return the hierarchies of the host as /proc/self/mountinfo lists them."""
    found: list[Hierarchy] = []
    seen: set[frozenset[str]] = set()
    for line in read_file("/proc/self/mountinfo").decode("utf-8", "surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, rest = right.partition(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        fields = left.split(" ")
        mount_point = fields[4].replace("\\040", " ")
        if kind == "cgroup2":
            found.append(Hierarchy(mount_point, frozenset(), is_v2=True))
        else:
            options = frozenset(rest.rpartition(" ")[2].split(","))
            controllers = options - {"rw", "ro", "xattr"}
            if controllers not in seen:
                seen.add(controllers)
                found.append(Hierarchy(mount_point, controllers, is_v2=False))
    # A hybrid host has both; the limits then live in version 1.
    if any(not hierarchy.is_v2 for hierarchy in found):
        return [hierarchy for hierarchy in found if not hierarchy.is_v2]
    return found


def _own_path(hierarchy: Hierarchy) -> str:
    for line in read_file("/proc/self/cgroup").decode().splitlines():
        _, names, path = line.split(":", 2)
        if hierarchy.is_v2 and not names:
            return path
        if names and hierarchy.controllers >= set(names.split(",")):
            return path
    return "/"


def _systemd_path(cgroups_path: str) -> str:
    # slice:prefix:name; a.slice/a-b.slice is where systemd keeps a-b.slice.
    parts = cgroups_path.split(":")
    if len(parts) != 3:
        raise RunscError(
            f"linux.cgroupsPath: --systemd-cgroup needs slice:prefix:name, not {cgroups_path!r}"
        )
    slice_name, prefix, name = parts
    slice_name = slice_name or "system.slice"
    if not slice_name.endswith(".slice") or "/" in cgroups_path:
        raise RunscError(f"linux.cgroupsPath: {slice_name!r} is not the name of a slice")
    unit = f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
    stem = slice_name[: -len(".slice")]
    path = ""
    if stem != "-":
        words = stem.split("-")
        for count in range(1, len(words) + 1):
            path += "/" + "-".join(words[:count]) + ".slice"
    return f"{path}/{unit}"


def directories(cgroups_path: str, container_id: str, *, systemd: bool) -> list[str]:
    """Return the directories that the container's cgroup has, one for each hierarchy."""
    if ".." in cgroups_path.split("/"):
        raise RunscError(f"linux.cgroupsPath: {cgroups_path!r} leads upwards")
    made: list[str] = []
    for hierarchy in hierarchies():
        if systemd and cgroups_path:
            path = _systemd_path(cgroups_path)
        elif cgroups_path.startswith("/"):
            path = cgroups_path
        else:
            own = _own_path(hierarchy).rstrip("/")
            path = f"{own}/{cgroups_path or container_id}"
        made.append(hierarchy.mount_point + path)
    return made


class Cgroup:
    """The cgroup of one container."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def make(self, resources: Resources) -> None:
        """Make the directories and write the limits; raise RunscError when one is refused."""
        by_mount = {hierarchy.mount_point: hierarchy for hierarchy in hierarchies()}
        for path in self.paths:
            mount_point = max(
                (mount for mount in by_mount if path.startswith(mount + "/")), key=len
            )
            hierarchy = by_mount[mount_point]
            _make_directory(hierarchy, path)
            if hierarchy.is_v2:
                _limit_v2(path, resources)
            else:
                _limit_v1(path, hierarchy.controllers, resources)

    def add(self, host_pid: int) -> None:
        """Move a process into the cgroup."""
        for path in self.paths:
            try:
                _write(f"{path}/cgroup.procs", str(host_pid))
            except OSError as error:
                raise RunscError(f"cannot join the cgroup: {describe(error)}") from None

    def remove(self) -> None:
        """Remove the directories and those below; what is already gone is fine."""
        deadline = time.monotonic() + _REMOVE_WAIT_S
        for path in self.paths:
            while not _remove_tree(path) and time.monotonic() < deadline:
                time.sleep(0.005)


def _remove_tree(path: str) -> bool:
    try:
        posix.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        # Busy, or it has children; a nested runtime may have left some.
        try:
            for entry in posix.scandir(path):
                if entry.is_dir(follow_symlinks=False):
                    _remove_tree(entry.path)
            posix.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
    return True


def _write(path: str, text: str) -> None:
    host_fd = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
    try:
        posix.write(host_fd, text.encode())
    finally:
        posix.close(host_fd)


def _make_directory(hierarchy: Hierarchy, path: str) -> None:
    at = len(hierarchy.mount_point)
    while at >= 0:
        above = path[:at]
        at = path.find("/", at + 1)
        below = path if at < 0 else path[:at]
        if hierarchy.is_v2:
            _delegate(above)
        try:
            posix.mkdir(below, 0o755)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunscError(f"cannot make the cgroup: {describe(error)}") from None
        if "cpuset" in hierarchy.controllers:
            # cpusets of version 1 start empty, and an empty one takes no process.
            for name in ("cpuset.cpus", "cpuset.mems"):
                _write(f"{below}/{name}", read_file(f"{above}/{name}").decode().strip())


def _delegate(path: str) -> None:
    # Version 2: a controller works below a directory that enables it for its children.
    try:
        available = read_file(f"{path}/cgroup.controllers").decode().split()
        enabled = read_file(f"{path}/cgroup.subtree_control").decode().split()
    except OSError:
        return
    for name in ("cpuset", "cpu", "io", "memory", "pids"):
        if name in available and name not in enabled:
            try:
                _write(f"{path}/cgroup.subtree_control", f"+{name}")
            except OSError:
                # EBUSY where processes live; a limit that needs it fails below, by name.
                continue


def _set(path: str, name: str, value: int | str | None) -> None:
    """Write one limit that was asked for."""
    if value is None or value == "":
        return
    try:
        _write(f"{path}/{name}", str(value))
    except OSError as error:
        raise RunscError(f"cannot set {name} to {value}: {describe(error)}") from None


def _limit_v1(path: str, controllers: frozenset[str], resources: Resources) -> None:
    if "memory" in controllers:
        _set(path, "memory.limit_in_bytes", resources.memory_limit)
        swap = resources.memory_swap
        # Without swap accounting the file is absent; Docker sends a value all the same.
        if swap is not None and _exists(f"{path}/memory.memsw.limit_in_bytes"):
            _set(path, "memory.memsw.limit_in_bytes", swap)
        _set(path, "memory.soft_limit_in_bytes", resources.memory_reservation)
        _set(path, "memory.swappiness", resources.memory_swappiness)
        if resources.disable_oom_killer:
            _set(path, "memory.oom_control", 1)
    if "cpu" in controllers:
        _set(path, "cpu.shares", resources.cpu_shares)
        _set(path, "cpu.cfs_period_us", resources.cpu_period)
        _set(path, "cpu.cfs_quota_us", resources.cpu_quota)
    if "cpuset" in controllers:
        _set(path, "cpuset.cpus", resources.cpuset_cpus)
        _set(path, "cpuset.mems", resources.cpuset_mems)
    if "pids" in controllers and resources.pids_limit is not None:
        _set(path, "pids.max", _or_max(resources.pids_limit))
    if "blkio" in controllers and resources.blkio_weight is not None:
        for name in ("blkio.weight", "blkio.bfq.weight"):
            if _exists(f"{path}/{name}"):
                _set(path, name, resources.blkio_weight)
                break


def _limit_v2(path: str, resources: Resources) -> None:
    if resources.memory_limit is not None:
        _set(path, "memory.max", _or_max(resources.memory_limit))
        if resources.memory_swap is not None and _exists(f"{path}/memory.swap.max"):
            swap = resources.memory_swap
            if swap > 0 and resources.memory_limit > 0:
                swap = max(0, swap - resources.memory_limit)  # version 1 counts both together
            _set(path, "memory.swap.max", _or_max(swap))
    _set(path, "memory.low", resources.memory_reservation)
    if resources.cpu_shares is not None:
        shares = min(max(resources.cpu_shares, 2), _CPU_SHARES_MAX)
        # The mapping of the specification's cgroup v2 notes: 2..262144 to 1..10000.
        _set(path, "cpu.weight", 1 + (shares - 2) * 9999 // (_CPU_SHARES_MAX - 2))
    if resources.cpu_quota is not None or resources.cpu_period is not None:
        quota = "max" if resources.cpu_quota is None else _or_max(resources.cpu_quota)
        _set(path, "cpu.max", f"{quota} {resources.cpu_period or 100000}")
    _set(path, "cpuset.cpus", resources.cpuset_cpus)
    _set(path, "cpuset.mems", resources.cpuset_mems)
    if resources.pids_limit is not None:
        _set(path, "pids.max", _or_max(resources.pids_limit))
    for name, value in resources.unified.items():
        if "/" in name or name.startswith("."):
            raise RunscError(f"linux.resources.unified: {name!r} is not the name of a file")
        _set(path, name, value)


def _or_max(value: int) -> str:
    return "max" if value < 0 else str(value)


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True
