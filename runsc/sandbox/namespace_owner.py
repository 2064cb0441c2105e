"""Whose the interfaces of a network namespace are: one sandbox alone can have them.

Each sandbox has a network stack of its own, so two of them cannot be one host
with one loopback, as containers that share a namespace are on Linux.  Who comes
second is told so, when it is created and once more when it is started.
"""

from runsc.errors import ContainerNotFoundError, RunscError
from runsc.log import LOG
from runsc.sandbox.state import Container, container_ids, load_container


def check_free(root: str, container_id: str, inode: int) -> None:
    """Raise RunscError if another container has what is in the namespace."""
    for other in others(root, container_id):
        if other.takeover and other.takeover.get("inode") == inode:
            raise RunscError(
                f"the interfaces of the network namespace are those of container "
                f"{other.container_id!r}: containers in sandboxes of their own cannot share them; "
                "use --network=none for a container without"
            )


def others(root: str, container_id: str) -> list[Container]:
    """Return all containers but one."""
    found: list[Container] = []
    for other_id in container_ids(root):
        if other_id != container_id:
            try:
                found.append(load_container(root, other_id))
            except ContainerNotFoundError:
                continue  # deleted meanwhile
            except RunscError as error:
                # Docker has the containers of all its runtimes in one directory.
                LOG.debug(f"not one of ours: {error}")
    return found
