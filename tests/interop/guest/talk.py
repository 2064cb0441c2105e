"""Both ends of conversations over TCP, which check each other.

    talk.py server PORT                        serves all cases, IPv4 and IPv6, until it is killed
    talk.py client HOST PORT CASE[=NUMBER]...  has the named conversations, and prints a line each

The first line of a connection names the case and its number (of bytes, mostly).
"""

import hashlib
import os
import select
import socket
import struct
import sys
import threading
import time
import traceback

TIMEOUT_S = 50.0
BLOCK = 65536
SIOCATMARK = 0x8905


def pattern(count, salt):
    """Return bytes in which nothing may be missing, doubled or in the wrong place unnoticed."""
    out = bytearray()
    number = 0
    while len(out) < count:
        out += hashlib.sha256(b"%s %d" % (salt, number)).digest() * 64
        number += 1
    return bytes(out[:count])


def read_exactly(sock, count):
    parts = []
    while count:
        part = sock.recv(min(count, BLOCK))
        if not part:
            raise EOFError(f"{count} bytes are missing")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_to_end(sock):
    parts = []
    while part := sock.recv(BLOCK):
        parts.append(part)
    return b"".join(parts)


def expect(found, wanted):
    if found != wanted:
        size = f"{len(found)} bytes, wanted {len(wanted)}" if isinstance(found, bytes) else ""
        raise AssertionError(f"{found!r:.100} is not {wanted!r:.100} {size}")


def in_thread(function, *arguments):
    failures = []

    def call():
        try:
            function(*arguments)
        except (AssertionError, EOFError, OSError) as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()

    def join():
        thread.join()
        if failures:
            raise failures[0]

    return join


# --- cases: one function each end ---


def bulk_both(sock, number, mine, theirs):
    """Data both ways at the same time."""
    join = in_thread(sock.sendall, pattern(number, mine))
    expect(read_exactly(sock, number), pattern(number, theirs))
    join()


def bulk_client(sock, number):
    bulk_both(sock, number, b"client", b"server")
    sock.shutdown(socket.SHUT_WR)
    expect(read_to_end(sock), b"")


def bulk_server(sock, number):
    bulk_both(sock, number, b"server", b"client")
    expect(read_to_end(sock), b"")


def half_client(sock, number):
    """The client has said all before the server begins; then the server stops, and listens."""
    sock.sendall(pattern(number, b"question"))
    sock.shutdown(socket.SHUT_WR)
    expect(read_to_end(sock), pattern(number, b"answer"))


def half_server(sock, number):
    expect(read_to_end(sock), pattern(number, b"question"))
    time.sleep(0.1)  # in FIN_WAIT2 meanwhile
    sock.sendall(pattern(number, b"answer"))


def half_back_client(sock, number):
    expect(read_to_end(sock), b"enough")
    time.sleep(0.1)  # the server is in FIN_WAIT2 meanwhile
    sock.sendall(pattern(number, b"question"))
    sock.shutdown(socket.SHUT_WR)


def half_back_server(sock, number):
    sock.sendall(b"enough")
    sock.shutdown(socket.SHUT_WR)
    expect(read_to_end(sock), pattern(number, b"question"))


def send_urgent(sock, number):
    for _ in range(number):
        sock.sendall(b"before")
        sock.send(b"!", socket.MSG_OOB)
        sock.sendall(b"after")
        expect(read_exactly(sock, 2), b"ok")  # one urgent byte at a time


def read_urgent(sock, number):
    """Byte out of band, mark in the stream."""
    import fcntl

    for _ in range(number):
        if not select.select([], [], [sock], TIMEOUT_S)[2]:
            raise TimeoutError("no urgent data")
        expect(read_exactly(sock, 6), b"before")
        mark = struct.unpack("i", fcntl.ioctl(sock, SIOCATMARK, bytes(4)))[0]
        expect(mark, 1)
        expect(sock.recv(1, socket.MSG_OOB), b"!")
        expect(read_exactly(sock, 5), b"after")
        sock.sendall(b"ok")


def read_urgent_inline(sock, number):
    """The urgent byte stays in the stream, and a read does not cross the mark."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    sock.sendall(b"go")
    for _ in range(number):
        found = []
        while sum(map(len, found)) < 12:
            found.append(sock.recv(100))
        expect(b"".join(found), b"before!after")
        boundary = [len(b"".join(found[:i])) for i in range(len(found))]
        if 6 not in boundary:
            raise AssertionError(f"a read crossed the mark: {found}")
        sock.sendall(b"ok")


def urgent_client(sock, number):
    send_urgent(sock, number)
    read_urgent(sock, number)


def urgent_server(sock, number):
    read_urgent(sock, number)
    send_urgent(sock, number)


def inline_client(sock, number):
    expect(read_exactly(sock, 2), b"go")
    send_urgent(sock, number)
    read_urgent_inline(sock, number)


def inline_server(sock, number):
    read_urgent_inline(sock, number)
    expect(read_exactly(sock, 2), b"go")
    send_urgent(sock, number)


def slow_client(sock, number):
    """The reader sleeps until the window has long been closed, twice; then the other way round."""
    sock.sendall(pattern(number, b"slow"))
    expect(read_exactly(sock, 4), b"done")
    read_slowly(sock, number)
    sock.sendall(b"done")


def slow_server(sock, number):
    read_slowly(sock, number)
    sock.sendall(b"done")
    sock.sendall(pattern(number, b"slow"))
    expect(read_exactly(sock, 4), b"done")


def read_slowly(sock, number):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
    time.sleep(0.7)
    data = read_exactly(sock, number // 2)
    time.sleep(0.7)
    data += read_exactly(sock, number - number // 2)
    expect(data, pattern(number, b"slow"))


def reset_client(sock, number):
    """SO_LINGER with zero: the peer gets a reset, either way."""
    expect(read_exactly(sock, 2), b"go")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def reset_server(sock, number):
    sock.sendall(b"go")
    expect_reset(sock)


def reset_back_client(sock, number):
    sock.sendall(b"go")
    expect_reset(sock)


def reset_back_server(sock, number):
    reset_client(sock, number)


def expect_reset(sock):
    """Wait for a reset; as it may be lost, send what makes the peer send another one."""
    sock.settimeout(0.3)
    try:
        for _ in range(int(TIMEOUT_S)):
            try:
                found = sock.recv(1)
            except TimeoutError:
                sock.send(b"?")
            else:
                raise AssertionError(f"no reset: {found!r}")
    except ConnectionResetError:
        return
    raise TimeoutError("no reset")


def small_client(sock, number):
    """Requests and answers of a few bytes, one after the other."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(number):
        sock.sendall(b"%08d" % i)
        expect(read_exactly(sock, 8), b"%08d" % (i + 1))


def small_server(sock, number):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(number):
        expect(read_exactly(sock, 8), b"%08d" % i)
        sock.sendall(b"%08d" % (i + 1))


def many_client(sock, number, address):
    """Connections one after the other, and as many at the same time."""
    sock.close()
    for i in range(number):
        with connect(address, "echo", 0) as one:
            one.sendall(b"%d" % i)
            one.shutdown(socket.SHUT_WR)
            expect(read_to_end(one), b"%d" % i)
    together = [connect(address, "echo", 0) for _ in range(number)]
    for i, one in enumerate(together):
        one.sendall(pattern(2000 + i, b"many"))
    for i, one in enumerate(together):
        one.shutdown(socket.SHUT_WR)
        expect(read_to_end(one), pattern(2000 + i, b"many"))
        one.close()


def echo_client(sock, number):
    sock.sendall(b"echo")
    sock.shutdown(socket.SHUT_WR)
    expect(read_to_end(sock), b"echo")


def many_server(sock, number):
    expect(read_to_end(sock), b"")


def echo_server(sock, number):
    sock.sendall(read_to_end(sock))


def set_keepalive(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)


def idle_client(sock, number):
    """Keepalive probes keep an idle connection, as long as the peer answers."""
    set_keepalive(sock)
    time.sleep(number)
    sock.sendall(b"still here")
    expect(read_exactly(sock, 10), b"still here")


def idle_server(sock, number):
    set_keepalive(sock)
    expect(read_exactly(sock, 10), b"still here")
    sock.sendall(b"still here")


def dead_client(sock, number):
    """The network is cut: keepalive ends both ends with ETIMEDOUT."""
    set_keepalive(sock)
    expect(read_exactly(sock, 5), b"ready")
    report("ready")
    expect_timeout(sock)


def dead_server(sock, number):
    set_keepalive(sock)
    sock.sendall(b"ready")
    expect_timeout(sock)
    report("the server timed out")


def expect_timeout(sock):
    begun = time.monotonic()
    try:
        found = sock.recv(1)
    except TimeoutError:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise AssertionError("SO_ERROR was not cleared") from None
        # The network is cut after some two seconds; then a probe, another one, and a last second.
        taken = time.monotonic() - begun
        if not 3.5 < taken < 8.0:
            raise AssertionError(f"timed out after {taken} s") from None
        return
    raise AssertionError(f"no timeout: {found!r}")


# --- ends ---


def report(text):
    print(text, flush=True)


def connect(address, case, number):
    sock = socket.create_connection(address, TIMEOUT_S)
    # Receive with the kernel's own blocking; the time limit is an option of the socket.
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", int(TIMEOUT_S), 0))
    sock.sendall(f"{case} {number}\n".encode())
    return sock


def have(address, case, number):
    begun = time.monotonic()
    with connect(address, case, number) as sock:
        arguments = (address,) if case == "many" else ()
        globals()[f"{case}_client"](sock, number, *arguments)
    print(f"{case} {time.monotonic() - begun:.2f} s", file=sys.stderr)
    report(f"{case} ok")


def serve(sock):
    line = b""
    try:
        with sock:
            while not line.endswith(b"\n"):
                byte = sock.recv(1)
                if not byte:
                    return  # somebody looked whether we are there
                line += byte
            case, number = line.split()
            globals()[f"{case.decode()}_server"](sock, int(number))
    except (AssertionError, EOFError, OSError):
        print(f"in {line!r}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)


def main(words):
    if words[0] == "server":
        server = socket.create_server(
            ("::", int(words[1])), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256
        )
        while True:
            sock, _ = server.accept()
            threading.Thread(target=serve, args=(sock,), daemon=True).start()
    address = (words[1], int(words[2]))
    threads = []
    for word in words[3:]:
        case, _, number = word.partition("=")
        threads.append(in_thread(have, address, case, int(number or 0)))
    failed = 0
    for word, join in zip(words[3:], threads, strict=True):
        try:
            join()
        except (AssertionError, EOFError, OSError):
            print(f"in {word}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            failed = 1
    return failed


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)
