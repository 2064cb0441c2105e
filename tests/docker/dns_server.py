"""A DNS server that knows a few names (RFC 1035), for tests: UDP and TCP, in a thread."""

import select
import socket
import struct
import threading
from types import TracebackType

A = 1
TXT = 16
MAX_UDP = 512
TRUNCATED = 0x0200
RESPONSE = 0x8180
NO_SUCH_NAME = 3


class Question:
    """What a query asks."""

    def __init__(self, query: bytes) -> None:
        labels = []
        at = 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        self.name = ".".join(labels)
        (self.kind,) = struct.unpack_from("!H", query, at + 1)
        self.end = at + 5


def record(kind: int, data: bytes) -> bytes:
    """Return a resource record whose name is that of the question."""
    return struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(data)) + data


class DnsServer:
    """Answers on port 53 of an address in the network namespace that this thread is in now."""

    def __init__(self, address: str, records: dict[tuple[str, int], list[bytes]]) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.records = records
        self.asked: list[tuple[str, str, str]] = []  # "udp" or "tcp", who, which name
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.bind((address, 53))
        self._tcp = socket.create_server((address, 53), family=family)
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "DnsServer":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.close()
        self._thread.join()
        for sock in (self._udp, self._tcp, self._stopped):
            sock.close()

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._udp, self._tcp, self._stopped], [], [])
            if self._stopped in ready:
                return
            if self._udp in ready:
                query, peer = self._udp.recvfrom(4096)
                self._udp.sendto(self._answer(query, "udp", peer[0]), peer)
            if self._tcp in ready:
                self._serve_connection()

    def _serve_connection(self) -> None:
        connection, peer = self._tcp.accept()
        connection.settimeout(5)
        with connection, connection.makefile("rb") as file:
            size = int.from_bytes(file.read(2), "big")
            answer = self._answer(file.read(size), "tcp", peer[0])
            connection.sendall(len(answer).to_bytes(2, "big") + answer)

    def _answer(self, query: bytes, protocol: str, peer: str) -> bytes:
        question = Question(query)
        self.asked.append((protocol, peer, question.name))
        found = self.records.get((question.name, question.kind), [])
        flags = RESPONSE if found else RESPONSE | NO_SUCH_NAME
        body = query[12 : question.end]
        if protocol == "udp" and 12 + len(body) + sum(map(len, found)) > MAX_UDP:
            flags, found = flags | TRUNCATED, []
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        return head + body + b"".join(found)
