"""Addresses: both families, mapped ones, name resolution, what may be bound beside what."""

import ctypes
import errno
import os
import socket


def attempt(label, call, *arguments):
    try:
        print(label, call(*arguments))
    except OSError as error:
        print(label, errno.errorcode.get(error.errno, error))


def made(family, kind=socket.SOCK_STREAM, *options):
    sock = socket.socket(family, kind)
    for level, option in options:
        sock.setsockopt(level, option, 1)
    return sock


V4, V6 = socket.AF_INET, socket.AF_INET6
ONLY = (41, 26)
REUSE = (1, 2)
PORT = (1, 15)
HOSTS = {V4: ("0.0.0.0", "127.0.0.1", "127.0.0.2"), V6: ("::", "::1", "::ffff:127.0.0.1")}

print("-- bind beside")
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for first_options in ((), (REUSE,), (PORT,)):
        for second_options in ((), (REUSE,), (PORT,)):
            results = []
            for first_family in (V4, V6):
                for first_host in HOSTS[first_family]:
                    for second_family in (V4, V6):
                        for second_host in HOSTS[second_family]:
                            one = made(first_family, kind, *first_options)
                            two = made(second_family, kind, *second_options)
                            one.bind((first_host, 0))
                            try:
                                two.bind((second_host, one.getsockname()[1]))
                                results.append("y")
                            except OSError as error:
                                results.append("n" if error.errno == errno.EADDRINUSE else "?")
            print(kind.name, first_options, second_options, "".join(results))
            if kind == socket.SOCK_STREAM:
                one = made(V4, kind, *first_options)
                two = made(V4, kind, *second_options)
                one.bind(("127.0.0.1", 0))
                one.listen()
                attempt("beside a listener", two.bind, one.getsockname())

print("-- only v6")
one, two = made(V6, 1, ONLY), made(V4)
one.bind(("::", 0))
attempt("both", two.bind, ("0.0.0.0", one.getsockname()[1]))
one.listen()
attempt("mapped connect", made(V6, 1, ONLY).connect, ("::ffff:127.0.0.1", 9))
attempt("mapped bind", made(V6, 1, ONLY).bind, ("::ffff:127.0.0.1", 0))
attempt("change when bound", one.setsockopt, 41, 26, 0)
attempt("v4 client", made(V4).connect, ("127.0.0.1", one.getsockname()[1]))

print("-- names")
listener = made(V6)
listener.bind(("::", 0))
print(listener.getsockname()[0], listener.getsockname()[2:])
listener.listen()
port = listener.getsockname()[1]
for family, host in (
    (V4, "127.0.0.1"),
    (V6, "::1"),
    (V6, "::ffff:127.0.0.1"),
    (V4, "0.0.0.0"),
    (V6, "::"),
):
    client = made(family)
    client.connect((host, port))
    server, peer = listener.accept()
    print(host, client.getpeername()[0], client.getsockname()[0], peer[0], server.getsockname()[0])
sock = made(V6, 2)
sock.connect(("::ffff:127.0.0.1", 9))
print(sock.getsockname()[0], sock.getpeername()[0])

print("-- families")

libc = ctypes.CDLL(None, use_errno=True)


def raw(call, sock, data, size=None):
    ctypes.set_errno(0)
    done = call(sock.fileno(), data, len(data) if size is None else size)
    return done if done >= 0 else errno.errorcode[ctypes.get_errno()]


INET = (2).to_bytes(2, "little") + bytes(2) + bytes((127, 0, 0, 1)) + bytes(8)
INET6 = (10).to_bytes(2, "little") + bytes(6) + bytes(15) + b"\1" + bytes(4)
for family in (V4, V6):
    for kind in (1, 2):
        for title, data in (
            ("in", INET),
            ("in6", INET6),
            ("unix", b"\1\0abcdefghijklmnopqrstuvwx"),
            ("unspec", bytes(28)),
        ):
            results = []
            for size in (0, 1, 2, 8, 15, 16, 23, 24, 28):
                if size <= len(data):
                    results.append(raw(libc.bind, made(family, kind), data[:size]))
            print("bind", family.name, kind, title, *results)
            data = data[:2] + b"\0\1" + data[4:]
            results = []
            for size in (0, 1, 2, 8, 15, 16, 23, 24, 28):
                if size <= len(data):
                    results.append(raw(libc.connect, made(family, kind), data[:size]))
            print("connect", family.name, kind, title, *results)

print("-- resolver")
for host in ("localhost", "127.0.0.1", "::1", None):
    for family, *_, address in socket.getaddrinfo(host, 80, 0, socket.SOCK_STREAM):
        print(host, family.name, address[:2])
print(socket.gethostbyname("localhost"), socket.if_nameindex(), socket.if_nametoindex("lo"))
print(socket.has_dualstack_ipv6())
attempt("no such interface", socket.if_nametoindex, "nothing0")
with socket.create_server(("", 0), family=V6, dualstack_ipv6=True) as server:
    with socket.create_connection(("127.0.0.1", server.getsockname()[1])) as client:
        print(client.getpeername()[0])

print("-- privileged ports")

attempt("as root", made(V4).bind, ("127.0.0.1", 81))
os.setresuid(1000, 1000, 1000)
attempt("as a user", made(V4).bind, ("127.0.0.1", 82))
attempt("above", made(V4).bind, ("127.0.0.1", 1024))
attempt("mark", made(V4).setsockopt, 1, 36, 1)
attempt("priority", made(V4).setsockopt, 1, 12, 6)
attempt("high priority", made(V4).setsockopt, 1, 12, 7)
attempt("raw", socket.socket, V4, socket.SOCK_RAW, 1)
attempt("packet", socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0)
