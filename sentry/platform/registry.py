"""The platforms by name, as `--platform` gives it."""

from typing import Final

from sentry.platform.interface import Platform
from sentry.platform.ptrace.platform import PtracePlatform

DEFAULT_PLATFORM: Final = "ptrace"


def make_platform(name: str, proc_fd: int) -> Platform:
    """Return the platform called `name`; KeyError if there is none.

    `proc_fd` is a directory of a procfs of this process's pid namespace.
    """
    if name == "ptrace":
        return PtracePlatform(proc_fd)
    raise KeyError(name)
