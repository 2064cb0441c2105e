"""The relay of Docker's resolver: a process in the container's network namespace.

Docker's resolver sits in that namespace and translates 127.0.0.11 port 53 to
where it listens, by rules that hold only for who is there, too.  It also asks
servers outside from there; `runsc/sandbox/resolver.py` has all that lead to our
own sockets for port 53.  The relay passes both on, to and from the sandbox.

It does nothing else: no capabilities, no files, and a filter that leaves it
IPv4 sockets.  It is born into the pid namespace of the sandbox, whose end is
its own.  What waits has a limit in number and in time, what comes in has a rate.
"""

import _socket
import errno
import os
import select
import struct
import time
from typing import Final

from config.relay import (
    DNS_HEADER,
    DNS_PORT,
    INSIDE_ANSWER,
    INSIDE_QUERY,
    MAX_DNS,
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
)
from runsc.boot.hostfilter import INT, INTERPRETER_CALLS, HostCall, HostFilter, one_of
from runsc.sandbox import attributes, hostcalls
from runsc.sandbox.resolver import Handed

TIMEOUT_S: Final = 15.0
SWEEP_MS: Final = 1000
MAX_PARTIES: Final = 256  # sockets: of queries to the resolver, connections from it
MAX_ASKED: Final = 256  # queries of the resolver that are on their way
RATE: Final = 1000.0  # queries a second, each way
BURST: Final = 500.0
BUDGET: Final = 64  # messages at one go

_NEW: Final = _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
_IN_PKTINFO: Final = struct.Struct("=I4s4s")  # ip(7): index, local address, destination
_IN6_PKTINFO: Final = struct.Struct("=16sI")  # ipv6(7)
_IP_PKTINFO: Final = 8
_IPV6_PKTINFO: Final = 50
_LOOPBACK_NET: Final = 127

RELAY_CALLS: Final = (
    HostCall("poll", "waiting"),
    HostCall("socket", "queries to the resolver", one_of(0, INT, (_socket.AF_INET,))),
    HostCall("connect", "queries to the resolver"),
    HostCall("accept4", "connections of the resolver"),
    HostCall("recvfrom", "answers"),
    HostCall("recvmsg", "queries, and where they were going"),
    HostCall("sendto", "queries and answers"),
    HostCall("sendmsg", "answers, from where they were expected"),
    HostCall("getsockname", "where a connection was going; what Python asks of every socket"),
    HostCall("getsockopt", "how a connect ended"),
    # The interpreter collects and reports with these.
    *INTERPRETER_CALLS,
)


class Bucket:
    """A limit of a rate."""

    def __init__(self) -> None:
        self._tokens = BURST
        self._since = time.monotonic()

    def take(self) -> bool:
        """Return whether one more is allowed."""
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._since) * RATE)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Party:
    """A socket that is waited for."""

    def __init__(self, relay: "Relay", sock: _socket.socket) -> None:
        self.relay = relay
        self.sock = sock
        self.deadline = 0.0  # 0: for ever

    def on_ready(self) -> None:
        """Read or write; OSError ends it."""
        raise NotImplementedError

    def close(self) -> None:
        """Called once, when it has ended or its time is over."""
        self.sock.close()


class Relay:
    """Passes messages on."""

    def __init__(self, link: _socket.socket) -> None:
        self.link = link
        self.inside = Bucket()
        self.outside = Bucket()
        # By tag: what answers the resolver, and until when.
        self.asked: dict[int, tuple[Party, object, float]] = {}
        self._tag = 0
        self._parties: dict[int, Party] = {}
        self._poller = select.poll()
        self._poller.register(link.fileno(), select.POLLIN)

    def add(self, party: Party, events: int) -> None:
        """Wait for a party's socket."""
        self._parties[party.sock.fileno()] = party
        self._poller.register(party.sock.fileno(), events)

    def wait_for(self, party: Party, events: int) -> None:
        """Wait for something else."""
        self._poller.modify(party.sock.fileno(), events)

    def end(self, party: Party) -> None:
        """Forget a party."""
        number = party.sock.fileno()
        if self._parties.pop(number, None) is party:
            self._poller.unregister(number)
            party.close()

    def is_full(self) -> bool:
        """Return whether there are enough sockets."""
        return len(self._parties) >= MAX_PARTIES

    def serve(self) -> None:
        """Pass messages on until the sandbox is gone."""
        swept = time.monotonic()
        listening = len(self._parties)
        while True:
            is_idle = len(self._parties) == listening and not self.asked
            for number, _ in self._poller.poll(None if is_idle else SWEEP_MS):
                if number == self.link.fileno():
                    if not self._on_link():
                        return
                    continue
                party = self._parties.get(number)
                if party is not None:
                    try:
                        party.on_ready()
                    except OSError:
                        self.end(party)
            now = time.monotonic()
            if now - swept >= SWEEP_MS / 1000:
                swept = now
                self._sweep(now)

    def _sweep(self, now: float) -> None:
        for party in list(self._parties.values()):
            if party.deadline and party.deadline <= now:
                self.end(party)
        for tag, (_, _, deadline) in list(self.asked.items()):
            if deadline <= now:
                del self.asked[tag]

    def _on_link(self) -> bool:
        """Take what the sandbox sends; False: it is gone."""
        for _ in range(BUDGET):
            try:
                data = self.link.recv(MAX_MESSAGE)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            try:
                self._on_message(parse(data))
            except RelayFormatError:
                return False  # it speaks of something else: there is no use in going on
        return True

    def _on_message(self, message: RelayMessage) -> None:
        if message.kind == INSIDE_QUERY:
            made: Party | None = None
            if self.inside.take() and not self.is_full():
                try:
                    made = (
                        InsideUdp(self, message)
                        if message.protocol == UDP
                        else InsideTcp(self, message)
                    )
                except OSError:
                    made = None
            if made is None:
                self.send(RelayMessage(INSIDE_ANSWER, message.protocol, message.tag, b""))
        elif message.kind == OUTSIDE_ANSWER:
            party, client, _ = self.asked.pop(message.tag, (None, None, 0.0))
            if isinstance(party, OutsideUdp):
                party.answer(client, message.dns)
            elif isinstance(party, OutsideConnection):
                party.answer(message.dns)

    def send(self, message: RelayMessage) -> None:
        """Send a message to the sandbox; it is lost if there is no room."""
        try:
            self.link.send(message.pack(), _socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return

    def ask(self, party: Party, client: object, protocol: int, server: bytes, dns: bytes) -> bool:
        """Have the sandbox ask a server outside; False if that is not possible now."""
        if len(self.asked) >= MAX_ASKED or not self.outside.take():
            return False
        # Queries to the resolver itself must not come back to it, were its rules gone.
        if len(dns) < DNS_HEADER or (len(server) == 4 and server[0] == _LOOPBACK_NET):
            return False
        self._tag = self._tag + 1 & 0xFFFF_FFFF
        query = RelayMessage(OUTSIDE_QUERY, protocol, self._tag, dns)
        query.server = server
        self.asked[self._tag] = (party, client, time.monotonic() + TIMEOUT_S)
        self.send(query)
        return True


# To the resolver.


def _connect(kind: int) -> _socket.socket:
    """Return a socket that is connected, or about to be, to the resolver; OSError."""
    made = _socket.socket(_socket.AF_INET, kind | _NEW, 0)
    error = made.connect_ex((RESOLVER, DNS_PORT))
    if error not in (0, errno.EINPROGRESS):
        made.close()
        raise OSError(error, os.strerror(error))
    return made


class InsideParty(Party):
    """A query to the resolver."""

    def __init__(self, relay: Relay, query: RelayMessage, kind: int) -> None:
        super().__init__(relay, _connect(kind))
        self.deadline = time.monotonic() + TIMEOUT_S
        self._query = query
        self._answer = b""

    def answer(self, dns: bytes) -> None:
        """Give the answer, and end."""
        self._answer = dns
        self.relay.end(self)

    def close(self) -> None:
        super().close()
        query = self._query
        self.relay.send(RelayMessage(INSIDE_ANSWER, query.protocol, query.tag, self._answer))


class InsideUdp(InsideParty):
    """A query by UDP."""

    def __init__(self, relay: Relay, query: RelayMessage) -> None:
        super().__init__(relay, query, _socket.SOCK_DGRAM)
        try:
            self.sock.send(query.dns)
        except OSError:
            self.sock.close()
            raise
        relay.add(self, select.POLLIN)

    def on_ready(self) -> None:
        """The answer is here, or the resolver is not."""
        self.answer(self.sock.recv(MAX_DNS))


class InsideTcp(InsideParty):
    """A query by TCP."""

    def __init__(self, relay: Relay, query: RelayMessage) -> None:
        super().__init__(relay, query, _socket.SOCK_STREAM)
        self._input = LengthPrefixed()
        self._output = prefix_length(query.dns)
        relay.add(self, select.POLLOUT)

    def on_ready(self) -> None:
        """Write the query, then read the answer."""
        if self._output:
            self._output = self._output[self.sock.send(self._output, _socket.MSG_NOSIGNAL) :]
            if not self._output:
                self.relay.wait_for(self, select.POLLIN)
            return
        data = self.sock.recv(MAX_DNS)
        self._input.add(data)
        message = self._input.take()
        if message is not None or not data:
            self.answer(message or b"")


# From the resolver.


class OutsideUdp(Party):
    """All datagrams to port 53, wherever they were going."""

    def on_ready(self) -> None:
        """Take queries."""
        for _ in range(BUDGET):
            try:
                data, controls, _, source = self.sock.recvmsg(MAX_DNS, 64)
            except BlockingIOError:
                return
            for _, kind, payload in controls:
                if kind == _IP_PKTINFO and len(payload) == _IN_PKTINFO.size:
                    server = payload[8:12]
                elif kind == _IPV6_PKTINFO and len(payload) == _IN6_PKTINFO.size:
                    server = payload[:16]
                else:
                    continue
                self.relay.ask(self, (source, server), UDP, server, data)

    def answer(self, client: object, dns: bytes) -> None:
        """Send an answer from the address that was asked."""
        assert isinstance(client, tuple)
        source, server = client
        if not dns:
            return  # as if it were lost
        if len(server) == 4:
            info = (_socket.IPPROTO_IP, _IP_PKTINFO, _IN_PKTINFO.pack(0, server, bytes(4)))
        else:
            info = (_socket.IPPROTO_IPV6, _IPV6_PKTINFO, _IN6_PKTINFO.pack(server, 0))
        try:
            self.sock.sendmsg([dns], [info], 0, source)
        except OSError:
            return  # the resolver has given up, or the answer is larger than a datagram


class OutsideListener(Party):
    """All connections to port 53, wherever they were going."""

    def on_ready(self) -> None:
        """Take one connection; the rest are reported again."""
        try:
            # The only accept that `_socket` has; `socket` is dear to import.
            number, _ = self.sock._accept()  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError:
            return  # gone already
        sock = _socket.socket(self.sock.family, _socket.SOCK_STREAM, 0, number)
        if self.relay.is_full():
            sock.close()
            return
        self.relay.add(OutsideConnection(self.relay, sock), select.POLLIN)


class OutsideConnection(Party):
    """A connection of the resolver to a server, which is answered here."""

    def __init__(self, relay: Relay, sock: _socket.socket) -> None:
        super().__init__(relay, sock)
        self.deadline = time.monotonic() + TIMEOUT_S
        self._server = _socket.inet_pton(sock.family, sock.getsockname()[0])
        self._input = LengthPrefixed()
        self._output = b""
        self._is_waiting = False

    def on_ready(self) -> None:
        """Read queries one by one, write answers."""
        if self._is_waiting:  # nothing was asked for: it is the end
            self.relay.end(self)
            return
        if self._output:
            flags = _socket.MSG_NOSIGNAL | _socket.MSG_DONTWAIT
            self._output = self._output[self.sock.send(self._output, flags) :]
        if not self._output:
            self._read()

    def _read(self) -> None:
        query = self._input.take()
        if query is None:
            self.relay.wait_for(self, select.POLLIN)
            try:
                data = self.sock.recv(MAX_DNS, _socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if not data:
                self.relay.end(self)
                return
            self._input.add(data)
            query = self._input.take()
        if query is None:
            return
        if not self.relay.ask(self, None, TCP, self._server, query):
            self.relay.end(self)
            return
        self._is_waiting = True
        self.relay.wait_for(self, 0)  # its end is told all the same (poll(2))

    def answer(self, dns: bytes) -> None:
        """Send an answer."""
        self._is_waiting = False
        if self.sock.fileno() < 0:
            return
        if not dns:
            self.relay.end(self)
            return
        self.deadline = time.monotonic() + TIMEOUT_S
        self._output = prefix_length(dns)
        self.relay.wait_for(self, select.POLLOUT)


def confine() -> None:
    """Give everything up but the sockets, for ever."""
    host_filter = HostFilter(list(RELAY_CALLS), trap=False)
    hostcalls.clear_ambient_set()
    hostcalls.drop_bounding_set(0)
    hostcalls.prctl(hostcalls.PR_SET_SECUREBITS, hostcalls.SECUREBITS_LOCKED)
    hostcalls.capset(0, 0, 0)
    attributes.set_no_new_privs()
    attributes.set_dumpable(dumpable=False)
    host_filter.load()


def run(handed: Handed, told_fd: int) -> None:
    """Be the relay until the sandbox is gone; write to `told_fd` once all is ready."""
    relay = Relay(handed.link)
    for sock in handed.udp:
        relay.add(OutsideUdp(relay, sock), select.POLLIN)
    for sock in handed.tcp:
        relay.add(OutsideListener(relay, sock), select.POLLIN)
    confine()
    os.write(told_fd, b"g")
    os.close(told_fd)
    relay.serve()
