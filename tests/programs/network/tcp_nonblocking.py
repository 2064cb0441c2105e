"""Non-blocking TCP: connect and its errors, timeouts, poll, select and epoll at every step."""

import errno
import select
import socket
import struct
import threading
import time


def listening(backlog=5):
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(backlog)
    return listener


def events(sock, wait=0):
    poll = select.poll()
    poll.register(
        sock, select.POLLIN | select.POLLOUT | select.POLLRDHUP | select.POLLPRI | 0x40 | 0x100
    )
    return [hex(event) for _, event in poll.poll(wait)]


def code(result):
    return errno.errorcode.get(result, result)


def connect():
    listener = listening()
    sock = socket.socket()
    print("fresh", events(sock))
    sock.setblocking(False)
    print(code(sock.connect_ex(listener.getsockname())))
    print(select.select([], [sock], [], 1)[1] == [sock], sock.getsockopt(1, socket.SO_ERROR))
    print(code(sock.connect_ex(listener.getsockname())))
    print(code(sock.connect_ex(listener.getsockname())))
    print("connected", events(sock), "listener", events(listener, 1000))
    server, _ = listener.accept()
    print("empty", events(server), events(listener))
    sock.send(b"x")
    print("data", events(server, 1000))
    sock.shutdown(socket.SHUT_WR)
    print("fin", events(server, 1000), events(sock))
    server.recv(10)
    print("eof", events(server), server.recv(10))
    server.shutdown(socket.SHUT_WR)
    time.sleep(0.1)
    print("both", events(server), events(sock))


def refused():
    listener = listening()
    address = listener.getsockname()
    listener.close()
    sock = socket.socket()
    sock.setblocking(False)
    print(code(sock.connect_ex(address)), events(sock, 1000))
    print(code(sock.getsockopt(1, socket.SO_ERROR)), sock.getsockopt(1, socket.SO_ERROR))
    print(events(sock), code(sock.connect_ex(address)), code(sock.connect_ex(address)))
    sock = socket.socket()
    sock.setblocking(False)
    print(code(sock.connect_ex(address)))
    time.sleep(0.05)
    print(code(sock.connect_ex(address)))


def would_block():
    listener = listening()
    listener.setblocking(False)
    try:
        listener.accept()
    except BlockingIOError as error:
        print("accept", code(error.errno))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    print(server.getblocking(), server.gettimeout())
    client.setblocking(False)
    total = 0
    try:
        while True:
            total += client.send(b"z" * 65536)
    except BlockingIOError as error:
        print("send", code(error.errno), total > 100000)
    print("full", events(client))
    got = 0
    while got < total:
        got += len(server.recv(1 << 20))
    print(got == total, events(client, 1000))


def timeouts():
    listener = listening()
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    server.setsockopt(1, socket.SO_RCVTIMEO, struct.pack("ll", 0, 100000))
    start = time.monotonic()
    try:
        server.recv(1)
    except BlockingIOError as error:
        print(code(error.errno), 0.08 < time.monotonic() - start < 5)
    listener.setsockopt(1, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50000))
    try:
        listener.accept()
    except BlockingIOError as error:
        print(code(error.errno))
    client.setsockopt(1, socket.SO_SNDTIMEO, struct.pack("ll", 0, 50000))
    try:
        while True:
            client.sendall(b"y" * 100000)
    except BlockingIOError as error:
        print(code(error.errno))


def edge_triggered():
    listener = listening()
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    epoll = select.epoll()
    epoll.register(server, select.EPOLLIN | select.EPOLLET | select.EPOLLRDHUP)
    print(epoll.poll(0))
    client.send(b"abc")
    print([event for _, event in epoll.poll(1)], epoll.poll(0))
    client.send(b"d")
    print([event for _, event in epoll.poll(1)], server.recv(1), epoll.poll(0))
    client.close()
    print([hex(event) for _, event in epoll.poll(1)], server.recv(10), server.recv(10))
    epoll.modify(server, select.EPOLLOUT | select.EPOLLONESHOT)
    print([hex(event) for _, event in epoll.poll(1)], epoll.poll(0))


def wake_ups():
    listener = listening()
    results = []

    def accept():
        server, _ = listener.accept()
        results.append(server.recv(10))

    thread = threading.Thread(target=accept)
    thread.start()
    time.sleep(0.05)
    client = socket.create_connection(listener.getsockname())
    time.sleep(0.05)
    client.send(b"late")
    thread.join()
    print(results)


def reconnect():
    """A socket that was disconnected by AF_UNSPEC can be used again."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    listener = listening()
    sock = socket.create_connection(listener.getsockname())
    listener.accept()
    print(libc.connect(sock.fileno(), struct.pack("H14x", 0), 16))
    try:
        sock.getpeername()
    except OSError as error:
        print(code(error.errno))
    sock.connect(listener.getsockname())
    print(sock.getpeername() == listener.getsockname())


for test in (
    connect,
    refused,
    would_block,
    timeouts,
    edge_triggered,
    wake_ups,
    reconnect,
):
    print(f"-- {test.__name__}")
    test()
