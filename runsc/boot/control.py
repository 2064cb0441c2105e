"""The control server: answers the requests of the host side on a Unix socket.

`config/launch.py` has the protocol.  The kernel's loop drives it: nothing here
waits.  A client is root or our own user, a frame has a size limit, connections
are counted; whatever a client does wrong ends its own connection only.
"""

from __future__ import annotations

import _socket
import os
import struct
from typing import TYPE_CHECKING, Final

from config.decode import FieldError, Fields
from config.jsontext import JsonError, dumps, loads
from config.network import read_network
from config.oci import read_process, read_spec
from runsc.boot.requests import (
    ContainerTable,
    ExecSession,
    ForwardSession,
    JoinSession,
    RequestHandler,
)
from runsc.errors import RunscError
from sentry.log import Log, describe_exception
from sentry.platform.interface import HostWatcher, Platform

if TYPE_CHECKING:
    from config.jsontext import Json

MAX_FRAME: Final = 1 << 20
MAX_CONNECTIONS: Final = 128  # each container that has joined keeps one, and each `exec`
MAX_DESCRIPTORS: Final = 253  # SCM_MAX_FD, in one message (unix(7))
_HEAD: Final = 4  # bytes of length before each frame
_PIECE: Final = 65536

# Asked once: the call is not among those of the confined sandbox.
_OWN_UID: Final = os.geteuid()

_POLLIN: Final = 1
_POLLOUT: Final = 4
_POLLERR: Final = 8
_POLLHUP: Final = 16
SIGWINCH: Final = 28


class ControlServer(HostWatcher):
    """Accepts clients on the listening socket."""

    def __init__(
        self, platform: Platform, log: Log, containers: ContainerTable, listen_fd: int
    ) -> None:
        self.platform = platform
        self.log = log
        self.containers = containers
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, listen_fd)
        self._socket.setblocking(False)
        self._connections: set[Connection] = set()
        platform.watch(listen_fd, _POLLIN, self)

    def on_host_ready(self, events: int) -> None:
        """Take one client; the rest are reported again."""
        try:
            # The only accept that `_socket` has; `socket` is dear to import.
            fd, _ = self._socket._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError as error:
            # The client is gone already, or we are out of descriptors: its own loss.
            self.log.warning(f"control: accept: {error.strerror}")
            return
        if len(self._connections) >= MAX_CONNECTIONS or not _is_trusted(fd):
            self.log.warning("control: connection refused")
            os.close(fd)
            return
        self._connections.add(Connection(self, fd))

    def forget(self, connection: Connection) -> None:
        """Called by a connection that has closed itself."""
        self._connections.discard(connection)

    def close(self) -> None:
        """End all connections, after writing what they can take without waiting."""
        for connection in list(self._connections):
            connection.close()
        self.platform.unwatch(self._socket.fileno())
        self._socket.close()


def _is_trusted(fd: int) -> bool:
    """Return whether a client is root or the user that we run as (SO_PEERCRED, unix(7))."""
    peer = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
    try:
        raw = peer.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    finally:
        peer.detach()
    _, uid, _ = struct.unpack("=iII", raw)
    return uid in (0, _OWN_UID)


def _list_processes(handler: RequestHandler) -> dict[str, Json]:
    """Return the answer to "ps"."""
    guest: list[Json] = [
        {"pid": pid, "ppid": parent, "uid": uid, "comm": comm}
        for pid, parent, uid, comm in handler.processes()
    ]
    pids: list[Json] = list(handler.host_pids())
    return {"ok": True, "pids": pids, "guest": guest}


class ControlledExec(ExecSession):
    """An `exec` that reports to its client."""

    def __init__(
        self, connection: Connection, process_fields: Fields, host_fds: list[int], *, tty: bool
    ) -> None:
        super().__init__(read_process(process_fields), host_fds, tty=tty)
        self._connection = connection

    def on_exit(self, status: int) -> None:
        """Tell the client how it ended."""
        self._connection.on_guest_exit(status)


class ControlledJoin(JoinSession):
    """A container that has joined and reports to its client."""

    def __init__(self, connection: Connection, fields: Fields) -> None:
        super().__init__(fields.text("container"), read_spec(fields.fields("spec").values))
        self._connection = connection
        self.overlay2 = fields.text("overlay2")
        self.allows_raw = fields.flag("netRaw")
        self.has_cgroup = fields.flag("cgroup")
        self.pids_of = fields.text("pids", "")
        self.uts_of = fields.text("uts", "")
        self.ipc_of = fields.text("ipc", "")
        self.tty = fields.flag("tty")

    def take(self, indexes: list[int], received: list[int]) -> None:
        """Take the descriptors: the root, a source for each of these mounts, the streams."""
        if len(received) < 1 + len(indexes) + (1 if self.tty else 3):
            raise RunscError("descriptors of the container are missing")
        self.root_fd = received[0]
        for index, host_fd in zip(indexes, received[1:], strict=False):
            self.mount_fds[index] = host_fd
        self.host_fds = received[1 + len(indexes) :]

    def on_exit(self, status: int) -> None:
        """Tell the client how it ended."""
        self._connection.on_guest_exit(status)


class ControlledForward(ForwardSession):
    """A forwarded stream whose end is told to its client, if that is still there."""

    def __init__(self, connection: Connection, port: int, host_fd: int) -> None:
        super().__init__(port, host_fd)
        self._connection = connection

    def on_end(self) -> None:
        """Tell the client."""
        self._connection.on_forward_end()


class Connection(HostWatcher):
    """One client."""

    def __init__(self, server: ControlServer, fd: int) -> None:
        self._server = server
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
        self._socket.setblocking(False)
        self._fd = fd
        self._input = b""
        self._output = b""
        self._received: list[int] = []  # descriptors that came and that nobody took
        self._handler: RequestHandler | None = None  # of the container that is asked
        self._exec: ExecSession | None = None
        self._told: ExecSession | None = None  # its end was told, and the client is still there
        self._join: JoinSession | None = None
        self._is_forwarding = False  # stays until the stream ends, or the client goes
        self._has_asked = False
        self._is_ending = False  # close once the output is written
        self._is_closed = False
        server.platform.watch(fd, _POLLIN, self)

    def is_closed(self) -> bool:
        """Return whether the connection has ended."""
        return self._is_closed

    def on_host_ready(self, events: int) -> None:
        """Read requests, write answers, notice the end."""
        try:
            if events & _POLLOUT:
                self._flush()
            if not self.is_closed() and events & (_POLLIN | _POLLHUP | _POLLERR):
                self._read()
        except Exception:  # noqa: BLE001  a bug met by one request must not end the container
            self._server.log.warning("control: a bug:\n" + describe_exception())
            self.close()

    def on_guest_exit(self, status: int) -> None:
        """Called when the guest process of this client's `exec` or `create` has ended."""
        self._told = self._exec
        self._exec = None
        self._join = None
        self._send({"exit": status})
        if self._told is None:
            self._end()

    def on_forward_end(self) -> None:
        """Called when the stream that this client has brought is over."""
        if not self._is_closed:
            self._send({"end": True})
            self._end()

    def close(self) -> None:
        """Forget the client, and kill what it was waiting for."""
        if self._is_closed:
            return
        self._is_closed = True
        self._server.platform.unwatch(self._fd)
        for fd in self._received:
            os.close(fd)
        self._received.clear()
        self._socket.close()
        self._server.forget(self)
        handler = self._handler
        if handler is None:
            return
        if self._exec is not None:
            session = self._exec
            self._exec = None
            handler.abandon_exec(session)
            handler.forget_exec(session)
        elif self._told is not None:
            handler.forget_exec(self._told)
        elif self._join is not None:
            self._join = None
            handler.kill()

    def _read(self) -> None:
        try:
            data, controls, _, _ = self._socket.recvmsg(
                _PIECE, 4 * MAX_DESCRIPTORS + 64, _socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        for level, kind, payload in controls:
            if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
                whole = payload[: len(payload) & ~3]
                self._received.extend(fd for (fd,) in struct.iter_unpack("=i", whole))
        if not data:
            self.close()
            return
        self._input += data
        self._take_frames()

    def _take_frames(self) -> None:
        while not self.is_closed() and not self._is_ending and len(self._input) >= _HEAD:
            size = int.from_bytes(self._input[:_HEAD], "little")
            if size > MAX_FRAME:
                self._refuse("the request is too large")
                return
            if len(self._input) < _HEAD + size:
                return
            body = self._input[_HEAD : _HEAD + size]
            self._input = self._input[_HEAD + size :]
            self._on_frame(body)

    def _on_frame(self, body: bytes) -> None:
        try:
            fields = Fields(loads(body), "request")
            if self._told is not None:
                return  # a signal that crossed the news
            if self._exec is not None or self._join is not None:
                self._pass_on(fields.number("signal", 0, 1, 64))
            elif self._has_asked:
                raise RunscError("one request a connection")
            else:
                self._has_asked = True
                self._send(self._answer(fields))
                if not self._goes_on():
                    self._end()
        except (RunscError, FieldError, JsonError) as error:
            self._refuse(str(error))
        except ImportError:
            # The standard library's scanner would load more of itself to explain.
            self._refuse("the request is not JSON")

    def _goes_on(self) -> bool:
        """Return whether there is something to be told after the answer."""
        return self._exec is not None or self._join is not None or self._is_forwarding

    def _pass_on(self, number: int) -> None:
        """Give a signal of the client's to the process that it stands for."""
        assert self._handler is not None
        if self._exec is not None:
            self._handler.signal_exec(self._exec, number)
        elif number == SIGWINCH:
            self._handler.follow_window()
        else:
            self._handler.signal(number, everyone=False)

    def _answer(self, fields: Fields) -> dict[str, Json]:
        verb = fields.text("do")
        self._server.log.debug(f"control: {verb}")
        if verb == "create":
            return self._create(fields)
        if verb == "delete":
            self._server.containers.delete(fields.text("container"))
            return {"ok": True}
        handler = self._server.containers.find(fields.text("container", ""))
        self._handler = handler
        if verb == "start":
            return self._start(handler, fields)
        if verb == "signal":
            number = fields.number("signal", 15, 0, 64)
            handler.signal(number, everyone=fields.flag("all"))
            return {"ok": True}
        if verb == "pause":
            return {"ok": True, "running": handler.pause()}
        if verb == "resume":
            handler.resume()
            return {"ok": True, "started": handler.is_started()}
        if verb == "state":
            return {"ok": True, "started": handler.is_started()}
        if verb == "ps":
            return _list_processes(handler)
        if verb == "exec":
            return self._start_exec(handler, fields)
        if verb == "network":
            return {"ok": True, "text": handler.network_report()}
        if verb == "forward":
            return self._start_forward(handler, fields)
        raise RunscError(f"unknown request {verb!r}")

    def _create(self, fields: Fields) -> dict[str, Json]:
        session = ControlledJoin(self, fields)
        session.take(fields.numbers("sources", 0, 1 << 20), self._received)
        # From here on the descriptors are the handler's, also when it fails.
        self._received = []
        self._handler, numbers = self._server.containers.create(session)
        self._join = session
        pids: list[Json] = list(numbers)
        return {"ok": True, "pids": pids}

    def _start(self, handler: RequestHandler, fields: Fields) -> dict[str, Json]:
        network = read_network(fields.fields("network"))
        # From here on the descriptors are the handler's, also when it fails.
        received, self._received = self._received, []
        handler.start(network, received)
        return {"ok": True}

    def _start_exec(self, handler: RequestHandler, fields: Fields) -> dict[str, Json]:
        tty = fields.flag("tty")
        received = self._received
        if len(received) < (1 if tty else 3):
            raise RunscError("exec needs three descriptors, or one of a terminal")
        session = ControlledExec(self, fields.fields("process"), received, tty=tty)
        # From here on the descriptors are the handler's, also when it fails.
        self._received = []
        handler.exec(session)
        self._exec = session
        return {"ok": True, "pid": session.pid}

    def _start_forward(self, handler: RequestHandler, fields: Fields) -> dict[str, Json]:
        port = fields.number("port", 0, 1, 65535)
        if len(self._received) != 1:
            raise RunscError("forward needs the descriptor of a stream")
        handler.forward(ControlledForward(self, port, self._received[0]))
        self._received = []
        self._is_forwarding = True
        return {"ok": True}

    def _refuse(self, reason: str) -> None:
        self._send({"ok": False, "error": " ".join(reason.split())})
        self._end()

    def _send(self, message: dict[str, Json]) -> None:
        body = dumps(message).encode()
        self._output += len(body).to_bytes(_HEAD, "little") + body
        self._flush()

    def _flush(self) -> None:
        if self.is_closed():
            return
        try:
            while self._output:
                self._output = self._output[os.write(self._fd, self._output) :]
        except BlockingIOError:
            self._server.platform.watch(self._fd, _POLLIN | _POLLOUT, self)
            return
        except OSError:
            self.close()
            return
        self._server.platform.watch(self._fd, _POLLIN, self)
        if self._is_ending:
            self.close()

    def _end(self) -> None:
        """Close as soon as the output is written."""
        self._is_ending = True
        if not self._output:
            self.close()
