"""Sends much in one go and then computes: all of it must be on its way soon.

burst.py server PORT             answers one client at a time, for ever
burst.py client ADDRESS PORT     prints "NAME ok" for each case that went well
"""

import socket
import sys
import time
import zlib

SPIN_S = 0.4
SOON_S = 0.15
SIZES = [1000] * 40 + [1000, 1000, 300, 1000, 1200, 1200, 7, 7, 7, 0, 1400] + [1400] * 60
WRITES = [150_000, 150_000, 90_000, 10, 10, 40_000]


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def read_line(stream: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n"):
        byte = stream.recv(1)
        if not byte:
            raise EOFError
        line += byte
    return line.decode().strip()


def datagrams(sizes: list[int]) -> list[bytes]:
    return [bytes((number & 0xFF,)) * size for number, size in enumerate(sizes)]


def serve_datagrams(stream: socket.socket, count: int) -> str:
    """Receive as many datagrams as there should be; return their checksum and how long it took."""
    with socket.socket(stream.family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sock.bind((stream.getsockname()[0], 0))
        sock.settimeout(5)
        stream.sendall(b"%d\n" % sock.getsockname()[1])
        total, first = 0, 0.0
        for _ in range(count):
            data = sock.recv(65536)
            first = first or time.perf_counter()
            total = zlib.crc32(b"%d:" % len(data) + data, total)
        return f"{total} {time.perf_counter() - first}"


def serve_stream(stream: socket.socket, size: int) -> str:
    total, first = 0, 0.0
    while size:
        data = stream.recv(min(size, 65536))
        if not data:
            raise EOFError
        first = first or time.perf_counter()
        total = zlib.crc32(data, total)
        size -= len(data)
    return f"{total} {time.perf_counter() - first}"


def serve(port: int) -> None:
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        while True:
            stream = server.accept()[0]
            with stream:
                try:
                    kind, number = read_line(stream).split()
                    serve_one = serve_datagrams if kind == "udp" else serve_stream
                    stream.sendall(serve_one(stream, int(number)).encode() + b"\n")
                except (EOFError, OSError, ValueError) as error:
                    print(f"server: {error!r}", flush=True)


def spin() -> None:
    """Compute, without any system call."""
    end = time.perf_counter() + SPIN_S
    while time.perf_counter() < end:
        pass


def judge(name: str, stream: socket.socket, total: int) -> None:
    found, took = read_line(stream).split()
    if int(found) != total:
        print(f"{name}: other data arrived")
    elif float(took) > SOON_S:
        print(f"{name}: it took {took} s")
    else:
        print(f"{name} ok")


def send_datagrams(name: str, address: str, port: int, sizes: list[int], connected: bool) -> None:
    with socket.create_connection((address, port)) as stream:
        stream.sendall(b"udp %d\n" % len(sizes))
        to = (address, int(read_line(stream)))
        total = 0
        with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
            all_of_them = datagrams(sizes)
            if connected:
                sock.connect(to)
                for data in all_of_them:
                    sock.send(data)
            else:
                for data in all_of_them:
                    sock.sendto(data, to)
            spin()
        for data in all_of_them:
            total = zlib.crc32(b"%d:" % len(data) + data, total)
        judge(name, stream, total)


def send_stream(name: str, address: str, port: int) -> None:
    with socket.create_connection((address, port)) as stream:
        pieces = datagrams(WRITES)
        stream.sendall(b"tcp %d\n" % sum(WRITES))
        for data in pieces:
            stream.sendall(data)
        spin()
        judge(name, stream, zlib.crc32(b"".join(pieces)))


def wait_for(address: str, port: int) -> None:
    while True:
        with socket.socket(family_of(address)) as sock:
            sock.settimeout(1)
            if sock.connect_ex((address, port)) == 0:
                return
        time.sleep(0.05)


def main() -> None:
    if sys.argv[1] == "server":
        serve(int(sys.argv[2]))
    address, port = sys.argv[2], int(sys.argv[3])
    if sys.argv[1] == "wait":
        wait_for(address, port)
        return
    send_datagrams("few", address, port, [100] * 5, connected=True)
    send_datagrams("many", address, port, SIZES, connected=True)
    send_datagrams("unconnected", address, port, SIZES, connected=False)
    send_stream("stream", address, port)


main()
