"""Multicast on loopback: joining, leaving, who hears what."""

import errno
import socket
import struct


def attempt(label, call, *arguments):
    try:
        print(label, call(*arguments))
    except OSError as error:
        print(label, errno.errorcode[error.errno])


GROUP = "239.1.2.3"
MREQ = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")


def receiver(port=0, host=""):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(1, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.settimeout(0.3)
    return sock


def got(sock):
    try:
        return sock.recv(100)
    except TimeoutError:
        return None


first = receiver()
port = first.getsockname()[1]
second = receiver(port)
bound = receiver(port, GROUP)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
attempt("no interface", first.setsockopt, 0, 35, socket.inet_aton(GROUP) + bytes(4))
attempt("no group", first.setsockopt, 0, 35, socket.inet_aton("10.0.0.1") * 2)
attempt("foreign", first.setsockopt, 0, 35, socket.inet_aton(GROUP) + b"\xc0\0\2\1")
attempt("short", first.setsockopt, 0, 35, b"1234")
attempt("join", first.setsockopt, 0, 35, MREQ)
attempt("join twice", first.setsockopt, 0, 35, MREQ)
attempt("leave another", second.setsockopt, 0, 36, MREQ)
attempt("no way", sender.sendto, b"x", (GROUP, port))
attempt("interface", sender.setsockopt, 0, 32, socket.inet_aton("127.0.0.1"))
print(socket.inet_ntoa(sender.getsockopt(0, 32, 4)))
attempt("send", sender.sendto, b"to all", (GROUP, port))
print(got(first), got(second), got(bound))
second.setsockopt(0, 49, 0)
sender.sendto(b"members only", (GROUP, port))
print(got(first), got(second), got(bound))
sender.setsockopt(0, 34, 0)
sender.sendto(b"not looped", (GROUP, port))
print(got(first))
sender.setsockopt(0, 34, 1)
attempt("by index", second.setsockopt, 0, 35, socket.inet_aton(GROUP) + struct.pack("4xi", 1))
sender.sendto(b"two members", (GROUP, port))
print(got(first), got(second))
attempt("leave", first.setsockopt, 0, 36, MREQ)
attempt("leave again", first.setsockopt, 0, 36, MREQ)
with open("/proc/net/igmp") as file:
    print([line.split()[0] for line in file if line.startswith("\t")])
first.close()
second.close()

print("-- IPv6")
group6 = socket.inet_pton(socket.AF_INET6, "ff12::1234")
one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
one.bind(("::", 0))
one.settimeout(0.3)
attempt("join", one.setsockopt, 41, 20, group6 + struct.pack("i", 1))
attempt("twice", one.setsockopt, 41, 20, group6 + struct.pack("i", 1))
attempt("bad index", one.setsockopt, 41, 20, group6 + struct.pack("i", 77))
attempt("no group", one.setsockopt, 41, 20, bytes(15) + b"\1" + struct.pack("i", 1))
attempt("leave", one.setsockopt, 41, 21, group6 + struct.pack("i", 1))
attempt("leave again", one.setsockopt, 41, 21, group6 + struct.pack("i", 1))
