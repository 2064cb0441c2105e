"""Streams of the host joined to TCP servers inside (`runsc port-forward`).

A forward moves bytes both ways between a stream socket of the host, whose
descriptor the control server was given, and a connection to the container's
loopback address.  Nothing waits: each side's events have the pump run, and
what one side does not take yet stops the reading from the other.
"""

import os
from typing import Final

from mypy_extensions import mypyc_attr

from netstack.endpoint import NO_LISTENER, SHUT_WRITE, Address
from netstack.environment import Listener, Timer
from netstack.errors import ALREADY_CONNECTING, NetError
from netstack.tcp.endpoint import LOOPBACK_4, LOOPBACK_6, TcpEndpoint
from sentry.abi import socket as abi
from sentry.abi.errno import EAGAIN, EALREADY, ECONNREFUSED, EINPROGRESS, EISCONN
from sentry.abi.poll import EPOLLET
from sentry.errors import SysError
from sentry.kernel.kernel import Kernel
from sentry.platform import hostfiles
from sentry.platform.hostsocket import CALLS
from sentry.platform.interface import HostWatcher, Platform
from sentry.socket.host_network import HostNetwork
from sentry.socket.net_errors import errno_of
from sentry.socket.net_namespace import NetworkNamespace
from sentry.vfs.file import POLLIN, POLLOUT, POLLRDHUP

CHUNK: Final = 65536
ROUNDS: Final = 16  # pieces each way before others have their turn
FORWARDS_MAX: Final = 1024
EVENTS: Final = POLLIN | POLLOUT | POLLRDHUP | EPOLLET
LOOPBACKS: Final = ((abi.AF_INET, LOOPBACK_4), (abi.AF_INET6, LOOPBACK_6))


@mypyc_attr(allow_interpreted_subclasses=True)
class Side:
    """One end of a forward.  SysError is the end of the connection."""

    def read(self) -> bytes | None:
        """Return what has come; nothing at the end, None if nothing is there yet."""
        raise NotImplementedError

    def write(self, data: bytes) -> int:
        """Return how much was taken now."""
        raise NotImplementedError

    def finish(self) -> None:
        """Tell the other end that no more will come."""
        raise NotImplementedError

    def again(self) -> None:
        """Have the pump run once more, when others have had their turn."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the connection."""
        raise NotImplementedError


class HostSide(Side):
    """A descriptor of the host's."""

    def __init__(self, platform: Platform, host_fd: int) -> None:
        self.host_fd = host_fd
        self._platform = platform
        self._watcher: ForwardWatcher | None = None

    def start(self, forward: "Forward") -> None:
        """Have the forward run by the host's events."""
        self._watcher = ForwardWatcher(forward)
        self.again()

    def read(self) -> bytes | None:
        try:
            return os.read(self.host_fd, CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            raise SysError(error.errno or ECONNREFUSED) from None

    def write(self, data: bytes) -> int:
        try:
            return os.write(self.host_fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise SysError(error.errno or ECONNREFUSED) from None

    def finish(self) -> None:
        CALLS.shutdown(self.host_fd, abi.SHUT_WR)

    def again(self) -> None:
        # Edge-triggered: what holds already is reported once more.
        if self._watcher is not None:
            self._platform.watch(self.host_fd, EVENTS, self._watcher)

    def close(self) -> None:
        self._platform.unwatch(self.host_fd)
        hostfiles.close(self.host_fd)


class StackSide(Side):
    """A connection of the sandbox's own stack."""

    def __init__(self, namespace: NetworkNamespace, endpoint: TcpEndpoint) -> None:
        self.endpoint = endpoint
        self._namespace = namespace
        self._turn: Turn | None = None

    def start(self, forward: "Forward") -> None:
        """Have the forward run by the endpoint's events."""
        self._turn = Turn(forward)
        self.endpoint.listener = ForwardEvents(self)

    def connect(self, target: Address) -> None:
        """Begin; SysError if it has failed already."""
        try:
            self.endpoint.connect(target)
            self._namespace.stack.flush()
            # On the loopback device all has happened by now: the second call tells what.
            self.endpoint.connect(target)
        except NetError as error:
            if error.code != ALREADY_CONNECTING:
                raise SysError(errno_of(error.code)) from None

    def again(self) -> None:
        environment = self._namespace.environment
        turn = self._turn
        if turn is not None and not turn.deadline_ns:
            environment.arm(turn, environment.now_ns())

    def read(self) -> bytes | None:
        try:
            found = self.endpoint.read(CHUNK)
        except NetError as error:
            raise SysError(errno_of(error.code)) from None
        self._namespace.stack.flush()  # the window may have opened
        return found

    def write(self, data: bytes) -> int:
        endpoint = self.endpoint
        try:
            room = endpoint.write_room()
            if room <= 0:
                endpoint.write(b"")  # tells of errors, and
                endpoint.readiness()  # notes the wish for room
                return 0
            done = endpoint.write(data[:room])
        except NetError as error:
            raise SysError(errno_of(error.code)) from None
        self._namespace.stack.flush()
        return done or 0

    def finish(self) -> None:
        try:
            self.endpoint.shutdown(SHUT_WRITE)
        except NetError as error:
            raise SysError(errno_of(error.code)) from None
        finally:
            self._namespace.stack.flush()

    def close(self) -> None:
        if self._turn is not None:
            self._namespace.environment.disarm(self._turn)
        self.endpoint.listener = NO_LISTENER
        self.endpoint.close()
        self._namespace.stack.flush()


@mypyc_attr(allow_interpreted_subclasses=True)
class Forward:
    """Two sides, and what is on its way between them."""

    def __init__(self, forwards: "Forwards", outer: Side, inner: Side) -> None:
        self._forwards = forwards
        self._outer = outer
        self._inner = inner
        self._inward = b""  # read outside, not taken inside yet
        self._outward = b""
        self._outer_has_ended = False
        self._inner_has_ended = False
        self._is_closed = False

    def on_end(self) -> None:
        """Called once, when both sides are closed."""

    def pump(self) -> None:
        """Move what can be moved; close when both sides have ended, or one has failed."""
        if self._is_closed:
            return
        try:
            moves = True
            for _ in range(ROUNDS):
                moves = self._move_in() | self._move_out()
                if not moves:
                    break
        except SysError:
            self.close()
            return
        if self._is_over():
            self.close()
        elif moves:
            self._outer.again()

    def _is_over(self) -> bool:
        """Return whether both ends have come, and all that was sent before."""
        has_ended = self._outer_has_ended and self._inner_has_ended
        return has_ended and not self._inward and not self._outward

    def _move_in(self) -> bool:
        """Move one piece inwards; return whether there may be more."""
        if not self._inward:
            if self._outer_has_ended:
                return False
            data = self._outer.read()
            if data is None:
                return False
            if not data:
                self._outer_has_ended = True
                self._inner.finish()
                return False
            self._inward = data
        done = self._inner.write(self._inward)
        self._inward = self._inward[done:]
        return not self._inward

    def _move_out(self) -> bool:
        if not self._outward:
            if self._inner_has_ended:
                return False
            data = self._inner.read()
            if data is None:
                return False
            if not data:
                self._inner_has_ended = True
                self._outer.finish()
                return False
            self._outward = data
        done = self._outer.write(self._outward)
        self._outward = self._outward[done:]
        return not self._outward

    def close(self) -> None:
        """Close both sides."""
        if self._is_closed:
            return
        self._is_closed = True
        self._outer.close()
        self._inner.close()
        self._forwards.forget(self)
        self.on_end()


class ForwardWatcher(HostWatcher):
    """Runs the pump by the host's events."""

    def __init__(self, forward: Forward) -> None:
        self._forward = forward

    def on_host_ready(self, events: int) -> None:
        self._forward.pump()


class Turn(Timer):
    """Runs the pump from the kernel's loop."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self._forward = forward

    def fire(self) -> None:
        self._forward.pump()


class ForwardEvents(Listener):
    """Takes a turn for what the stack reports: it must not be entered from within."""

    def __init__(self, side: StackSide) -> None:
        self._side = side

    def on_events(self, events: int) -> None:
        self._side.again()


@mypyc_attr(allow_interpreted_subclasses=True)
class EndListener:
    """Who wants to know when a forward is over."""

    def on_forward_end(self) -> None:
        """Called once, from the kernel's loop."""


class ReportedForward(Forward):
    """A forward of the control server's."""

    def __init__(
        self, forwards: "Forwards", outer: Side, inner: Side, listener: EndListener
    ) -> None:
        super().__init__(forwards, outer, inner)
        self._listener = listener

    def on_end(self) -> None:
        self._listener.on_forward_end()


class Forwards:
    """All forwards of a sandbox."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._all: set[Forward] = set()

    def forget(self, forward: Forward) -> None:
        """Called by a forward that has closed itself."""
        self._all.discard(forward)

    def add(self, port: int, host_fd: int, listener: EndListener) -> None:
        """Join a stream of the host to a port inside; the descriptor is ours unless this fails.

        SysError: ECONNREFUSED if nobody listens there, EAGAIN for one too many.
        """
        if len(self._all) >= FORWARDS_MAX:
            raise SysError(EAGAIN)
        os.set_blocking(host_fd, False)
        network = self._kernel.network
        inner: StackSide | HostSide
        if isinstance(network, NetworkNamespace):
            inner = _connect_inside(network, port)
        elif isinstance(network, HostNetwork):
            inner = _connect_on_host(network, port)
        else:
            raise SysError(ECONNREFUSED)
        outer = HostSide(self._kernel.platform, host_fd)
        forward = ReportedForward(self, outer, inner, listener)
        self._all.add(forward)
        inner.start(forward)
        outer.start(forward)


def _connect_inside(network: NetworkNamespace, port: int) -> StackSide:
    """Return a connection to a port of the loopback address, of IPv4 or else IPv6."""
    failure = ECONNREFUSED
    for family, host in LOOPBACKS:
        endpoint = network.new_tcp(4 if family == abi.AF_INET else 6)
        side = StackSide(network, endpoint)
        try:
            side.connect(Address(host, port))
        except SysError as error:
            side.close()
            if error.errno != ECONNREFUSED:
                failure = error.errno
            continue
        return side
    raise SysError(failure)


def _connect_on_host(network: HostNetwork, port: int) -> HostSide:
    failure = ECONNREFUSED
    for family, host in LOOPBACKS:
        host_fd = CALLS.socket(family, abi.SOCK_STREAM, abi.IPPROTO_TCP)
        packed = (
            abi.pack_sockaddr_in(host, port)
            if family == abi.AF_INET
            else abi.pack_sockaddr_in6(host, port)
        )
        error = _begin(host_fd, packed) or _begin(host_fd, packed)  # the second one tells
        if not error:
            return HostSide(network.platform, host_fd)
        hostfiles.close(host_fd)
        if error != ECONNREFUSED:
            failure = error
    raise SysError(failure)


def _begin(host_fd: int, address: bytes) -> int:
    """Do connect(2); return why it failed, 0 if it has not or not yet."""
    try:
        CALLS.connect(host_fd, address)
    except SysError as error:
        if error.errno not in (EINPROGRESS, EALREADY, EISCONN):
            return error.errno
    return 0
