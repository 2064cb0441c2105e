"""rtnetlink by hand: dumps, single answers, errors, groups, and requests that make no sense."""

import errno
import fcntl
import random
import select
import socket
import struct


def request(kind, flags, payload, sequence=7):
    return struct.pack("IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


def messages(sock):
    """Return kind, flags and payload of what comes, up to the end of a dump."""
    found = []
    while True:
        data = sock.recv(65536)
        while data:
            size, kind, flags = struct.unpack_from("IHH", data)
            found.append((kind, flags, data[16:size]))
            data = data[(size + 3) & ~3 :]
        if found[-1][0] in (2, 3) or not found[-1][1] & 2:
            return found


def attributes(payload, at):
    found = {}
    while at + 4 <= len(payload):
        size, kind = struct.unpack_from("HH", payload, at)
        found[kind & 0x3FFF] = payload[at + 4 : at + size]
        at += (size + 3) & ~3
    return found


def attempt(label, call, *arguments):
    try:
        print(label, call(*arguments))
    except OSError as error:
        print(label, errno.errorcode[error.errno])


sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
sock.settimeout(3)
print(sock.getsockname())
sock.bind((0, 0))
print(sock.getsockname()[0] > 0, sock.getsockname()[1])

print("-- dumps")
for title, kind, size, wanted in (
    ("link", 18, 16, (3, 4, 13, 16, 17, 1, 2, 27, 33)),
    ("addr", 22, 8, (1, 2, 3, 8)),
    ("route", 26, 12, (1, 4, 5, 6, 7, 15)),
    ("rule", 34, 12, (6, 15)),
    ("neigh", 30, 12, (1,)),
):
    family = b"\2" if title == "rule" else b"\0"
    sock.send(request(kind, 0x301, family + bytes(size - 1)))
    for kind, flags, payload in sorted(messages(sock)):
        if kind == 3:
            print(title, "done", flags, payload.hex())
            continue
        found = attributes(payload, size)
        print(
            title,
            kind,
            flags,
            payload[:size].hex(),
            {k: found[k].hex() for k in wanted if k in found},
        )

print("-- single")
sock.send(request(18, 5, struct.pack("BxHiII", 0, 0, 1, 0, 0)))
print([(kind, attributes(payload, 16).get(3)) for kind, _, payload in messages(sock)])
print([(kind, payload[:4]) for kind, _, payload in messages(sock)])
sock.send(
    request(18, 1, struct.pack("BxHiII", 0, 0, 0, 0, 0) + struct.pack("HH", 7, 3) + b"lo\0\0")
)
print([(kind, attributes(payload, 16).get(3)) for kind, _, payload in messages(sock)])

print("-- errors")
for label, data in (
    ("no such index", request(18, 1, struct.pack("BxHiII", 0, 0, 99, 0, 0))),
    ("no such name", request(18, 1, bytes(16) + struct.pack("HH", 8, 3) + b"abc\0")),
    ("no name", request(18, 1, bytes(16))),
    ("short", request(18, 1, b"\0\0")),
    ("unknown kind", request(250, 1, bytes(16))),
    ("acknowledged noop", request(1, 5, b"")),
    (
        "delete missing address",
        request(
            21, 5, struct.pack("BBBBi", 2, 32, 0, 0, 1) + struct.pack("HH4s", 8, 2, b"\1\2\3\4")
        ),
    ),
    (
        "delete missing route",
        request(
            25,
            5,
            struct.pack("8BI", 2, 24, 0, 0, 254, 0, 0, 0, 0)
            + struct.pack("HH4s", 8, 1, b"\1\2\3\0"),
        ),
    ),
    (
        "route without device",
        request(
            24,
            0x405,
            struct.pack("8BI", 2, 24, 0, 0, 254, 3, 0, 1, 0)
            + struct.pack("HH4s", 8, 1, b"\1\2\3\0"),
        ),
    ),
    (
        "route through nowhere",
        request(
            24,
            0x405,
            struct.pack("8BI", 2, 24, 0, 0, 254, 3, 0, 1, 0)
            + struct.pack("HH4sHH4s", 8, 1, b"\1\2\3\0", 8, 5, b"\x0a\0\0\1"),
        ),
    ),
    ("bad prefix", request(24, 0x405, struct.pack("8BI", 2, 40, 0, 0, 254, 3, 0, 1, 0))),
):
    sock.send(data)
    for kind, flags, payload in messages(sock):
        code = struct.unpack_from("i", payload)[0]
        print(label, kind, flags, errno.errorcode.get(-code, code), len(payload))
sock.send(b"\1\2\3")
sock.send(struct.pack("IHHII", 5, 18, 1, 0, 0))
sock.send(struct.pack("IHHII", 500, 18, 1, 0, 0))
print(select.select([sock], [], [], 0.1)[0])

print("-- changes")
group = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
group.settimeout(3)
group.bind((0, 1 << 4 | 1 << 6))
payload = struct.pack("BBBBi", 2, 24, 0, 0, 1) + struct.pack("HH4s", 8, 2, b"\x0a\1\2\3")
for flags, kind in ((0x605, 20), (0x605, 20), (5, 21)):
    sock.send(request(kind, flags, payload))
    print([struct.unpack_from("i", payload)[0] for _, _, payload in messages(sock)])
seen = []
while select.select([group], [], [], 0.2)[0]:
    data = group.recv(65536)
    seen.append(struct.unpack_from("H", data, 4)[0])
print(sorted(seen))
sock.setsockopt(270, 1, 5)
print(sock.getsockopt(270, 9, 8).hex())
sock.setsockopt(270, 2, 5)
print(sock.getsockopt(270, 9, 8).hex())
attempt("bad group", sock.setsockopt, 270, 1, 0)
attempt("bad option", sock.setsockopt, 270, 99, 1)
attempt("bad level", sock.setsockopt, 271, 1, 1)
attempt("stream", socket.socket, socket.AF_NETLINK, socket.SOCK_STREAM, 0)
attempt("protocol", socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 31)
attempt("peer", sock.getpeername)
attempt("listen", sock.listen)
attempt("to another", sock.sendto, b"x" * 20, (sock.getsockname()[0] + 1000000, 0))

print("-- noise")
noise = random.Random(1)
for _ in range(300):
    size = noise.randrange(0, 60)
    data = request(
        noise.choice((18, 20, 21, 22, 24, 25, 26, 28, 29, 30, 34)), 1, noise.randbytes(size)
    )
    try:
        sock.send(data[: noise.randrange(len(data) + 1)] if noise.random() < 0.2 else data)
        while select.select([sock], [], [], 0)[0]:
            sock.recv(65536)
    except OSError as error:
        # A dump that could not begin is an error of the next call.
        if error.errno not in (errno.ENODATA, errno.ENOBUFS, errno.EINVAL):
            raise
print("alive")

print("-- ioctl")
inet = socket.socket()
for request_ in (0x8913, 0x8915, 0x8917, 0x8919, 0x891B, 0x891D, 0x8921, 0x8927, 0x8933, 0x8942):
    try:
        print(hex(request_), fcntl.ioctl(inet, request_, b"lo".ljust(40, b"\0"))[16:32].hex())
    except OSError as error:
        print(hex(request_), errno.errorcode[error.errno])
attempt("no device", fcntl.ioctl, inet, 0x8913, b"no".ljust(40, b"\0"))
print(fcntl.ioctl(inet, 0x8910, bytes(16) + struct.pack("i20x", 1))[:4])
attempt("no ioctl", fcntl.ioctl, inet, 0x5500, bytes(40))
