"""TCP over loopback: echo, large transfers, half close, resets, urgent data, shutdown, names."""

import errno
import os
import select
import signal
import socket
import struct
import threading
import time


def name(error):
    return errno.errorcode.get(error.errno, type(error).__name__)


def attempt(label, call, *arguments):
    try:
        print(label, call(*arguments))
    except OSError as error:
        print(label, name(error))


def pair(backlog=5):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(backlog)
    client = socket.create_connection(listener.getsockname())
    server, address = listener.accept()
    assert address == client.getsockname()
    assert server.getpeername() == client.getsockname()
    assert server.getsockname() == client.getpeername() == listener.getsockname()
    listener.close()
    return client, server


def echo_of_much():
    client, server = pair()

    def echo():
        while data := server.recv(65536):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=echo)
    thread.start()
    blob = os.urandom(1 << 20)
    writer = threading.Thread(
        target=lambda: (client.sendall(blob), client.shutdown(socket.SHUT_WR))
    )
    writer.start()
    got = bytearray()
    while data := client.recv(1 << 17):
        got += data
    print("echo", got == blob)
    thread.join()
    writer.join()


def half_close():
    client, server = pair()
    client.sendall(b"request")
    client.shutdown(socket.SHUT_WR)
    print(server.recv(100), server.recv(100))
    server.sendall(b"late answer")
    print(client.recv(100))
    attempt("send after shutdown", client.send, b"x")
    attempt("again", client.shutdown, socket.SHUT_WR)
    server.close()
    print(client.recv(100))
    attempt("shut both", client.shutdown, socket.SHUT_RDWR)


def flags():
    client, server = pair()
    client.sendall(b"abcdef")
    select.select([server], [], [])
    print(server.recv(3, socket.MSG_PEEK), server.recv(3), server.recv(10))
    attempt("dontwait", server.recv, 10, socket.MSG_DONTWAIT)
    threading.Timer(0.2, lambda: client.sendall(b"world")).start()
    client.sendall(b"hello")
    print(server.recv(10, socket.MSG_WAITALL))
    client.sendall(b"discarded!kept")
    select.select([server], [], [])
    print(len(server.recv(10, socket.MSG_TRUNC)), server.recv(10))
    client.send(b"a", socket.MSG_MORE)
    client.send(b"b")
    print(server.recv(2, socket.MSG_WAITALL))
    attempt("none", server.recv, 0, socket.MSG_DONTWAIT)


def urgent():
    client, server = pair()
    attempt("no oob", server.recv, 1, socket.MSG_OOB)
    client.send(b"ab")
    client.send(b"c!", socket.MSG_OOB)
    client.send(b"de")
    poll = select.poll()
    poll.register(server, select.POLLIN | select.POLLPRI)
    print([event for _, event in poll.poll(1000)])
    print(server.recv(1, socket.MSG_OOB), server.recv(10), server.recv(10))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    client.send(b"x", socket.MSG_OOB)
    select.select([server], [], [])
    print(server.recv(10))


def marks():
    """No read crosses the mark, whatever it asks for."""
    for inline in (0, 1):
        client, server = pair()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, inline)
        for flag in (0, socket.MSG_PEEK, socket.MSG_WAITALL):
            client.send(b"before!", socket.MSG_OOB)
            client.send(b"after")
            client.send(b"wards")
            time.sleep(0.05)
            print(inline, flag, server.recv(100, flag if flag != socket.MSG_WAITALL else 0))
            if flag == socket.MSG_PEEK:
                print(server.recv(100))
            print(server.recv(1, socket.MSG_PEEK), server.recv(100, socket.MSG_PEEK))
            print(server.recv(10 + inline, flag & socket.MSG_WAITALL))
        threading.Timer(0.2, lambda c=client: c.send(b"more!", socket.MSG_OOB)).start()
        client.sendall(b"some")
        print(server.recv(20, socket.MSG_WAITALL))


def resets():
    client, server = pair()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    attempt("after reset", client.recv, 10)
    attempt("then", client.recv, 10)
    attempt("send", client.send, b"x")
    client, server = pair()
    client.sendall(b"unread")
    select.select([server], [], [])
    server.close()
    attempt("unread data", client.recv, 10)
    client, server = pair()
    server.close()
    print(client.recv(10))
    client.send(b"x")
    poll = select.poll()
    poll.register(client, select.POLLIN | select.POLLRDHUP)
    print([event for _, event in poll.poll(1000)])
    attempt("broken pipe", client.send, b"x")


def broken_pipe_signal():
    client, server = pair()
    server.close()
    seen = []
    signal.signal(signal.SIGPIPE, lambda *_: seen.append(1))
    client.send(b"x")
    select.select([client], [], [])
    for flag in (0, socket.MSG_NOSIGNAL):
        attempt("pipe", client.send, b"x", flag)
        print(len(seen))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def errors():
    sock = socket.socket()
    attempt("recv unconnected", sock.recv, 1)
    attempt("send unconnected", sock.send, b"x")
    attempt("peer", sock.getpeername)
    print(sock.getsockname())
    attempt("shutdown", sock.shutdown, socket.SHUT_RD)
    attempt("accept", sock.accept)
    attempt("refused", sock.connect, ("127.0.0.1", 1))
    attempt("unreachable", sock.connect, ("192.0.2.1", 1))
    attempt("bind foreign", sock.bind, ("192.0.2.1", 0))
    sock.bind(("127.0.0.1", 0))
    attempt("bind twice", sock.bind, ("127.0.0.1", 0))
    other = socket.socket()
    sock.listen()
    attempt("in use", other.bind, sock.getsockname())
    attempt("in use by any", other.bind, ("0.0.0.0", sock.getsockname()[1]))
    attempt("connect a listener", sock.connect, ("127.0.0.1", 1))
    attempt("listen again", sock.listen, 1)
    attempt("send on listener", sock.send, b"x")
    attempt("recv on listener", sock.recv, 1)
    for kind, protocol in ((1, 17), (2, 6), (5, 0), (9, 0), (3, 0), (1, 999), (1, -1)):
        attempt(f"socket {kind} {protocol}", socket.socket, 2, kind, protocol)
    attempt("pair", lambda: socket.socketpair(socket.AF_INET))


def many():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    clients = [socket.create_connection(listener.getsockname()) for _ in range(100)]
    servers = [listener.accept()[0] for _ in clients]
    for index, client in enumerate(clients):
        client.sendall(b"%d" % index)
    print(sum(int(server.recv(10)) for server in servers))
    for sock in servers + clients:
        sock.close()


def listener_shutdown():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    threading.Timer(0.2, lambda: listener.shutdown(socket.SHUT_RD)).start()
    attempt("accept ends", listener.accept)
    attempt("connect now", socket.create_connection, listener.getsockname())


def vectors():
    client, server = pair()
    print(client.sendmsg([b"one", b"two", b"three"]))
    select.select([server], [], [])
    parts = [bytearray(4), bytearray(20)]
    size, control, flags_, address = server.recvmsg_into(parts)
    print(size, control, flags_, address, bytes(parts[0]), bytes(parts[1][: size - 4]))
    os.write(client.fileno(), b"written")
    print(os.read(server.fileno(), 100))
    with open(__file__, "rb") as file:
        print(os.sendfile(client.fileno(), file.fileno(), 0, 30), server.recv(30))


signal.signal(signal.SIGPIPE, signal.SIG_IGN)
for test in (
    echo_of_much,
    half_close,
    flags,
    urgent,
    marks,
    resets,
    broken_pipe_signal,
    errors,
    many,
    listener_shutdown,
    vectors,
):
    print(f"-- {test.__name__}")
    test()
