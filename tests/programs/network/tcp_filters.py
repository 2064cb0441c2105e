"""Socket filters of TCP: they see segments from the TCP header on, on connections and listeners."""

import ctypes
import select
import socket
import struct
import time

SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER = 26, 27, 44
ALL = 0xFFFF
LDB, LDB_IND, LD_LEN, LDH, JEQ_X, JEQ, RSH, AND, TAX, RET = (
    0x30, 0x50, 0x80, 0x28, 0x1D, 0x15, 0x74, 0x54, 0x07, 0x06,
)  # fmt: skip


def attach(sock, *program):
    rows = [row if len(row) == 4 else (row[0], 0, 0, row[1]) for row in program]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
    fprog = struct.pack("=H6xQ", len(rows), ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)


def detach(sock):
    sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def pair(family=socket.AF_INET, host="127.0.0.1"):
    server = socket.socket(family)
    server.bind((host, 0))
    server.listen()
    client = socket.create_connection(server.getsockname()[:2])
    return server, client, server.accept()[0]


def now(sock, size=64):
    try:
        return sock.recv(size, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None


def only_what_begins_with_y(family, host):
    _, client, peer = pair(family, host)
    attach(
        peer,
        (LDB, 12), (RSH, 2), (AND, 60), (TAX, 0), (LD_LEN, 0), (JEQ_X, 2, 0, 0),
        (LDB_IND, 0), (JEQ, 0, 1, ord("y")), (RET, ALL), (RET, 0),
    )  # fmt: skip
    client.send(b"yes")
    print(peer.recv(64))
    client.send(b"no")
    time.sleep(0.05)
    print(now(peer))
    detach(peer)
    print("sent again", peer.recv(64))


def cut():
    """Headers are left whole; what is cut off comes again."""
    _, client, peer = pair()
    attach(peer, (RET, 1))
    client.send(b"abcdef")
    time.sleep(0.05)
    print(now(peer))
    attach(peer, (RET, 34))
    print(peer.recv(64))
    detach(peer)
    rest = b""
    while len(rest) < 4:
        rest += peer.recv(64)
    print(rest)


def listener():
    server, _, _ = pair()
    attach(server, (RET, 0))
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(server.getsockname())
    print(select.select([], [client], [], 0.2)[1])
    detach(server)
    print(select.select([], [client], [], 5)[1] == [client])
    print(client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))


def inherited():
    server, _, _ = pair()
    attach(server, (RET, ALL))
    server.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
    client = socket.create_connection(server.getsockname())
    peer = server.accept()[0]
    print(peer.getsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER))
    # The size of what SO_GET_FILTER gives counts instructions, so a buffer of 8 bytes will do.
    print(peer.getsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, 8).hex())
    try:
        detach(peer)
    except PermissionError as error:
        print(error)
    client.send(b"data")
    print(peer.recv(64))


def protocol():
    """What is known beside the bytes, and the IP header before them."""
    for family, host, ethertype, offset in (
        (socket.AF_INET, "127.0.0.1", 0x800, 9),
        (socket.AF_INET6, "::1", 0x86DD, 6),
    ):
        _, client, peer = pair(family, host)
        attach(
            peer,
            (LDH, 0xFFFFF000), (JEQ, 0, 3, ethertype), (LDB, 0xFFF00000 + offset), (JEQ, 0, 1, 6),
            (RET, ALL), (RET, 0),
        )  # fmt: skip
        client.send(b"seen")
        print(peer.recv(64))


only_what_begins_with_y(socket.AF_INET, "127.0.0.1")
only_what_begins_with_y(socket.AF_INET6, "::1")
cut()
listener()
inherited()
protocol()
