"""Socket filters in classic BPF: what is refused, and what they let pass."""

import ctypes
import errno
import socket
import struct

SO_ATTACH_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER = 26, 27, 44
LDB, LDH, LDW, LDX_LEN, LD_LEN = 0x30, 0x28, 0x20, 0x81, 0x80
LDB_IND, LDX_MSH, RET, RET_A, TAX, TXA = 0x50, 0xB1, 0x06, 0x16, 0x07, 0x87
JEQ, JGT, JGE, JSET, JA, LDX_IMM, LD_IMM = 0x15, 0x25, 0x35, 0x45, 0x05, 0x01, 0x00
ST, STX, LD_MEM, LDX_MEM = 0x02, 0x03, 0x60, 0x61
OPERATIONS = {name: 4 | number << 4 for number, name in enumerate(
    ("add", "sub", "mul", "div", "or", "and", "lsh", "rsh", "neg", "mod", "xor")
)}  # fmt: skip
ALL = 0xFFFFFFFF


def attach(sock, *program, size=16, count=None):
    code = b"".join(
        struct.pack("=HBBI", *(*row, 0, 0)[:2], *row[2:])
        if len(row) == 4
        else struct.pack("=HBBI", row[0], 0, 0, row[1])
        for row in program
    )
    buffer = ctypes.create_string_buffer(code, max(len(code), 1))
    number = len(program) if count is None else count
    fprog = struct.pack("=H6xQ", number, ctypes.addressof(buffer)).ljust(size, b"\0")[:size]
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"


def pair():
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(receiver.getsockname())
    return receiver, sender


def passed(receiver, sender, data):
    sender.send(data)
    try:
        return receiver.recv(2000, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None


def refused():
    receiver, _ = pair()
    for title, *program in (
        ("returns", (RET, ALL)),
        ("empty",),
        ("no return", (LDB, 0)),
        ("unknown", (0xFF, 0), (RET, 0)),
        ("jump out", (JEQ, 0, 1, 0), (RET, 0)),
        ("jump to the end", (JEQ, 0, 0, 0), (RET, 0)),
        ("far jump", (JA, 1), (RET, 0)),
        ("jump over all", (JA, ALL), (RET, 0)),
        ("divide by zero", (OPERATIONS["div"], 0), (RET, 0)),
        ("modulo zero", (OPERATIONS["mod"], 0), (RET, 0)),
        ("wide shift", (OPERATIONS["lsh"], 32), (RET, 0)),
        ("beyond memory", (ST, 16), (RET, 0)),
        ("memory not written", (LD_MEM, 3), (RET, 0)),
        ("written on one way", (JEQ, 0, 1, 0), (ST, 1), (LD_MEM, 1), (RET, 0)),
        ("written on both ways", (ST, 1), (JEQ, 0, 1, 0), (ST, 1), (LD_MEM, 1), (RET, 0)),
        ("written before the jump", (STX, 15), (JA, 0), (LDX_MEM, 15), (RET_A, 0)),
        ("ancillary", (LDH, 0xFFFFF000), (RET, 0)),
        ("unknown ancillary", (LDH, 0xFFFFF002), (RET, 0)),
    ):
        print(title, attach(receiver, *program))
    print("short", attach(receiver, (RET, 0), size=15), attach(receiver, (RET, 0), size=3))
    print("long", attach(receiver, (RET, 0), size=17))
    print("too many", attach(receiver, *[(RET, 0)] * 4097))
    print("not there", attach(receiver, (RET, 0), count=4000) in ("EFAULT", "EINVAL"))
    for value in (0, 0):
        try:
            print("detach", receiver.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, value))
        except OSError as error:
            print("detach", errno.errorcode[error.errno])
    attach(receiver, (RET, ALL))
    receiver.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1)
    print("locked", attach(receiver, (RET, ALL)))
    try:
        receiver.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    except OSError as error:
        print("locked", errno.errorcode[error.errno])


def arithmetic():
    """Whether a datagram passes tells a number; it is 8 bytes longer than A (UDP's header)."""
    receiver, sender = pair()
    for name, code in OPERATIONS.items():
        for a, k in ((0x80000001, 3), (ALL, ALL), (7, 31), (0, 1), (1 << 31, 1)):
            if name in ("lsh", "rsh"):
                k &= 31
            for source in (0, 8):
                wanted = []
                for bit in range(0, 32, 8):
                    program = [
                        (LDX_IMM, k), (LD_IMM, a), (code | (source if name != "neg" else 0), k),
                        (OPERATIONS["rsh"], bit), (OPERATIONS["and"], 255),
                        (OPERATIONS["add"], 9), (RET_A, 0),
                    ]  # fmt: skip
                    assert attach(receiver, *program) == "ok"
                    found = passed(receiver, sender, bytes(300))
                    wanted.append(None if found is None else len(found) - 1)
                print(name, hex(a), hex(k), source, wanted)
    attach(receiver, (LDX_IMM, 0), (OPERATIONS["div"] | 8, 0), (RET, ALL))
    print("by zero", passed(receiver, sender, b"data"))


def loads():
    receiver, sender = pair()
    data = bytes(range(100, 120))
    for title, *program in (
        ("all", (RET, ALL)),
        ("none", (RET, 0)),
        ("less than the header", (RET, 3)),
        ("a part", (RET, 12)),
        ("length", (LD_LEN, 0), (RET_A, 0)),
        ("length in X", (LDX_LEN, 0), (TXA, 0), (OPERATIONS["sub"], 5), (RET_A, 0)),
        ("a byte", (LDB, 8), (JEQ, 0, 1, 100), (RET, 10), (RET, 11)),
        ("a half", (LDH, 8), (JEQ, 0, 1, 0x6465), (RET, 10), (RET, 11)),
        ("a word", (LDW, 8), (JGT, 0, 1, 0x64656666), (RET, 10), (RET, 11)),
        ("beyond", (LDW, 25), (RET, ALL)),
        ("far beyond", (LDW, 0x7FFFFFFF), (RET, ALL)),
        ("the last", (LDW, 24), (JGE, 0, 1, 0x74757677), (RET, 10), (RET, 11)),
        ("indirect", (LDX_IMM, 8), (LDB_IND, 1), (JSET, 0, 1, 1), (RET, 10), (RET, 11)),
        ("indirect down", (LDX_IMM, 12), (LDB_IND, ALL - 1), (JEQ, 0, 1, 102), (RET, 10), (RET, 11)),
        ("header length", (LDX_MSH, 8), (TXA, 0), (RET_A, 0)),
        ("memory", (LD_IMM, 13), (ST, 3), (LD_IMM, 1), (LD_MEM, 3), (TAX, 0), (TXA, 0), (RET_A, 0)),
        ("protocol", (LDH, 0xFFFFF000), (JEQ, 0, 1, 0x800), (RET, 10), (RET, 11)),
        ("packet type", (LDH, 0xFFFFF004), (JEQ, 0, 1, 0), (RET, 10), (RET, 11)),
        ("interface", (LDW, 0xFFFFF008), (JEQ, 0, 1, 1), (RET, 10), (RET, 11)),
        ("IP header", (LDB, 0xFFF00009), (JEQ, 0, 1, 17), (RET, 10), (RET, 11)),
    ):  # fmt: skip
        print(title, attach(receiver, *program), passed(receiver, sender, data))
    print("detached", receiver.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0))
    print(passed(receiver, sender, data))


def raw():
    """A raw socket's filter sees the IP header (version 4), or the packet behind it."""
    _, sender = pair()
    port = sender.getpeername()[1]
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    attach(sock, (LDX_MSH, 0), (0x48, 2), (JEQ, 0, 1, port), (RET, 24), (RET, 0))
    sender.send(b"seen")
    print(sock.recv(2000)[9], len(passed(sock, sender, b"seen")))
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.sendto(b"not seen", ("127.0.0.1", port ^ 1))
    print(len(passed(sock, sender, b"seen")), end=" ")
    sock6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP)
    attach(sock6, (LDH, 2), (JEQ, 0, 1, port), (RET, ALL), (RET, 0))
    sender6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    for number in (port ^ 1, port):
        sender6.sendto(b"six %d" % (number == port), ("::1", number))
    print(sock6.recv(2000)[8:])
    icmp6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    for value in (2, 3, -1):
        try:
            print("checksum", icmp6.setsockopt(255, 7, value))
        except OSError as error:
            print("checksum", errno.errorcode[error.errno])


def frames():
    _, sender = pair()
    port = sender.getpeername()[1]
    packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    attach(
        packet,
        (LDH, 12), (JEQ, 0, 4, 0x800), (LDX_MSH, 14), (0x48, 16), (JEQ, 0, 1, port), (RET, 50),
        (RET, 0),
    )  # fmt: skip
    sender.send(b"a rather long datagram")
    packet.settimeout(5)
    print(len(packet.recv(2000)), packet.recv(2000, socket.MSG_TRUNC)[42:])


for test in (refused, arithmetic, loads, raw, frames):
    print(f"-- {test.__name__}")
    test()
