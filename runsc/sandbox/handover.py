"""Starting a container with what is in its network namespace, and the end of that."""

import posix

from config.decode import Fields
from runsc.errors import RunscError
from runsc.sandbox.state import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runsc.sandbox.takeover import Record


def ask_to_start(container: Container) -> None:
    """Have the sandbox start its program; RunscError, and then the network is as it was."""
    from runsc.sandbox.client import Connection, ask

    if not container.network:
        ask(container.directory, {"do": "start"})
        return
    from runsc.sandbox.network import Entered, take

    kept = Fields(container.network, "network").texts("keep")
    namespace = Entered(f"/proc/{container.pid}/ns/net")
    if namespace.is_own or namespace.inode == _host_inode():
        namespace.close()
        raise RunscError(
            "the network namespace is the host's own, whose interfaces cannot be taken from it; "
            "use --network=none"
        )
    host_fds: list[int] = []
    try:
        with namespace:
            settings, host_fds = take(namespace, kept, lambda record: _remember(container, record))
        connection = Connection(container.directory)
        try:
            connection.ask({"do": "start", "network": settings.to_json()}, host_fds)
        finally:
            connection.close()
    except BaseException:
        give_back_network(container)
        raise
    finally:
        for host_fd in host_fds:
            posix.close(host_fd)


def _host_inode() -> int:
    """Return which network namespace the first process of ours has, 0 if that is not to be seen."""
    try:
        return posix.stat("/proc/1/ns/net").st_ino
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
    from runsc.sandbox.network import give_back
    from runsc.sandbox.takeover import read_record

    record = read_record(Fields(container.takeover, "takeover"))
    path = Fields(container.network, "network").text("path", "")
    if not path and container.is_alive():
        path = f"/proc/{container.pid}/ns/net"
    if path:
        give_back(path, record)
    container.takeover = {}
    container.save()
