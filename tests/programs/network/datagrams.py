"""UDP: sizes, truncation, connected sockets, errors, broadcast, sharing of ports, ancillary data."""

import errno
import os
import select
import socket
import struct
import threading


def attempt(label, call, *arguments):
    try:
        print(label, call(*arguments))
    except OSError as error:
        print(label, errno.errorcode.get(error.errno, type(error).__name__))


def bound(family=socket.AF_INET, host="127.0.0.1"):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(2)
    return sock


def basics():
    first, second = bound(), bound()
    for size in (0, 1, 1472, 1473, 20000, 65507, 65508, 70000):
        attempt(size, first.sendto, b"x" * size, second.getsockname())
    for _ in range(6):
        data, address = second.recvfrom(70000)
        print(len(data), address == first.getsockname())
    first.sendto(b"long message", second.getsockname())
    first.sendto(b"next", second.getsockname())
    print(second.recvmsg(4, 0)[::2], second.recv(10))


def truncation():
    first, second = bound(), bound()
    first.sendto(b"long message", second.getsockname())
    print(second.recv(4, socket.MSG_PEEK))
    buffer = bytearray(4)
    print(second.recv_into(buffer, 4, socket.MSG_TRUNC), buffer)
    attempt("empty", second.recv, 10, socket.MSG_DONTWAIT)
    first.sendto(b"", second.getsockname())
    print(select.select([second], [], [], 1)[0] == [second], second.recv(10))


def connected():
    first, second, third = bound(), bound(), bound()
    attempt("no peer", first.send, b"x")
    attempt("no peer name", first.getpeername)
    first.connect(second.getsockname())
    print(first.getpeername() == second.getsockname(), first.send(b"hi"), second.recv(10))
    third.sendto(b"not for you", first.getsockname())
    second.sendto(b"for you", first.getsockname())
    print(first.recv(20))
    second.close()
    first.send(b"into the void")
    attempt("refused", first.recv, 10)
    first.send(b"again")
    attempt("refused on send", first.send, b"x")
    attempt("shutdown", first.shutdown, socket.SHUT_WR)
    attempt("send after", first.send, b"x")
    attempt("unconnected shutdown", third.shutdown, socket.SHUT_RD)
    lonely = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print(lonely.getsockname())
    lonely.connect(("127.0.0.1", 9))
    print(lonely.getsockname()[0], lonely.getsockname()[1] > 0)


def errors():
    sock = bound()
    attempt("port 0", sock.sendto, b"x", ("127.0.0.1", 0))
    attempt("no route", sock.sendto, b"x", ("192.0.2.1", 9))
    attempt("broadcast", socket.socket(2, 2).sendto, b"x", ("255.255.255.255", 9))
    attempt("lo broadcast", sock.sendto, b"x", ("127.255.255.255", 9))
    attempt("listen", sock.listen, 1)
    attempt("accept", sock.accept)
    attempt("oob", sock.send, b"x", socket.MSG_OOB)
    attempt("second bind", sock.bind, ("127.0.0.1", 0))
    attempt("taken", socket.socket(2, 2).bind, sock.getsockname())
    sock.setsockopt(1, socket.SO_BROADCAST, 1)
    attempt("allowed", sock.sendto, b"x", ("127.255.255.255", 9))


def sharing():
    socks = [socket.socket(2, 2) for _ in range(4)]
    for sock in socks:
        sock.setsockopt(1, socket.SO_REUSEPORT, 1)
    socks[0].bind(("127.0.0.1", 0))
    port = socks[0].getsockname()[1]
    for sock in socks[1:]:
        sock.bind(("127.0.0.1", port))
    for index in range(64):
        with socket.socket(2, 2) as sender:
            sender.sendto(b"%d" % index, ("127.0.0.1", port))
    counts = []
    for sock in socks:
        count = 0
        while select.select([sock], [], [], 0)[0]:
            sock.recv(10)
            count += 1
        counts.append(count)
    print(sum(counts), sum(1 for count in counts if count) > 1)
    outsider = socket.socket(2, 2)
    attempt("without the option", outsider.bind, ("127.0.0.1", port))
    outsider.setsockopt(1, socket.SO_REUSEADDR, 1)
    attempt("with another", outsider.bind, ("127.0.0.1", port))


def ancillary():
    first, second = bound(), bound()
    for level, option in ((0, 8), (0, 12), (0, 13), (0, 20)):
        second.setsockopt(level, option, 1)
    first.setsockopt(0, socket.IP_TOS, 0x20)
    first.setsockopt(0, socket.IP_TTL, 77)
    first.sendto(b"x", second.getsockname())
    _, control, flags, _ = second.recvmsg(10, 200)
    for level, kind, data in control:
        if kind == 20:
            data = data[:2] + data[4:]
        print(level, kind, data.hex())
    print(flags)
    first.sendmsg(
        [b"y"],
        [(0, socket.IP_TTL, struct.pack("i", 3)), (0, 1, struct.pack("i", 8))],
        0,
        second.getsockname(),
    )
    print([(kind, data.hex()) for _, kind, data in second.recvmsg(10, 200)[1] if kind in (1, 2)])
    info = struct.pack("i4s4s", 0, socket.inet_aton("127.0.0.9"), bytes(4))
    first.sendmsg([b"z"], [(0, 8, info)], 0, second.getsockname())
    print(second.recvmsg(10, 20)[2:][0], end=" ")
    second.setsockopt(1, 29, 1)
    first.sendto(b"t", second.getsockname())
    kinds = [(level, kind, len(data)) for level, kind, data in second.recvmsg(10, 300)[1]]
    print(kinds)
    attempt(
        "bad ttl", first.sendmsg, [b"x"], [(0, 2, struct.pack("i", 0))], 0, second.getsockname()
    )
    attempt("bad kind", first.sendmsg, [b"x"], [(0, 99, b"1234")], 0, second.getsockname())
    attempt("bad level", first.sendmsg, [b"x"], [(99, 2, b"1234")], 0, second.getsockname())


def ancillary6():
    first, second = bound(socket.AF_INET6, "::1"), bound(socket.AF_INET6, "::1")
    for option in (49, 51, 66):
        second.setsockopt(41, option, 1)
    first.setsockopt(41, 67, 0x40)
    first.sendmsg([b"x"], [(41, 52, struct.pack("i", 9))], 0, second.getsockname())
    for level, kind, data in second.recvmsg(10, 200)[1]:
        print(level, kind, data.hex())
    both = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    both.bind(("::", 0))
    both.setsockopt(41, 49, 1)
    both.setsockopt(0, 8, 1)
    both.settimeout(2)
    bound().sendto(b"v4", ("127.0.0.1", both.getsockname()[1]))
    data, control, _, address = both.recvmsg(10, 200)
    print(data, address[0], [(level, kind, data.hex()) for level, kind, data in control])


def error_queue():
    sock = bound()
    sock.setsockopt(0, 11, 1)
    victim = bound()
    address = victim.getsockname()
    victim.close()
    sock.sendto(b"lost", address)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    print([event for _, event in poll.poll(1000)])
    attempt("error", sock.recv, 10)
    data, control, flags, target = sock.recvmsg(100, 200, socket.MSG_ERRQUEUE)
    print(data, hex(flags), target == address)
    for level, kind, blob in control:
        print(level, kind, struct.unpack_from("IBBBBII", blob), blob[16:24].hex())
    attempt("no more", sock.recvmsg, 100, 200, socket.MSG_ERRQUEUE)


def corked():
    first, second = bound(), bound()
    first.connect(second.getsockname())
    first.send(b"one ", socket.MSG_MORE)
    first.send(b"datagram")
    print(second.recv(100))
    first.setsockopt(17, 1, 1)
    first.send(b"and ")
    first.send(b"another")
    attempt("held back", second.recv, 10, socket.MSG_DONTWAIT)
    first.setsockopt(17, 1, 0)
    print(second.recv(100))


def blocking():
    sock, sender = bound(), bound()
    threading.Timer(0.1, lambda: sender.sendto(b"wake", sock.getsockname())).start()
    print(sock.recv(10))
    libc_batches(sock, sender)


def libc_batches(sock, sender):
    sender.connect(sock.getsockname())
    for index in range(5):
        sender.send(b"%d" % index)
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    print([event for _, event in poll.poll(0)], os.read(sock.fileno(), 10), sock.recv(10))


def descriptors():
    """What only sockets of AF_UNIX carry is taken no notice of, and held by nobody."""
    listener = socket.create_server(("127.0.0.1", 0))
    stream = socket.create_connection(listener.getsockname())
    sock = bound()
    sock.connect(sock.getsockname())
    for sender in (sock, stream):
        reader, writer = os.pipe()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", writer))]
        attempt("rights", sender.sendmsg, [b"x"], rights)
        os.close(writer)
        os.set_blocking(reader, False)
        attempt("end of the pipe", os.read, reader, 10)
    print(sock.recvmsg(10, 100)[:2])


for test in (
    basics,
    truncation,
    connected,
    errors,
    sharing,
    ancillary,
    ancillary6,
    error_queue,
    corked,
    blocking,
    descriptors,
):
    print(f"-- {test.__name__}")
    test()
