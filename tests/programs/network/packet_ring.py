"""PACKET_RX_RING: frames in memory that the kernel and a reader share."""

import errno
import mmap
import select
import socket
import struct

SOL_PACKET = 263
RX_RING, STATISTICS, VERSION, HDRLEN, RESERVE = 5, 6, 10, 11, 12
BLOCK, BLOCKS, FRAME = 4096, 2, 1024
FRAMES = BLOCK * BLOCKS // FRAME


def attempt(what, call, *arguments):
    try:
        print(what, call(*arguments))
    except OSError as error:
        print(what, errno.errorcode[error.errno])


def request(block=BLOCK, blocks=BLOCKS, frame=FRAME, frames=FRAMES):
    return struct.pack("4I", block, blocks, frame, frames)


def slot(ring, index):
    """Status, lengths, offsets, and the struct sockaddr_ll of a slot."""
    at = index * FRAME
    status, length, kept, mac, net = struct.unpack_from("IIIHH", ring, at)
    address = struct.unpack_from("=HHiHBB8s", ring, at + 32)
    return status, length, kept, mac, net, address, bytes(ring[at + mac : at + mac + kept])


def show(ring, index):
    status, length, kept, mac, net, address, data = slot(ring, index)
    interesting = status & (1 | 4)
    print(index, interesting, length, kept, mac, net, address[:6], data[-8:])


def refused(sock):
    attempt("v3 header", sock.getsockopt, SOL_PACKET, HDRLEN, 4)
    attempt("bad version", sock.setsockopt, SOL_PACKET, VERSION, 7)
    attempt("map", mmap.mmap, sock.fileno(), BLOCK)
    for bad in (
        request(block=1000),
        request(frame=20),
        request(frame=1020),
        request(frames=FRAMES + 1),
        request(block=4096, frame=8192),
        request(blocks=0),
        b"short",
    ):
        attempt("bad ring", sock.setsockopt, SOL_PACKET, RX_RING, bad)


def main():
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    sock.bind(("lo", 0x0800))
    refused(sock)
    sock.setsockopt(SOL_PACKET, VERSION, 1)
    sock.setsockopt(SOL_PACKET, RX_RING, request())
    attempt("again", sock.setsockopt, SOL_PACKET, RX_RING, request())
    attempt("version with a ring", sock.setsockopt, SOL_PACKET, VERSION, 0)
    attempt("reserve with a ring", sock.setsockopt, SOL_PACKET, RESERVE, 16)
    ring = mmap.mmap(sock.fileno(), BLOCK * BLOCKS)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    print("poll", poll.poll(0))
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 5555))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.1", 5556))
    sender.sendto(b"first..8", receiver.getsockname())
    print("poll", [events for _, events in poll.poll(5000)])
    show(ring, 0)
    sender.sendto(b"x" * 2000 + b"a large", receiver.getsockname())
    show(ring, 1)
    struct.pack_into("I", ring, 0, 0)
    struct.pack_into("I", ring, FRAME, 0)
    print("poll", poll.poll(0))
    for number in range(FRAMES + 3):
        sender.sendto(b"number%02d" % number, receiver.getsockname())
    for index in range(FRAMES):
        show(ring, index)
    print(struct.unpack("II", sock.getsockopt(SOL_PACKET, STATISTICS, 8)))
    struct.pack_into("I", ring, 2 * FRAME, 0)
    sender.sendto(b"after it", receiver.getsockname())
    show(ring, 2)
    ring.close()
    sock.setsockopt(SOL_PACKET, RX_RING, request(0, 0, 0, 0))
    sender.sendto(b"by queue", receiver.getsockname())
    print(sock.recv(2000)[-8:])


main()
