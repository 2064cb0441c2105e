"""Where the host side enters the sandbox side; it knows this module by its name only."""

from runsc.boot import lean

lean.install()

from runsc.boot.main import boot  # noqa: E402 - it must find the stand-ins

__all__ = ["boot"]
