"""/dev/net/tun: a program is the network behind an interface."""

import errno
import fcntl
import os
import select
import socket
import struct

TUNSETIFF, TUNGETIFF, TUNSETPERSIST = 0x400454CA, 0x800454D2, 0x400454CB
IFF_TUN, IFF_TAP, IFF_NO_PI = 1, 2, 0x1000
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS = 0x8916, 0x891C, 0x8914


def attempt(what, call, *arguments):
    try:
        print(what, call(*arguments))
    except OSError as error:
        print(what, errno.errorcode[error.errno])


def node():
    os.mknod("/dev/tun", 0o600 | 0o020000, os.makedev(10, 200))
    return lambda: os.open("/dev/tun", os.O_RDWR | os.O_NONBLOCK)


def ifreq(name, flags):
    return struct.pack("16sH22x", name, flags)


def up(name, address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, host in ((SIOCSIFADDR, address), (SIOCSIFNETMASK, "255.255.255.0")):
            packed = struct.pack("16sHH4s16x", name, socket.AF_INET, 0, socket.inet_aton(host))
            fcntl.ioctl(control, request, packed)
        fcntl.ioctl(control, SIOCSIFFLAGS, ifreq(name, 1))


def next_ipv4(tun, skip=0):
    """The next packet of IPv4; the stack may send of IPv6 what it likes."""
    while select.select([tun], [], [], 5)[0]:
        packet = os.read(tun, 2000)
        if packet[skip] >> 4 == 4:
            return packet
    return b""


def errors(opened):
    tun = opened()
    attempt("read", os.read, tun, 10)
    attempt("write", os.write, tun, b"x")
    attempt("get", fcntl.ioctl, tun, TUNGETIFF, bytes(40))
    attempt("none", fcntl.ioctl, tun, TUNSETIFF, ifreq(b"t0", 0))
    attempt("both", fcntl.ioctl, tun, TUNSETIFF, ifreq(b"t0", IFF_TUN | IFF_TAP))
    attempt("other", fcntl.ioctl, tun, TUNSETIFF, ifreq(b"lo", IFF_TUN))
    attempt("name", fcntl.ioctl, tun, TUNSETIFF, ifreq(b"a/b", IFF_TUN))
    os.close(tun)


def numbers(opened):
    first, second = opened(), opened()
    print(fcntl.ioctl(first, TUNSETIFF, ifreq(b"", IFF_TUN))[:18])
    print(fcntl.ioctl(second, TUNSETIFF, ifreq(b"my%d", IFF_TAP | IFF_NO_PI))[:18])
    attempt("again", fcntl.ioctl, first, TUNSETIFF, ifreq(b"t0", IFF_TUN))
    third = opened()
    attempt("busy", fcntl.ioctl, third, TUNSETIFF, ifreq(b"tun0", IFF_TUN))
    attempt("down", os.write, first, bytes(4) + b"\x45" + bytes(30))
    print([name for _, name in socket.if_nameindex()])
    for tun in (first, second, third):
        os.close(tun)
    print([name for _, name in socket.if_nameindex()])


def traffic(opened):
    tun = opened()
    fcntl.ioctl(tun, TUNSETIFF, ifreq(b"wire0", IFF_TUN | IFF_NO_PI))
    up(b"wire0", "10.1.1.1")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("10.1.1.1", 7000))
    sock.sendto(b"question", ("10.1.1.2", 7))
    packet = next_ipv4(tun)
    print(len(packet), packet[12:20].hex(), packet[20:24].hex(), packet[28:])
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 34, 9, 0, 64, 17, 0, packet[16:20], packet[12:16]
    )
    total = sum(struct.unpack(">10H", header))
    total = ~(total + (total >> 16)) & 0xFFFF
    header = header[:10] + struct.pack(">H", total) + header[12:]
    udp = struct.pack(">HHHH", 7, 7000, 14, 0) + b"answer"
    print(os.write(tun, header + udp), sock.recvfrom(100))
    attempt("not ip", os.write, tun, b"\x15" + bytes(30))
    attempt("empty", os.write, tun, b"")
    sock.close()
    attempt("persist", fcntl.ioctl, tun, TUNSETPERSIST, 1)
    os.close(tun)
    print([name for _, name in socket.if_nameindex()])
    tun = opened()
    print(fcntl.ioctl(tun, TUNSETIFF, ifreq(b"wire0", IFF_TUN))[:18])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.sendto(b"informed", ("10.1.1.2", 7))
    packet = next_ipv4(tun, 4)
    print(packet[:5].hex(), packet[-8:])
    fcntl.ioctl(tun, TUNSETPERSIST, 0)
    os.close(tun)
    print([name for _, name in socket.if_nameindex()])


def main():
    opened = node()
    errors(opened)
    numbers(opened)
    traffic(opened)


main()
