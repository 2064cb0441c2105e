"""Starting a container with what is in its network namespace, and the end of that."""

import posix

from config.decode import Fields
from runsc.errors import RunscError
from runsc.sandbox.state import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.sandbox.network import Entered
    from runsc.sandbox.takeover import Record


def ask_to_start(container: Container) -> None:
    """Have the sandbox start its program.

    RunscError: then the network is as it was.  If it is the network that fails, the
    sandbox is killed: engines take a failed start for the end, and would leave it be.
    """
    from runsc.sandbox.client import Connection, ask

    if not container.network:
        ask(container, {"do": "start"})
        return
    from runsc.sandbox.network import Entered, take

    kept = Fields(container.network, "network").texts("keep")
    path = f"/proc/{container.pid}/ns/net"
    if is_of_host(path):  # `create` has looked, but at a path
        raise RunscError(
            "the network namespace is the host's own, whose interfaces cannot be taken from it; "
            "use --network=none"
        )
    if ask(container, {"do": "state"}).flag("started"):
        raise RunscError("cannot start an already running container")
    give_back_network(container)  # what a start that was killed had taken
    namespace = Entered(path)
    host_fds: list[int] = []
    try:
        with namespace:
            check_namespace(namespace, container)
            settings, host_fds = take(namespace, kept, lambda record: _remember(container, record))
            if settings.has_resolver:
                from runsc.sandbox.resolver import start_relay

                host_fds.append(start_relay(container))
        connection = Connection(container)
        try:
            connection.ask({"do": "start", "network": settings.to_json()}, host_fds)
        finally:
            connection.close()
    except BaseException:
        from runsc.sandbox.lifecycle import kill_process

        give_back_network(container)
        kill_process(container)
        raise
    finally:
        for host_fd in host_fds:
            posix.close(host_fd)


def check_namespace(namespace: "Entered", container: Container) -> None:
    """Raise RunscError if another container has what is in a namespace that may be shared."""
    path = Fields(container.network, "network").text("path", "")
    if path:
        from runsc.sandbox.namespace_owner import check_free

        namespace.lock()
        check_free(container.root, container.container_id, namespace.inode)


def is_of_host(path: str) -> bool:
    """Return whether a network namespace is that of this process, or of the first one."""
    inode = inode_of(path)
    return inode != 0 and inode in (inode_of("/proc/self/ns/net"), inode_of("/proc/1/ns/net"))


def inode_of(path: str) -> int:
    """Return what tells namespaces apart, 0 if that is not to be seen."""
    try:
        return posix.stat(path).st_ino
    except OSError:
        return 0


def _remember(container: Container, record: "Record") -> None:
    """Keep what has to be undone, before it is done: this process may be killed."""
    container.takeover = record.to_json()
    container.save()


def give_back_network(container: Container) -> None:
    """Undo the take-over, if there was one, in the namespace as long as that is there.

    A namespace of the container's own ends with its sandbox, unless that lives.
    """
    if not container.takeover:
        return
    path = Fields(container.network, "network").text("path", "")
    if not path and container.is_alive():
        path = f"/proc/{container.pid}/ns/net"
    if path:
        # Dear to import, and `delete` needs them for namespaces that outlive the container only.
        from runsc.sandbox.network import give_back
        from runsc.sandbox.takeover import read_record

        give_back(path, read_record(Fields(container.takeover, "takeover")))
    container.takeover = {}
    container.save()
