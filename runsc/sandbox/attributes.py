"""Attributes of the calling process (prctl(2)): the one place that chooses how they are set.

Our own extension does it.  With RUNSC_PRCTL_BACKEND=python-prctl in the
environment the package of that name does, which is not installed by default:
its licence (GPL-3) would be that of the whole.
"""

import posix

from runsc.sandbox import hostcalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

BACKEND_VARIABLE = b"RUNSC_PRCTL_BACKEND"


def load_package() -> "ModuleType | None":
    """Return python-prctl if it was asked for; ImportError if it is not there."""
    if posix.environ.get(BACKEND_VARIABLE) != b"python-prctl":
        return None
    package: ModuleType = __import__("prctl")
    return package


_PACKAGE = load_package()


def set_no_new_privs() -> None:
    """Give up gaining privileges by execve(2), for ever (PR_SET_NO_NEW_PRIVS)."""
    if _PACKAGE is not None:
        _PACKAGE.set_no_new_privs(1)
        return
    hostcalls.prctl(hostcalls.PR_SET_NO_NEW_PRIVS, 1)


def set_name(name: str) -> None:
    """Set the name in /proc/PID/comm, cut to 15 bytes (PR_SET_NAME)."""
    if _PACKAGE is not None:
        _PACKAGE.set_name(name[:15])
        return
    hostcalls.set_process_name(name)


def set_dumpable(*, dumpable: bool) -> None:
    """Say whether others of the same user may trace this process (PR_SET_DUMPABLE)."""
    if _PACKAGE is not None:
        _PACKAGE.set_dumpable(int(dumpable))
        return
    hostcalls.prctl(hostcalls.PR_SET_DUMPABLE, int(dumpable))
