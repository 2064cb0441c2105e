"""`peer.py serve`: servers on all addresses.  `peer.py visit`: talks to them at 192.0.2.2."""

import os
import select
import socket
import struct
import sys
import threading

TCP_PORT = 7001
UDP_PORT = 7002
BACK_PORT = 7003
PEERS = {socket.AF_INET: "192.0.2.2", socket.AF_INET6: "2001:db8::2"}
OWN = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
SIZE = 3_000_000


def echo(connection: socket.socket) -> None:
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def serve_tcp(server: socket.socket) -> None:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def serve_udp(server: socket.socket) -> None:
    """Echo; "call" has us connect back by TCP."""
    while True:
        data, address = server.recvfrom(65536)
        if data == b"call":
            with socket.create_connection((address[0], BACK_PORT)) as back:
                back.sendall(b"called back")
        else:
            server.sendto(data, address)


def serve() -> None:
    tcp = socket.create_server(("", TCP_PORT), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=serve_tcp, args=(tcp,), daemon=True).start()
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.bind(("", UDP_PORT))
    print("ready", flush=True)
    serve_udp(udp)


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def visit_tcp(family: int) -> None:
    sent = os.urandom(1000) * (SIZE // 1000)
    received = bytearray()
    with socket.create_connection((PEERS[family], TCP_PORT)) as sock:
        print("tcp", sock.getpeername()[:2], sock.getsockname()[0])

        def send() -> None:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send)
        thread.start()
        while data := sock.recv(100_000):
            received += data
        thread.join()
    print("echoed", bytes(received) == sent)


def visit_poll(family: int) -> None:
    """A connection without blocking, by an edge-triggered epoll."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    print("connect", sock.connect_ex((PEERS[family], TCP_PORT)))
    poller = select.epoll()
    poller.register(sock, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET | select.EPOLLRDHUP)
    print("ready", poller.poll(10)[0][1], sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    for word in (b"first", b"second", b"third"):
        sock.send(word)
        while not poller.poll(10)[0][1] & select.EPOLLIN:
            pass
        # One byte stays: the next event comes for new data all the same.
        print("edge", sock.recv(len(word) - 1 if word == b"first" else 100))
    sock.shutdown(socket.SHUT_WR)
    bits = 0
    while not bits & select.EPOLLRDHUP:
        bits = poller.poll(10)[0][1]
    print("end", sock.recv(100))
    poller.close()
    sock.close()


def visit_refused(family: int) -> None:
    sock = socket.socket(family, socket.SOCK_STREAM)
    print("refused", sock.connect_ex((PEERS[family], 9)))
    sock.setblocking(False)
    sock.connect_ex((PEERS[family], 9))
    select.select([], [sock], [], 10)
    print("refused", sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    sock.close()


def visit_udp(family: int) -> None:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(10)
    if family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        sock.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, 49, 1)  # IPV6_RECVPKTINFO
        sock.setsockopt(socket.IPPROTO_IPV6, 51, 1)  # IPV6_RECVHOPLIMIT
    for size in (0, 1, 1472, 9000, 60000):
        sent = os.urandom(size)
        sock.sendto(sent, (PEERS[family], UDP_PORT))
        data, control, flags, address = sock.recvmsg(65536, 500)
        print("udp", size, data == sent, [(*c[:2], len(c[2])) for c in control], flags, address[:2])
    sock.sendto(bytes(100), (PEERS[family], UDP_PORT))
    print("cut", sock.recvmsg(10)[2])
    sock.close()
    refused = socket.socket(family, socket.SOCK_DGRAM)
    refused.settimeout(10)
    refused.connect((PEERS[family], 9))
    refused.send(b"x")
    try:
        print("udp", refused.recv(10))
    except OSError as error:
        print("udp", error.errno)
    refused.close()


def visit_ping(family: int) -> None:
    kind = 8 if family == socket.AF_INET else 128
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    sock = socket.socket(family, socket.SOCK_DGRAM, protocol)
    sock.settimeout(10)
    sock.sendto(struct.pack("!BBHHH", kind, 0, 0, 0, 7) + b"payload!", (PEERS[family], 0))
    data, address = sock.recvfrom(100)
    print("ping", data[0], data[6:], address[0])
    sock.close()


def visit_raw(family: int) -> None:
    kind = 8 if family == socket.AF_INET else 128
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    sock = socket.socket(family, socket.SOCK_RAW, protocol)
    sock.settimeout(10)
    body = struct.pack("!HH", 0x1234, 1) + b"payload!"
    sum_of = checksum(struct.pack("!BBH", kind, 0, 0) + body)
    sock.sendto(struct.pack("!BBH", kind, 0, sum_of) + body, (PEERS[family], 0))
    while True:
        data, address = sock.recvfrom(1000)
        if family == socket.AF_INET:
            data = data[20:]
        if data[4:6] == b"\x12\x34" and data[0] in (0, 129):
            print("raw", data[0], data[6:], address[0])
            break
    sock.close()


def visit_back(family: int) -> None:
    """The peer connects to a server of ours, which waits for it in accept(2)."""
    server = socket.create_server((OWN[family], BACK_PORT), family=family)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    threading.Timer(0.3, sock.sendto, (b"call", (PEERS[family], UDP_PORT))).start()
    connection, address = server.accept()
    print("accepted", address[0], connection.recv(100), connection.recv(100))
    for one in (connection, server, sock):
        one.close()


def visit() -> None:
    for family in (socket.AF_INET, socket.AF_INET6):
        visit_tcp(family)
        visit_poll(family)
        visit_refused(family)
        visit_udp(family)
        visit_ping(family)
        visit_raw(family)
        visit_back(family)


if sys.argv[1] == "serve":
    serve()
else:
    visit()
