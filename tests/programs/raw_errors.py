"""ICMP errors and raw sockets: they wait, and keep nobody from sending on."""

import errno
import socket
import struct
import time

IP_RECVERR, IPV6_RECVERR = 11, 25


def attempt(title, call, *arguments):
    try:
        print(title, call(*arguments))
    except OSError as error:
        print(title, errno.errorcode[error.errno])


def closed_port(family, host):
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        other.bind((host, 0))
        return other.getsockname()[1]


def check(family, host, level, option):
    datagram = struct.pack("!HHHH", 9, closed_port(family, host), 12, 0) + b"data"
    sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, 7, 6)  # IPV6_CHECKSUM
    sock.connect((host, 0))
    sock.setsockopt(level, option, 1)
    sock.settimeout(0)
    for title in ("first", "second", "third"):
        attempt(title, sock.send, datagram)
        time.sleep(0.05)
    attempt("pending", sock.recv, 100)
    for _ in range(4):
        attempt("queued", lambda: sock.recvmsg(100, 200, socket.MSG_ERRQUEUE)[0][-4:])
    attempt("again", sock.send, datagram)
    time.sleep(0.05)
    print("SO_ERROR", sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    if family == socket.AF_INET:
        attempt("with a header", sock.send, datagram)
        time.sleep(0.05)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        packet = (
            struct.pack(
                "!BBHHHBBH4s4s", 69, 0, 32, 0, 0, 64, 17, 0, bytes(4), socket.inet_aton(host)
            )
            + datagram
        )
        attempt("with a header", sock.send, packet)
        time.sleep(0.05)
        attempt("with a header", sock.send, packet)


check(socket.AF_INET, "127.0.0.1", socket.IPPROTO_IP, IP_RECVERR)
check(socket.AF_INET6, "::1", socket.IPPROTO_IPV6, IPV6_RECVERR)
