"""Who a container on an ipvlan talks to, and who listens to what it says."""

import json
import selectors
import socket
import struct
import subprocess
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

from tests.harness.bundle import Bundle, Runtime
from tests.harness.netns import Namespace

_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23
_SNIFFED_SIZE = 65536
_MLD_REPORTS = (131, 132, 143)  # RFC 2710, RFC 3810
_ROUTER_SOLICITATION = 133  # RFC 4861
_ICMPV6 = 58
_EPB = 6  # pcapng's Enhanced Packet Block


class Capitals:
    """A TCP server on all addresses of a namespace that answers in capitals."""

    def __init__(self, namespace: Namespace) -> None:
        with namespace.entered():
            self._server = socket.create_server(
                ("::", 0), family=socket.AF_INET6, dualstack_ipv6=True
            )
        self.port: int = self._server.getsockname()[1]
        self.peers: list[str] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, (peer, *_) = self._server.accept()
            except OSError:
                return
            self.peers.append(peer.removeprefix("::ffff:"))
            with connection:
                connection.settimeout(60)
                while data := connection.recv(65536):
                    connection.sendall(data.upper())

    def close(self) -> None:
        # Wakes accept(2), which close(2) does not.
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._server.close()
        assert not self._thread.is_alive()

    def __enter__(self) -> "Capitals":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def talk(namespace: Namespace, address: str, port: int, text: bytes) -> bytes:
    """Say something to a server, and return all that it answers."""
    with namespace.entered():
        connection = socket.create_connection((address, port), timeout=30)
    with connection:
        # Both at once: a server that echoes does not take all before it answers.
        sender = threading.Thread(target=_say, args=(connection, text))
        sender.start()
        answer = b""
        while data := connection.recv(65536):
            answer += data
        sender.join()
    return answer


def _say(connection: socket.socket, text: bytes) -> None:
    with suppress(ConnectionError):  # as the receiver sees it, too
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)


class Sniffer:
    """Keeps what comes in at an interface."""

    def __init__(self, namespace: Namespace, interface: str) -> None:
        with namespace.entered():
            self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._wire.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            self._wire.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE
            self._wire.bind((interface, 3))
        self._wire.setblocking(False)

    def frames(self) -> list[bytes]:
        """Return what has come since the last time."""
        found = []
        while True:
            try:
                found.append(self._wire.recv(_SNIFFED_SIZE))
            except BlockingIOError:
                return found

    def __enter__(self) -> "Sniffer":
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close()


def captured(data: bytes) -> list[bytes]:
    """Return the frames of a file of --pcap-log."""
    found = []
    offset = 0
    while offset < len(data):
        kind, length = struct.unpack_from("<II", data, offset)
        if kind == _EPB:
            (size,) = struct.unpack_from("<I", data, offset + 20)
            found.append(data[offset + 28 : offset + 28 + size])
        offset += length
    return found


def without_link(frame: bytes) -> bytes:
    """Return a frame without its hardware addresses, which mode l3 changes on the way."""
    return frame[12:]


def is_tolerated(frame: bytes) -> bool:
    """Return whether a frame is one of those that the host still sends (docs/network.md)."""
    if frame[12:14] != b"\x86\xdd":
        return False
    following, rest = frame[20], frame[54:]
    if following == 0:  # hop-by-hop options: MLD has them
        following, rest = rest[0], rest[8 + 8 * rest[1] :]
    if following != _ICMPV6:
        return False
    return rest[0] in _MLD_REPORTS or rest[0] == _ROUTER_SOLICITATION


def host_counters(namespace: Namespace) -> dict[str, int]:
    """Return what the host's stack has sent in a namespace, without MLD and the like."""
    with namespace.entered():
        with open("/proc/self/net/snmp") as file:
            lines = [line.split() for line in file]
        with open("/proc/self/net/snmp6") as file:
            six = dict(line.split() for line in file)
    found = {}
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        found |= {f"{names[0]}{n}": int(v) for n, v in zip(names[1:], values[1:], strict=True)}
    wanted = ("Ip:OutRequests", "Icmp:OutMsgs", "Tcp:OutSegs", "Tcp:OutRsts", "Udp:OutDatagrams")
    return {name: found[name] for name in wanted} | {
        name: int(six[name])
        for name in (
            "Icmp6OutEchoReplies",
            "Icmp6OutDestUnreachs",
            "Icmp6OutNeighborAdvertisements",
        )
    }


class Running:
    """A container that runs a shell script, and is told to end by a connection to its port 7001."""

    def __init__(self, runtime: Runtime, bundle: Bundle, *flags: str) -> None:
        self.runtime = runtime
        self.bundle = bundle
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [*runtime.command, "--net-raw", *flags, "run", "--bundle", str(bundle.path), bundle.id],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={},
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout
        self._rest = b""

    def wait_for(self, line: str, seconds: float = 120) -> None:
        """Wait until the script has printed a line."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            while line not in self.lines:
                left = deadline - time.monotonic()
                assert selector.select(max(left, 0)), f"no {line!r} among {self.lines}"
                data = self._out.read1(4096)
                assert data, f"ended without {line!r}: {self.lines}"
                *whole, self._rest = (self._rest + data).split(b"\n")
                self.lines += [text.decode() for text in whole]

    def wait(self, status: int = 0, seconds: float = 60) -> None:
        """Wait for the end, with an exit status."""
        out, _ = self._process.communicate(timeout=seconds)
        self.lines += (self._rest + out).decode().splitlines()
        assert self._process.returncode == status, self.lines

    def __enter__(self) -> "Running":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.runtime("kill", self.bundle.id, "KILL", timeout=60)
            self._process.communicate(timeout=60)


def join_network(config: Any, path: str) -> None:
    """Have a bundle's container in a network namespace, with the capabilities for ping(8)."""
    for namespace in config["linux"]["namespaces"]:
        if namespace["type"] == "network":
            namespace["path"] = path
    for names in config["process"]["capabilities"].values():
        names.append("CAP_NET_RAW")
    assert path in json.dumps(config)
