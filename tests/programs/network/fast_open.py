"""TCP Fast Open (RFC 7413) over loopback: options, settings, both sides' calls."""

import errno
import select
import socket
import struct

FASTOPEN, FASTOPEN_CONNECT, KEY, NO_COOKIE = 23, 30, 33, 34
SETTING = "/proc/sys/net/ipv4/tcp_fastopen"


def tried(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def tune(name, value):
    with open(name, "w") as file:
        file.write(str(value))


def shown(name):
    with open(name) as file:
        return file.read().strip()


def counters():
    with open("/proc/net/netstat") as file:
        names, values = (line.split() for line in list(file)[:2])
    found = dict(zip(names, values, strict=True))
    return [int(found[name]) for name in (
        "TCPFastOpenActive", "TCPFastOpenActiveFail", "TCPFastOpenPassive",
        "TCPFastOpenPassiveFail", "TCPFastOpenListenOverflow", "TCPFastOpenCookieReqd",
    )]  # fmt: skip


def options():
    sock = socket.socket()
    for option in (FASTOPEN, FASTOPEN_CONNECT, NO_COOKIE):
        print(option, sock.getsockopt(6, option))
        for value in (-1, 0, 1, 2, 5, 100000):
            print(value, tried(sock.setsockopt, 6, option, value), sock.getsockopt(6, option))
    for size in (0, 4, 15, 16, 17, 32, 48):
        print(size, tried(sock.setsockopt, 6, KEY, bytes(range(size))))
        print(sock.getsockopt(6, KEY, 64).hex())
    connected = [*pair()]
    for option in (FASTOPEN, FASTOPEN_CONNECT, NO_COOKIE):
        print(option, tried(connected[1].setsockopt, 6, option, 1))
    tune(SETTING, 0)
    print(tried(socket.socket().setsockopt, 6, FASTOPEN_CONNECT, 1))
    print(tried(socket.socket().sendto, b"x", socket.MSG_FASTOPEN, ("127.0.0.1", 9)))
    tune(SETTING, 3)


def pair():
    server = listener(0)
    client = socket.create_connection(server.getsockname()[:2])
    return server, client, server.accept()[0]


def listener(queue, family=socket.AF_INET, host="127.0.0.1"):
    server = socket.socket(family)
    server.bind((host, 0))
    if queue:
        server.setsockopt(6, FASTOPEN, queue)
    server.listen()
    return server


def got(server):
    peer = server.accept()[0]
    return peer, peer.recv(100)


def options_of(sock):
    return sock.getsockopt(6, socket.TCP_INFO, 256)[5] & 32


def sending(family, host):
    server = listener(5, family, host)
    for text in (b"asks for a cookie", b"has one"):
        client = socket.socket(family)
        print(client.sendto(text, socket.MSG_FASTOPEN, server.getsockname()))
        peer, data = got(server)
        print(data, options_of(client))
        peer.send(b"answer")
        print(client.recv(100))
        print(tried(client.sendto, b"again", socket.MSG_FASTOPEN, server.getsockname()))
    client = socket.socket(family)
    print(client.sendto(bytes(100000), socket.MSG_FASTOPEN, server.getsockname()))
    peer = server.accept()[0]
    size = 0
    while size < 100000:
        size += len(peer.recv(100000))
    print(size, options_of(client))


def without_waiting():
    server = listener(5)
    for text in (b"asks for a cookie", b"has one"):
        client = socket.socket()
        client.setblocking(False)
        print(tried(client.sendto, text, socket.MSG_FASTOPEN, server.getsockname()))
        print(select.select([], [client], [], 5)[1] == [client])
        print(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        peer = server.accept()[0]
        peer.setblocking(False)
        print(tried(peer.recv, 100))


def deferred():
    server = listener(5)
    for _ in range(2):
        client = socket.socket()
        client.setsockopt(6, FASTOPEN_CONNECT, 1)
        client.connect(server.getsockname())
        print(select.select([server], [], [], 0.1)[0] == [server], tried(client.getpeername) != "")
        print(client.send(b"data"))
        print(got(server)[1], options_of(client))
    client = socket.socket()
    client.setsockopt(6, FASTOPEN_CONNECT, 1)
    client.connect(server.getsockname())
    client.setblocking(False)
    print(tried(client.connect, server.getsockname()))
    client.close()
    print(select.select([server], [], [], 0.1)[0])


def refused():
    server = listener(5)
    first = socket.socket()
    first.sendto(b"for a cookie", socket.MSG_FASTOPEN, server.getsockname())
    name = server.getsockname()
    server.close()
    for kind in range(2):
        client = socket.socket()
        if kind:
            client.setsockopt(6, FASTOPEN_CONNECT, 1)
            client.connect(name)
            print(tried(client.send, b"data"))
        else:
            print(tried(client.sendto, b"data", socket.MSG_FASTOPEN, name))
    bad = socket.socket()
    print(tried(bad.sendto, b"data", socket.MSG_FASTOPEN, ("127.0.0.1", 1)))
    print(tried(socket.socket().sendmsg, [b"data"], [], socket.MSG_FASTOPEN))


def key():
    path = "/proc/sys/net/ipv4/tcp_fastopen_key"
    tune(path, "01020304-05060708-090a0b0c-0d0e0f10")
    print(shown(path))
    print(listener(5).getsockopt(6, KEY, 64).hex())
    tune(path, "1-2-3-4,00000005-00000006-00000007-00000008")
    print(shown(path))
    for text in ("1-2-3", "x-2-3-4"):
        print(text, tried(tune, path, text))
    server = listener(5)
    server.setsockopt(6, KEY, struct.pack("<4I", 1, 2, 3, 4))
    print(server.getsockopt(6, KEY, 64).hex())


print(shown(SETTING))
tune(SETTING, 3)
for test in (options, without_waiting, deferred, refused, key):
    print("--", test.__name__)
    test()
    print(counters())
for where in ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET6, "::1")):
    print("--", where)
    sending(*where)
    print(counters())
