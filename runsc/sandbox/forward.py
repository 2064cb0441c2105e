"""`port-forward`: connections of the host are handed to the sandbox, which joins them to a port.

This process only accepts: the bytes never pass through it.
"""

import _socket
import posix
import select

from config.flags import Config
from runsc.errors import NotRunningError, RunscError, UsageError, describe
from runsc.log import LOG
from runsc.sandbox.client import Connection, ControlError
from runsc.sandbox.procfs import open_process
from runsc.sandbox.state import RUNNING, Container, load_container

_DEFAULT_ADDRESS = "127.0.0.1"
_BACKLOG = 128
_PORT_MAX = 65535


def _port(text: str, lowest: int) -> int:
    if not (text.isascii() and text.isdigit()) or not lowest <= int(text) <= _PORT_MAX:
        raise UsageError(f"{text!r} is no port")
    return int(text)


def parse_ports(text: str) -> tuple[str, int, int]:
    """Return address and port of the host, and the container's port; raise UsageError."""
    rest, colon, remote = text.rpartition(":")
    address, _, local = rest.rpartition(":")
    if not colon:
        raise UsageError(f"{text!r} is not LOCAL:REMOTE")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    return address or _DEFAULT_ADDRESS, _port(local, 0), _port(remote, 1)


def _running(config: Config, container_id: str) -> Container:
    container = load_container(config.root, container_id)
    if container.status() != RUNNING:
        raise NotRunningError
    return container


def _hand_over(container: Container, host_fd: int, port: int) -> Connection:
    """Have the sandbox join a stream to a port; return the connection that tells of its end."""
    connection = Connection(container)
    try:
        connection.ask({"do": "forward", "port": port}, [host_fd])
    except BaseException:
        connection.close()
        raise
    return connection


def forward_stream(config: Config, container_id: str, ports: str, path: str) -> None:
    """Join a Unix socket, where somebody accepts, to a port; return when the stream is over."""
    port = _port(ports, 1)
    container = _running(config, container_id)
    stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        stream.connect(path)
        connection = _hand_over(container, stream.fileno(), port)
    except OSError as error:
        raise RunscError(f"--stream {path}: {describe(error)}") from None
    finally:
        stream.close()
    try:
        connection.receive()
    finally:
        connection.close()


def _listen(address: str, port: int) -> _socket.socket:
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    listener = _socket.socket(
        family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
    )
    try:
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise RunscError(f"cannot listen on {address}:{port}: {describe(error)}") from None
    return listener


def forward_ports(config: Config, container_id: str, ports: str) -> None:
    """Listen, and join what connects to a port of the container until that ends."""
    address, local, remote = parse_ports(ports)
    container = _running(config, container_id)
    try:
        pid_fd = open_process(container.pid, container.started_at)
    except ProcessLookupError:
        raise NotRunningError from None
    try:
        listener = _listen(address, local)
        try:
            local = listener.getsockname()[1]
            line = f"{address}:{local} is port {remote} of {container_id}\n"
            posix.write(1, line.encode())
            _serve(container, listener, pid_fd, remote)
        finally:
            listener.close()
    finally:
        posix.close(pid_fd)


def _serve(container: Container, listener: _socket.socket, pid_fd: int, remote: int) -> None:
    poller = select.poll()
    poller.register(listener.fileno(), select.POLLIN)
    poller.register(pid_fd, select.POLLIN)
    while True:
        ready = [ready_fd for ready_fd, _ in poller.poll()]
        if pid_fd in ready:
            return
        try:
            # The only accept that `_socket` has; `socket` is dear to import.
            host_fd, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError as error:
            LOG.debug(f"accept: {describe(error)}")  # the client is gone already
            continue
        try:
            _hand_over(container, host_fd, remote).close()
        except ControlError as error:
            LOG.debug(str(error))  # it is ending: the next look tells
        except RunscError as error:
            # Nobody listens there, at the moment.
            posix.write(2, f"runsc: {error}\n".encode())
        finally:
            posix.close(host_fd)
