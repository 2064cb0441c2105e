"""Whose the interfaces of a network namespace are: one sandbox alone can have them.

Each sandbox has a network stack of its own, so two of them cannot be one host
with one loopback, as containers that share a namespace are on Linux.  Who comes
second is told so, when it is created and once more when it is started.
"""

from config.oci import Spec
from runsc.errors import ContainerNotFoundError, RunscError
from runsc.sandbox.state import Container, container_ids, load_container

# What engines call the container that only holds a pod's namespaces.
_POD_KEYS = ("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType")
_POD_KIND = "sandbox"
# Podman's has no such annotation, but this program of catatonit(8)'s, which does nothing.
_POD_PROGRAM = ["/catatonit", "-P"]


def only_holds_namespaces(spec: Spec) -> bool:
    """Return whether a container stands for a pod, whose network is for the others in it."""
    if any(spec.annotations.get(key) == _POD_KIND for key in _POD_KEYS):
        return True
    return spec.process.args == _POD_PROGRAM


def check_free(root: str, container_id: str, inode: int) -> None:
    """Raise RunscError if another container has what is in the namespace."""
    for other in _others(root, container_id):
        if other.takeover and other.takeover.get("inode") == inode:
            raise RunscError(
                f"the interfaces of the network namespace are those of container "
                f"{other.container_id!r}: containers in sandboxes of their own cannot share them; "
                "use --network=none for a container without"
            )


def _others(root: str, container_id: str) -> list[Container]:
    found: list[Container] = []
    for other_id in container_ids(root):
        if other_id != container_id:
            try:
                found.append(load_container(root, other_id))
            except ContainerNotFoundError:
                continue  # deleted meanwhile
    return found
