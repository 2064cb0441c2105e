"""The sandbox's end of the relay to Docker's resolver, both ways.

The guest asks 127.0.0.11: endpoints of our stack take that, beside the table of
ports, so that a guest may bind port 53 as on Docker's own runtime, where that
address is translated away.  And the resolver asks servers outside, by endpoints
of our stack, since the namespace it sits in has lost its addresses.

Everything that waits has a limit in number and in time.
"""

import _socket
import os
from typing import Final

from config.relay import (
    DNS_HEADER,
    DNS_PORT,
    INSIDE_ANSWER,
    INSIDE_QUERY,
    MAX_MESSAGE,
    OUTSIDE_ANSWER,
    OUTSIDE_QUERY,
    RESOLVER,
    TCP,
    UDP,
    LengthPrefixed,
    RelayFormatError,
    RelayMessage,
    parse,
    prefix_length,
    server_failure,
)
from netstack.endpoint import EVENT_ERR, EVENT_HUP, EVENT_IN, EVENT_OUT, Address
from netstack.environment import Listener, Timer
from netstack.errors import NetError
from netstack.stack import Stack
from netstack.tcp.endpoint import TcpEndpoint
from netstack.tcp.protocol import TcpProtocol
from netstack.udp import UdpEndpoint, UdpTransport
from sentry.log import Log
from sentry.platform.interface import HostWatcher, Platform

POLLIN: Final = 1
SECOND_NS: Final = 1_000_000_000
# Docker's resolver gives a server four seconds, and asks three at most.
TIMEOUT_NS: Final = 15 * SECOND_NS
SWEEP_NS: Final = SECOND_NS

MAX_ASKED: Final = 256  # queries of the guest that are on their way
MAX_CLIENTS: Final = 64  # connections of the guest
MAX_FORWARDED: Final = 128  # queries to servers outside
MAX_PIPELINED: Final = 8  # queries of one connection
RECEIVE_BUDGET: Final = 64
CHUNK: Final = 65536
RESOLVER_HOST: Final = _socket.inet_aton(RESOLVER)


class Asker:
    """Who waits for an answer of Docker's resolver."""

    def __init__(self) -> None:
        self.deadline_ns = 0

    def on_answer(self, dns: bytes) -> None:
        """Called once; an empty answer: there is none."""
        raise NotImplementedError


class Exchange(Listener):
    """Something that ends by itself, or when its time is over."""

    def __init__(self, resolver: "Resolver") -> None:
        self.resolver = resolver
        self.deadline_ns = resolver.now_ns() + TIMEOUT_NS

    def close(self) -> None:
        """End it."""
        raise NotImplementedError


class SweepTimer(Timer):
    """Ends what takes too long."""

    def __init__(self, resolver: "Resolver") -> None:
        super().__init__()
        self._resolver = resolver

    def fire(self) -> None:
        self._resolver.sweep()


class Resolver(HostWatcher):
    """Carries questions and answers between the relay and the network stack."""

    def __init__(self, platform: Platform, log: Log, stack: Stack, host_fd: int) -> None:
        """`host_fd`: our end of the pair of sockets, which does not block."""
        udp, tcp = stack.transports[UDP], stack.transports[TCP]
        assert isinstance(udp, UdpTransport)
        assert isinstance(tcp, TcpProtocol)
        self.stack = stack
        self.udp = udp
        self.tcp = tcp
        self.clients: set[Exchange] = set()
        self._forwarded: set[Exchange] = set()
        self._asked: dict[int, Asker] = {}
        self._tag = 0
        self._platform = platform
        self._log = log
        self._host_fd = host_fd
        self._is_open = True
        self._timer = SweepTimer(self)
        self._inside_udp = InsideUdp(self)
        self._inside_tcp = InsideTcp(self)
        platform.watch(host_fd, POLLIN, self)

    def close(self) -> None:
        """Forget the relay."""
        if not self._is_open:
            return
        self._is_open = False
        self._platform.unwatch(self._host_fd)
        os.close(self._host_fd)
        self._inside_udp.endpoint.close()
        self._inside_tcp.endpoint.close()
        self.stack.environment.disarm(self._timer)
        for exchange in [*self.clients, *self._forwarded]:
            exchange.close()
        self._asked.clear()

    def now_ns(self) -> int:
        """Return the monotonic time."""
        return self.stack.environment.now_ns()

    # The relay.

    def on_host_ready(self, events: int) -> None:
        """Take what the relay sends."""
        for _ in range(RECEIVE_BUDGET):
            try:
                data = os.read(self._host_fd, MAX_MESSAGE)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self._log.warning("the relay of Docker's resolver has ended")
                self.close()
                break
            try:
                self._on_message(parse(data))
            except RelayFormatError as error:
                self._log.warning(f"the relay of Docker's resolver: {error}")
        self.stack.flush()

    def _on_message(self, message: RelayMessage) -> None:
        if message.kind == INSIDE_ANSWER:
            asker = self._asked.pop(message.tag, None)
            if asker is not None:
                asker.on_answer(message.dns)
        elif message.kind == OUTSIDE_QUERY:
            self._forward(message)

    def _send(self, message: RelayMessage) -> bool:
        """Send a message to the relay; False: it is lost."""
        if not self._is_open:
            return False
        try:
            os.write(self._host_fd, message.pack())
        except OSError:  # no room, or the relay is gone: then we hear of it
            return False
        return True

    # What the guest asks.

    def ask(self, protocol: int, dns: bytes, asker: Asker) -> bool:
        """Ask Docker's resolver; False if that is not possible now."""
        if len(self._asked) >= MAX_ASKED or len(dns) < DNS_HEADER:
            return False
        self._tag = self._tag + 1 & 0xFFFF_FFFF
        if not self._send(RelayMessage(INSIDE_QUERY, protocol, self._tag, dns)):
            return False
        asker.deadline_ns = self.now_ns() + TIMEOUT_NS
        self._asked[self._tag] = asker
        self.arm()
        return True

    # What Docker's resolver asks.

    def _forward(self, query: RelayMessage) -> None:
        """Ask a server outside."""
        if len(self._forwarded) >= MAX_FORWARDED or len(query.dns) < DNS_HEADER:
            self.answer(query, b"")
            return
        try:
            if query.protocol == UDP:
                made: Exchange = ForwardedUdp(self, query)
            else:
                made = ForwardedTcp(self, query)
        except NetError:
            self.answer(query, b"")
            return
        self._forwarded.add(made)
        self.arm()

    def answer(self, query: RelayMessage, dns: bytes) -> None:
        """Give Docker's resolver an answer; without one it need not wait, as with an ICMP error."""
        if not dns and query.protocol == UDP and len(query.dns) >= DNS_HEADER:
            dns = server_failure(query.dns)
        self._send(RelayMessage(OUTSIDE_ANSWER, query.protocol, query.tag, dns))

    def forget(self, exchange: Exchange) -> None:
        """Called when an exchange has ended."""
        self.clients.discard(exchange)
        self._forwarded.discard(exchange)

    # Time.

    def arm(self) -> None:
        """Have `sweep` called soon."""
        if self._is_open and not self._timer.deadline_ns:
            self.stack.environment.arm(self._timer, self.now_ns() + SWEEP_NS)

    def sweep(self) -> None:
        """End what takes too long."""
        now = self.now_ns()
        for tag, asker in list(self._asked.items()):
            if asker.deadline_ns <= now:
                del self._asked[tag]
                asker.on_answer(b"")
        for exchange in [*self.clients, *self._forwarded]:
            if exchange.deadline_ns <= now:
                exchange.close()
        self.stack.flush()
        if self._asked or self.clients or self._forwarded:
            self.arm()


# The guest asks 127.0.0.11.


class InsideUdp(Listener):
    """127.0.0.11 port 53, UDP."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.endpoint = resolver.udp.new_endpoint(4)
        resolver.udp.bind_beside(self.endpoint, Address(RESOLVER_HOST, DNS_PORT))
        self.endpoint.listener = self

    def on_events(self, events: int) -> None:
        """Ask what the guest asks; a datagram too many is lost, as they may be."""
        while True:
            try:
                datagram = self.endpoint.receive()
            except NetError:
                continue  # of an answer that nobody wanted any more
            if datagram is None:
                return
            asker = UdpAsker(self.endpoint, datagram.source)
            self._resolver.ask(UDP, datagram.payload, asker)


class UdpAsker(Asker):
    """A socket of the guest that has sent a datagram."""

    def __init__(self, endpoint: UdpEndpoint, source: Address) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._source = source

    def on_answer(self, dns: bytes) -> None:
        """Send the answer; whoever asked may be gone."""
        if dns:
            try:
                self._endpoint.send(dns, self._source)
            except NetError:
                return


class InsideTcp(Listener):
    """127.0.0.11 port 53, TCP."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.endpoint = TcpEndpoint(resolver.tcp, 4)
        self.endpoint.bind_beside(Address(RESOLVER_HOST, DNS_PORT))
        self.endpoint.listen(MAX_CLIENTS)
        self.endpoint.listener = self

    def on_events(self, events: int) -> None:
        """Take the connections that are there."""
        while True:
            made = self.endpoint.accept()
            if made is None:
                return
            if len(self._resolver.clients) >= MAX_CLIENTS:
                made.close()
            else:
                TcpClient(self._resolver, made)


class TcpClient(Exchange):
    """A connection of the guest; it may ask several times (RFC 7766, 6.2.1)."""

    def __init__(self, resolver: Resolver, endpoint: TcpEndpoint) -> None:
        super().__init__(resolver)
        self._endpoint = endpoint
        self._input = LengthPrefixed()
        self._output = b""
        self._waiting = 0
        self._has_ended = False  # the guest sends no more
        endpoint.listener = self
        resolver.clients.add(self)
        resolver.arm()
        self._step()

    def on_events(self, events: int) -> None:
        """Read, ask, write."""
        self._step()

    def on_answer(self, dns: bytes) -> None:
        """Called with each answer, which need not be in the order of the queries."""
        self._waiting -= 1
        if self not in self.resolver.clients:
            return
        if not dns:
            self.close()
            return
        self.deadline_ns = self.resolver.now_ns() + TIMEOUT_NS
        self._output += prefix_length(dns)
        self._step()

    def _step(self) -> None:
        try:
            self._write()
            self._read()
        except NetError:
            self.close()
            return
        if self._has_ended and not self._waiting and not self._output:
            self.close()

    def _write(self) -> None:
        while self._output:
            done = self._endpoint.write(self._output)
            if not done:
                return
            self._output = self._output[done:]

    def _read(self) -> None:
        # An answer that is not taken keeps further questions waiting.
        while self._waiting < MAX_PIPELINED and not self._output:
            message = self._input.take()
            if message is not None:
                if not self.resolver.ask(TCP, message, TcpAsker(self)):
                    self.close()
                    return
                self._waiting += 1
                continue
            if self._has_ended:
                return
            data = self._endpoint.read(CHUNK)
            if data is None:
                return
            self._input.add(data)
            self._has_ended = not data

    def close(self) -> None:
        """End the connection."""
        if self in self.resolver.clients:
            self.resolver.forget(self)
            self._endpoint.close()


class TcpAsker(Asker):
    """One query of a connection."""

    def __init__(self, client: TcpClient) -> None:
        super().__init__()
        self._client = client

    def on_answer(self, dns: bytes) -> None:
        """Pass it on."""
        self._client.on_answer(dns)


# Docker's resolver asks a server.


class ForwardedUdp(Exchange):
    """A datagram to a server; its answer is the first with the same number."""

    def __init__(self, resolver: Resolver, query: RelayMessage) -> None:
        super().__init__(resolver)
        self._query = query
        self._endpoint = resolver.udp.new_endpoint(4 if len(query.server) == 4 else 6)
        self._endpoint.listener = self
        try:
            self._endpoint.connect(Address(query.server, DNS_PORT))
            self._endpoint.send(query.dns)
        except NetError:
            self._endpoint.close()
            raise

    def on_events(self, events: int) -> None:
        """The server answers, or somebody says that it cannot."""
        if not events & (EVENT_IN | EVENT_ERR):
            return
        while not self._endpoint.is_closed:
            try:
                datagram = self._endpoint.receive()
            except NetError:
                self._finish(b"")
                return
            if datagram is None:
                return
            if datagram.payload[:2] == self._query.dns[:2]:
                self._finish(datagram.payload)

    def close(self) -> None:
        """Give up."""
        self._finish(b"")

    def _finish(self, dns: bytes) -> None:
        if not self._endpoint.is_closed:
            self._endpoint.close()
            self.resolver.forget(self)
            self.resolver.answer(self._query, dns)


class ForwardedTcp(Exchange):
    """A connection to a server for one query."""

    def __init__(self, resolver: Resolver, query: RelayMessage) -> None:
        super().__init__(resolver)
        self._query = query
        self._input = LengthPrefixed()
        self._output = prefix_length(query.dns)
        self._is_open = True
        self._endpoint = TcpEndpoint(resolver.tcp, 4 if len(query.server) == 4 else 6)
        self._endpoint.listener = self
        try:
            self._endpoint.connect(Address(query.server, DNS_PORT))
        except NetError:
            self._endpoint.close()
            raise

    def on_events(self, events: int) -> None:
        """Write the query once connected, read the answer."""
        if not self._is_open or not events & (EVENT_IN | EVENT_OUT | EVENT_ERR | EVENT_HUP):
            return
        try:
            while self._output:
                done = self._endpoint.write(self._output)
                if not done:
                    return
                self._output = self._output[done:]
            while self._is_open:
                data = self._endpoint.read(CHUNK)
                if data is None:
                    return
                self._input.add(data)
                answer = self._input.take()
                if answer is not None or not data:
                    self._finish(answer or b"")
        except NetError:
            self._finish(b"")

    def close(self) -> None:
        """Give up."""
        self._finish(b"")

    def _finish(self, dns: bytes) -> None:
        if self._is_open:
            self._is_open = False
            self._endpoint.close()
            self.resolver.forget(self)
            self.resolver.answer(self._query, dns)
