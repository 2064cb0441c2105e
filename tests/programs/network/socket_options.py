"""Socket options: what they are at first, what they may be set to, what they then are."""

import errno
import socket
import struct

SOCKET = {
    name: getattr(socket, name, number)
    for name, number in {
        "SO_DEBUG": 1,
        "SO_REUSEADDR": 2,
        "SO_TYPE": 3,
        "SO_DONTROUTE": 5,
        "SO_BROADCAST": 6,
        "SO_KEEPALIVE": 9,
        "SO_OOBINLINE": 10,
        "SO_NO_CHECK": 11,
        "SO_PRIORITY": 12,
        "SO_REUSEPORT": 15,
        "SO_SNDLOWAT": 19,
        "SO_TIMESTAMP": 29,
        "SO_ACCEPTCONN": 30,
        "SO_TIMESTAMPNS": 35,
        "SO_MARK": 36,
        "SO_PROTOCOL": 38,
        "SO_DOMAIN": 39,
        "SO_RXQ_OVFL": 40,
        "SO_BUSY_POLL": 46,
        "SO_INCOMING_CPU": 49,
        "SO_ZEROCOPY": 60,
        "SO_ERROR": 4,
        "no such": 200,
    }.items()
}
TCP = {
    "NODELAY": 1,
    "MAXSEG": 2,
    "CORK": 3,
    "KEEPIDLE": 4,
    "KEEPINTVL": 5,
    "KEEPCNT": 6,
    "SYNCNT": 7,
    "LINGER2": 8,
    "DEFER_ACCEPT": 9,
    "QUICKACK": 12,
    "USER_TIMEOUT": 18,
    "NOTSENT_LOWAT": 25,
    "INQ": 36,
    "no such": 250,
}
IP = {
    "TOS": 1,
    "TTL": 2,
    "HDRINCL": 3,
    "RECVOPTS": 6,
    "RETOPTS": 7,
    "PKTINFO": 8,
    "MTU_DISCOVER": 10,
    "RECVERR": 11,
    "RECVTTL": 12,
    "RECVTOS": 13,
    "MTU": 14,
    "FREEBIND": 15,
    "TRANSPARENT": 19,
    "RECVORIGDSTADDR": 20,
    "MINTTL": 21,
    "BIND_ADDRESS_NO_PORT": 24,
    "MULTICAST_TTL": 33,
    "MULTICAST_LOOP": 34,
    "MULTICAST_ALL": 49,
    "no such": 199,
}
IPV6 = {
    "UNICAST_HOPS": 16,
    "MULTICAST_IF": 17,
    "MULTICAST_HOPS": 18,
    "MULTICAST_LOOP": 19,
    "MTU_DISCOVER": 23,
    "RECVERR": 25,
    "V6ONLY": 26,
    "RECVPKTINFO": 49,
    "RECVHOPLIMIT": 51,
    "RECVTCLASS": 66,
    "TCLASS": 67,
    "AUTOFLOWLABEL": 70,
    "no such": 199,
}
VALUES = (1, 0, 5, 64, 255, 256, -1, 1000000)


def show(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def survey(family, kind, level, options):
    for title, option in options.items():
        sock = socket.socket(family, kind)
        first = show(sock.getsockopt, level, option)
        results = []
        for value in VALUES:
            done = show(sock.setsockopt, level, option, value)
            results.append(show(sock.getsockopt, level, option) if done is None else done)
        print(title, first, *results)
        print("  short", show(sock.setsockopt, level, option, b"\1"), end=" ")
        print(show(sock.setsockopt, level, option, b""))
        sock.close()


for family in (socket.AF_INET, socket.AF_INET6):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        print("--", family.name, kind.name)
        survey(family, kind, socket.SOL_SOCKET, SOCKET)
        survey(family, kind, socket.IPPROTO_TCP, TCP)
        survey(family, kind, socket.IPPROTO_IP, IP)
        survey(family, kind, socket.IPPROTO_IPV6, IPV6)
        survey(family, kind, 777, {"a level": 1})

print("-- buffers")
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    sock = socket.socket(socket.AF_INET, kind)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        values = [sock.getsockopt(1, option)]
        for size in (0, 1000, 10000, 100000):
            sock.setsockopt(1, option, size)
            values.append(sock.getsockopt(1, option))
        print(kind.name, option, values)

print("-- structs")
sock = socket.socket()
print(sock.getsockopt(1, socket.SO_LINGER, 8))
sock.setsockopt(1, socket.SO_LINGER, struct.pack("ii", 1, 5))
print(sock.getsockopt(1, socket.SO_LINGER, 8), show(sock.setsockopt, 1, socket.SO_LINGER, b"1234"))
for value in ((1, 500000), (0, 1000000), (-1, 0), (0, 0)):
    print(value, show(sock.setsockopt, 1, socket.SO_RCVTIMEO, struct.pack("ll", *value)), end=" ")
    print(struct.unpack("ll", sock.getsockopt(1, socket.SO_RCVTIMEO, 16)))
print(show(sock.setsockopt, 6, 13, b"nothing"))
print(show(sock.setsockopt, 6, 13, b"reno"), sock.getsockopt(6, 13, 16).rstrip(b"\0"))
print(show(sock.setsockopt, 1, 25, b"nolink"), show(sock.setsockopt, 1, 25, b"lo\0"))
print(sock.getsockopt(1, 25, 16), show(sock.setsockopt, 1, 25, b""), sock.getsockopt(1, 25, 16))
print(len(sock.getsockopt(6, 11, 104)), sock.getsockopt(6, 11, 104)[0])
print(sock.getsockopt(6, 11, 5).hex())
listener = socket.socket()
listener.setsockopt(6, 1, 1)
listener.setsockopt(1, 9, 1)
listener.setsockopt(0, 1, 16)
listener.bind(("127.0.0.1", 0))
listener.listen(3)
print(listener.getsockopt(1, 30), listener.getsockopt(6, 11, 104)[0])
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
print(server.getsockopt(6, 1), server.getsockopt(1, 9), server.getsockopt(0, 1))
print(client.getsockopt(6, 11, 104)[0], client.getsockopt(0, 14), client.getsockopt(6, 2) > 30000)
