"""The client of a sandbox's control socket; `config/launch.py` has the protocol."""

import _socket
import posix
import sys

from config.decode import Fields
from config.jsontext import JsonError, dumps, loads
from runsc.errors import RunscError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from config.jsontext import Json
    from runsc.sandbox.state import Container

SOCKET_NAME = "control.sock"
_MAX_FRAME = 1 << 20
_HEAD = 4
ANSWER_S = 2.0  # enough where a sandbox that does not answer must not hold its caller up


def pack_descriptors(host_fds: list[int]) -> bytes:
    """Return the data of SCM_RIGHTS (unix(7)); loading `array` would load `collections`, too."""
    return b"".join(host_fd.to_bytes(4, sys.byteorder) for host_fd in host_fds)


class ControlError(RunscError):
    """The sandbox does not answer."""


def _address(directory_fd: int) -> str:
    # A socket address has 107 bytes, and Docker's state roots are longer.
    return f"/proc/self/fd/{directory_fd}/{SOCKET_NAME}"


def listen(directory: str) -> int:
    """Return the descriptor of a new control socket in a state directory."""
    directory_fd = posix.open(directory, posix.O_PATH | posix.O_CLOEXEC)
    try:
        server = _socket.socket(
            _socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
        )
        server.bind(_address(directory_fd))
        server.listen(64)
        return server.detach()
    finally:
        posix.close(directory_fd)


class Connection:
    """A connection to the control server of a container's sandbox."""

    def __init__(self, container: "Container") -> None:
        directory = container.control_directory()
        # The first container of a sandbox needs no name.
        self._name = container.container_id if container.sandbox else ""
        try:
            directory_fd = posix.open(directory, posix.O_PATH | posix.O_CLOEXEC)
        except FileNotFoundError:
            # That of the first container of a sandbox, which may be deleted before the others.
            raise ControlError("cannot reach the sandbox: it has been deleted") from None
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            self._socket.connect(_address(directory_fd))
        except OSError as error:
            self._socket.close()
            reason = (error.strerror or "").lower()
            if isinstance(error, FileNotFoundError):
                reason = "it has no control socket"
            raise ControlError(f"cannot reach the sandbox: {reason}") from None
        finally:
            posix.close(directory_fd)

    def fileno(self) -> int:
        """Return the descriptor, to poll for the next frame."""
        return self._socket.fileno()

    def limit_waiting(self, seconds: float) -> None:
        """Raise ControlError where the sandbox does not answer for so long."""
        self._socket.settimeout(seconds)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def send(self, message: "dict[str, Json]", host_fds: list[int] | None = None) -> None:
        """Send a frame, descriptors with its first byte."""
        body = dumps(message).encode()
        if len(body) > _MAX_FRAME:
            raise RunscError("the request to the sandbox is too large")
        frame = len(body).to_bytes(_HEAD, "little") + body
        try:
            if host_fds:
                rights = pack_descriptors(host_fds)
                sent = self._socket.sendmsg(
                    [frame], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)]
                )
                frame = frame[sent:]
            if frame:
                self._socket.sendall(frame)
        except OSError as error:
            raise ControlError(
                f"cannot reach the sandbox: {(error.strerror or '').lower()}"
            ) from None

    def _receive_exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            try:
                part = self._socket.recv(size)
            except ConnectionResetError:
                part = b""
            except TimeoutError:
                raise ControlError("the sandbox does not answer") from None
            if not part:
                return b""
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def receive(self) -> Fields | None:
        """Return the next frame, or None when the sandbox is gone."""
        head = self._receive_exactly(_HEAD)
        if not head:
            return None
        size = int.from_bytes(head, "little")
        if size > _MAX_FRAME:
            raise ControlError("the sandbox answers with a frame that is too large")
        body = self._receive_exactly(size)
        if not body and size:
            return None
        try:
            return Fields(loads(body), "answer")
        except (JsonError, ValueError) as error:
            raise ControlError(f"the sandbox answers nonsense: {error}") from None

    def ask(self, message: "dict[str, Json]", host_fds: list[int] | None = None) -> Fields:
        """Send a request and return the answer; raise RunscError when it is a refusal."""
        if self._name:
            message = {**message, "container": self._name}
        self.send(message, host_fds)
        answer = self.receive()
        if answer is None:
            raise ControlError("the sandbox died while it was asked")
        if not answer.flag("ok"):
            raise RunscError(answer.text("error", "the sandbox refused"))
        return answer


def ask(container: "Container", message: "dict[str, Json]", limit_s: float = 0) -> Fields:
    """Ask one question about a container on a connection of its own.

    ControlError if there is a limit and the answer takes longer.
    """
    connection = Connection(container)
    try:
        if limit_s:
            connection.limit_waiting(limit_s)
        return connection.ask(message)
    finally:
        connection.close()
