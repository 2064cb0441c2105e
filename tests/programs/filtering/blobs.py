"""Tables that no iptables writes: broken in one place each, and what setsockopt(2) says."""

import ctypes
import errno
import random
import socket
import struct
import subprocess
import sys

SOL_IP, REPLACE, ADD, INFO, ENTRIES, MATCH, TARGET = 0, 64, 65, 64, 65, 66, 67
FAMILY, TOOL, HOST = socket.AF_INET, "iptables", "10.0.0.0/8"
# In struct ipt_entry: flags, target_offset, and where matches begin.
FLAGS, OFFSETS, ENTRY = 82, 88, 112
if sys.argv[1:] == ["6"]:
    SOL_IP, MATCH, TARGET = 41, 68, 69
    FAMILY, TOOL, HOST = socket.AF_INET6, "ip6tables", "fd00::/8"
    FLAGS, OFFSETS, ENTRY = 131, 140, 168

RULES = f"""*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:one - [0:0]
:two - [0:0]
-A INPUT -p tcp --dport 80 -j one
-A INPUT -s {HOST} -i eth0 -j DROP
-A one -p udp -m multiport --dports 1,2 -j two
-A one -j REJECT
-A two -m mark --mark 1 -j RETURN
-A OUTPUT -j two
COMMIT
"""

subprocess.run([f"{TOOL}-legacy-restore"], input=RULES, text=True, check=True)
sock = socket.socket(FAMILY, socket.SOCK_RAW, socket.IPPROTO_RAW)


def attempt(call, *arguments) -> str:
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "OK"


def get(option: int, value: bytes) -> bytes:
    """getsockopt(2) with a question in its buffer."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = (ctypes.c_char * len(value)).from_buffer_copy(value)
    size = ctypes.c_uint(len(value))
    if libc.getsockopt(sock.fileno(), SOL_IP, option, buffer, ctypes.byref(size)) < 0:
        raise OSError(ctypes.get_errno(), "getsockopt")
    return bytes(buffer)


info = get(INFO, struct.pack("84s", b"filter"))
hooks, *places, count, size = struct.unpack("<32x13I", info)
entries = get(ENTRIES, struct.pack("<32sI4x", b"filter", size) + bytes(size))[40:]
print(hooks, places, count, size, entries.hex()[:64])
for option, value in (
    (INFO, b"filter".ljust(83, b"\0")),
    (INFO, b"nothing".ljust(84, b"\0")),
    (ENTRIES, struct.pack("<32sI4x", b"filter", size + 8) + bytes(size + 8)),
    (MATCH, struct.pack("29sB", b"tcp", 0)),
    (MATCH, struct.pack("29sB", b"tcp", 9)),
    (TARGET, struct.pack("29sB", b"DNAT", 2)),
    (TARGET, struct.pack("29sB", b"REDIRECT", 0)),
    (TARGET, b"DNAT"),
):
    print(option, attempt(get, option, value))

counters = (ctypes.c_char * (16 * count))()


def replace(
    name=b"filter", valid=hooks, number=count, length=size, at=places, told=count, blob=entries
) -> bytes:
    return (
        struct.pack(
            "<32s3I10IIQ", name, valid, number, length, *at, told, ctypes.addressof(counters)
        )
        + blob
    )


def put(value: bytes) -> str:
    return attempt(sock.setsockopt, SOL_IP, REPLACE, value)


print("as it is", put(replace()))
print("name", put(replace(name=b"nat")))
print("hooks", put(replace(valid=hooks ^ 1)), put(replace(valid=31)))
print("number", put(replace(number=count + 1)), put(replace(number=count - 1)))
print("told", put(replace(told=count + 1)), put(replace(told=0)))
print("cut", put(replace()[:-8]), put(replace()[:90]), put(replace(length=size - 8)))
print(
    "add", attempt(sock.setsockopt, SOL_IP, ADD, struct.pack("<32sI4x", b"filter", 3) + bytes(48))
)
for place in range(10):
    moved = [*places]
    results = []
    for step in (-8, 8, 4, 1 << 31, size):
        moved[place] = places[place] + step & 0xFFFFFFFF
        results.append(put(replace(at=moved)))
    print("place", place, results)

# Entries begin where the one before says.
starts = [0]
while starts[-1] < size:
    starts.append(starts[-1] + struct.unpack_from("<H", entries, starts[-1] + OFFSETS + 2)[0])
for start in starts[:-1]:
    results = []
    target, following = struct.unpack_from("<HH", entries, start + OFFSETS)
    for offset, width, values in (
        (FLAGS, 1, (1, 2, 4, 8)),
        (FLAGS + 1, 1, (8, 64, 128)),
        (OFFSETS, 2, (0, 100, target + 1, target + 8, target - 8, following, 65535)),
        (OFFSETS + 2, 2, (0, 8, following + 8, following - 8, following + 1, 65528)),
        (target, 2, (0, 8, 31, 40, 48, 65535)),
        (target + 31, 1, (5,)),
        (
            target + 32,
            4,
            (
                0,
                8,
                152,
                size,
                0xFFFFFFFF,
                0xFFFFFFFE,
                0xFFFFFFFD,
                0xFFFFFFFC,
                0xFFFFFFFB,
                0xFFFFFFFA,
                0x80000000,
            ),
        ),
        *(((ENTRY, 2, (0, 8, 40, 48, 56, 65535)), (ENTRY + 31, 1, (7,))) if target > ENTRY else ()),
    ):
        for value in values:
            broken = bytearray(entries)
            broken[start + offset : start + offset + width] = value.to_bytes(width, "little")
            results.append(put(replace(blob=bytes(broken))))
            put(replace())
    print("entry", starts.index(start), *results)

# Jumps in circles.
for start in starts[:-1]:
    target, following = struct.unpack_from("<HH", entries, start + OFFSETS)
    if entries[start + target + 2] == 0:
        results = []
        for to in starts[:-1]:
            broken = bytearray(entries)
            struct.pack_into("<i", broken, start + target + 32, to)
            results.append(put(replace(blob=bytes(broken))))
            put(replace())
        print("jump", starts.index(start), *results)

random.seed(7)
for _ in range(600):
    broken = bytearray(entries)
    at = random.randrange(size)
    broken[at] ^= 1 << random.randrange(8)
    begin = max(start for start in starts if start <= at)
    print("bit", starts.index(begin), at - begin, put(replace(blob=bytes(broken))))
    put(replace())
print(
    "still there", get(ENTRIES, struct.pack("<32sI4x", b"filter", size) + bytes(size))[40:] != b""
)
