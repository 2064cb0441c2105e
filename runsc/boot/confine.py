"""The walls around the sandbox process, in the order in which they go up.

1. `enter_empty_world`: own mount, IPC and UTS namespaces; a read-only procfs of the
   pid namespace that no path leads to; the root is an empty directory.
2. `drop_privileges`: no capability but those that host files need, none to regain.
3. (the platform makes its stubs' template, which must not inherit the filter)
4. `seal`: every descriptor is accounted for, then the filter of `hostfilter`.

Nothing is imported after the first step: there is nothing left to import from.
"""

import os
import resource
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, TracebackType
from typing import Final

from runsc.boot import host_calls
from runsc.boot.descriptors import Descriptors
from runsc.boot.hostfilter import HostFilter
from runsc.sandbox import attributes, hostcalls
from sentry.log import describe_error

# What directfs does for the container's root needs these on the host
# (capabilities(7)); CAP_MKNOD, CAP_SYS_PTRACE and CAP_KILL are not among them.
KEPT_CAPABILITIES: Final = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
)

_NOTHING_SPECIAL: Final = (
    hostcalls.MOUNT_ATTR_RDONLY
    | hostcalls.MOUNT_ATTR_NOSUID
    | hostcalls.MOUNT_ATTR_NODEV
    | hostcalls.MOUNT_ATTR_NOEXEC
)


class ConfinementError(Exception):
    """A wall could not be put up; the text says which."""


def enter_empty_world(hostname: str) -> int:
    """Leave the host's file tree; return a directory descriptor of a private procfs.

    The caller is the first process of a pid namespace, which is what that procfs
    shows.  It is read-only: /proc/PID/mem would be a way around page protections.
    """
    if os.getpid() != 1:
        raise ConfinementError("the sandbox is not the first process of a pid namespace")
    hostcalls.unshare(hostcalls.CLONE_NEWNS | hostcalls.CLONE_NEWIPC | hostcalls.CLONE_NEWUTS)
    # Nothing that is mounted from here on may appear on the host.
    hostcalls.mount(None, "/", None, hostcalls.MS_REC | hostcalls.MS_PRIVATE)
    if hostname:
        hostcalls.sethostname(hostname)
    proc_fd = hostcalls.mount_detached("proc", (("subset", "pid"),), _NOTHING_SPECIAL)
    _pivot_into_nothing()
    return proc_fd


def _pivot_into_nothing() -> None:
    options = (("size", "4096"), ("nr_inodes", "1"), ("mode", "555"))
    empty_fd = hostcalls.mount_detached("tmpfs", options, _NOTHING_SPECIAL)
    # pivot_root(2) wants its new root attached somewhere; /proc exists on every host.
    hostcalls.move_mount(
        empty_fd, "", hostcalls.AT_FDCWD, "/proc", hostcalls.MOVE_MOUNT_F_EMPTY_PATH
    )
    os.fchdir(empty_fd)
    os.close(empty_fd)
    # The old root lands on top of the new one, and is taken away from there.
    hostcalls.pivot_root(".", ".")
    hostcalls.umount2(".", hostcalls.MNT_DETACH)
    os.chdir("/")


def kept_capabilities(*, uses_host_network: bool, allows_raw: bool) -> tuple[str, ...]:
    """Return what the sandbox keeps on the host; guests are asked for their own besides."""
    names: tuple[str, ...] = KEPT_CAPABILITIES
    if uses_host_network:
        names += ("CAP_NET_BIND_SERVICE",)
        if allows_raw:
            names += ("CAP_NET_RAW",)
    return names


def drop_privileges(names: tuple[str, ...] = KEPT_CAPABILITIES) -> None:
    """Keep these capabilities, as far as there are, and no way to more."""
    keep = hostcalls.capability_mask(names) & hostcalls.capget()[1]
    hostcalls.clear_ambient_set()
    hostcalls.drop_bounding_set(0)
    hostcalls.prctl(hostcalls.PR_SET_SECUREBITS, hostcalls.SECUREBITS_LOCKED)
    hostcalls.capset(keep, keep, 0)
    attributes.set_no_new_privs()


def raise_descriptor_limit() -> tuple[int, int]:
    """Allow as many descriptors as the host does, and return what it was: the guest's are ours."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A core file would hold what the guest keeps in memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return soft, hard


def prepare_filter(
    *, report_fd: int, uses_host_network: bool = False, allows_raw: bool = False
) -> HostFilter:
    """Return the filter, to be loaded by `seal`; needs the libraries of the host.

    With `report_fd` (the debug log) a refused call is named there before the
    process ends; without it the kernel kills the process at once.
    """
    if report_fd >= 0:
        hostcalls.report_refused_calls(report_fd)
    calls = host_calls.sandbox_calls(uses_host_network=uses_host_network, allows_raw=allows_raw)
    return HostFilter(calls, trap=report_fd >= 0)


class ImportRefuser:
    """The only finder after confinement: a late import is an error, not a forbidden call."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise ImportError (PEP 451)."""
        raise ImportError(f"{name}: nothing is imported once the sandbox is confined")


def show_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print what nobody caught (sys.excepthook)."""
    sys.stderr.write(describe_error(error))


def show_unraisable(what: "sys.UnraisableHookArgs") -> None:
    """Print what could not be raised: from finalisers, and from what C calls back."""
    sys.stderr.write(describe_error(what.exc_value))


def forget_files() -> None:
    """Keep the interpreter from looking for modules and source code, which would kill it."""
    sys.meta_path[:] = [ImportRefuser()]
    sys.path.clear()
    # The interpreter's own hooks open the source files, by absolute path.
    sys.excepthook = show_uncaught
    sys.unraisablehook = show_unraisable


def seal(descriptors: Descriptors, proc_fd: int, host_filter: HostFilter) -> None:
    """Check that no descriptor is a stranger, then load the filter, for ever."""
    strangers = descriptors.strangers(proc_fd)
    if strangers:
        raise ConfinementError("descriptors that nobody declared: " + ", ".join(strangers))
    forget_files()
    attributes.set_dumpable(dumpable=False)
    host_filter.load()
