"""News of NETLINK_ROUTE about rules (ip-rule(8)), for who has joined the groups of each family."""

import socket
import struct

RTM_NEWRULE, RTM_DELRULE = 32, 33
RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE = 8, 19
ADD_MEMBERSHIP, SOL_NETLINK = 1, 270
FRA_DST, FRA_SRC, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE = 1, 2, 6, 10, 15
SHOWN = {FRA_DST, FRA_SRC, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE}


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def listener(*groups):
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.bind((0, 0))
    for group in groups:
        sock.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    return sock


def change(kind, flags, family, length, *attributes):
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    body = struct.pack("=8BI", family, 0, length, 0, 0, 0, 0, 1, 0)
    body += b"".join(attribute(*pair) for pair in attributes)
    sock.send(struct.pack("=IHHII", 16 + len(body), kind, flags | 5, 7, 0) + body)
    print("answer", struct.unpack_from("=i", sock.recv(4096), 16)[0])


def show(sock):
    try:
        data = sock.recv(4096, socket.MSG_DONTWAIT)
    except BlockingIOError:
        print("nothing")
        return
    size, kind = struct.unpack_from("=IH", data)
    head = struct.unpack_from("=8BI", data, 16)
    at, found = 28, []
    while at < size:
        length, number = struct.unpack_from("=HH", data, at)
        if number in SHOWN:
            found.append((number, data[at + 4 : at + length].hex()))
        at += length + 3 & ~3
    print(kind, head[0], head[2], head[7], sorted(found))


four, six, both, other = (
    listener(RTNLGRP_IPV4_RULE),
    listener(RTNLGRP_IPV6_RULE),
    listener(RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE),
    listener(1, 3, 5, 7),
)
priority, table = (FRA_PRIORITY, struct.pack("=I", 500)), (FRA_TABLE, struct.pack("=I", 1000))
source4, source6 = (FRA_SRC, bytes((10, 0, 0, 0))), (FRA_SRC, b"\xfd" + bytes(15))
for kind, flags in ((RTM_NEWRULE, 0x600), (RTM_DELRULE, 0)):
    change(kind, flags, socket.AF_INET, 8, priority, table, source4, (FRA_FWMARK, b"\5\0\0\0"))
    change(kind, flags, socket.AF_INET6, 8, priority, table, source6)
    for sock in (four, six, both, both, other):
        show(sock)
change(RTM_DELRULE, 0, socket.AF_INET, 8, priority, table, source4)
show(both)
