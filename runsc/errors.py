"""Failures that whoever called runsc should read.

Container managers match words of these messages; where a text is fixed for
their sake, a comment says so.
"""


class RunscError(Exception):
    """A failure with one line for the caller; never a bug in runsc."""

    exit_status = 128


class UsageError(RunscError):
    """The command line is wrong."""


class ContainerNotFoundError(RunscError):
    """There is no container of that name."""

    def __init__(self, container_id: str) -> None:
        # containerd's shim takes "does not exist" as success of a deletion.
        super().__init__(f"container {container_id!r} does not exist")


class ContainerExistsError(RunscError):
    """The name is taken."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"container with id {container_id!r} already exists")


class NotRunningError(RunscError):
    """The operation needs a container that lives."""

    def __init__(self) -> None:
        # containerd, Docker and CRI-O look for exactly these words.
        super().__init__("container not running")


def describe(error: OSError) -> str:
    """Say what failed as a shell would: `/run/x: permission denied`."""
    reason = (error.strerror or str(error)).lower()
    if reason == "no such file or directory":
        # Docker and podman read that text as "command not found" in the image.
        reason = "is missing"
    name = error.filename
    if isinstance(name, bytes):
        name = name.decode("utf-8", "surrogateescape")
    return f"{name}: {reason}" if name is not None else reason
