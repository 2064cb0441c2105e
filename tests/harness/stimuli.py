"""Frames that a network stack answers, and which answers came; raw, without help of ours."""

import socket
import struct
import time

from tests.harness.netns import Namespace

_OUR_MAC = bytes.fromhex("0200000000aa")
_BROADCAST = b"\xff" * 6
_OUR4, _THEIR4 = socket.inet_aton("10.9.0.5"), socket.inet_aton("10.9.0.2")
_OUR6 = socket.inet_pton(socket.AF_INET6, "fd09::5")
_THEIR6 = socket.inet_pton(socket.AF_INET6, "fd09::2")
_WAIT_S = 0.4


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1]))
    if len(data) & 1:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _ether(to: bytes, kind: int, payload: bytes) -> bytes:
    return to + _OUR_MAC + struct.pack("!H", kind) + payload


def _ip4(mac: bytes, protocol: int, payload: bytes, ttl: int = 64) -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, ttl, protocol, 0, _OUR4, _THEIR4
    )
    head = head[:10] + struct.pack("!H", _sum(head)) + head[12:]
    return _ether(mac, 0x0800, head + payload)


def _ip6(mac: bytes, to: bytes, following: int, payload: bytes, source: bytes = _OUR6) -> bytes:
    head = struct.pack("!IHBB16s16s", 6 << 28, len(payload), following, 255, source, to)
    return _ether(mac, 0x86DD, head + payload)


def _checked(payload: bytes, at: int, protocol: int, source: bytes, to: bytes) -> bytes:
    pseudo = source + to + struct.pack("!IBBBB", len(payload), 0, 0, 0, protocol)
    return payload[:at] + struct.pack("!H", _sum(pseudo + payload)) + payload[at + 2 :]


def _icmp6(payload: bytes, to: bytes) -> bytes:
    return _checked(payload, 2, 58, _OUR6, to)


def _segment(flags: int, source: bytes, to: bytes) -> bytes:
    raw = struct.pack("!HHIIBBHHH", 40000 + flags, 81, 7, 9, 0x50, flags, 512, 0, 0)
    return _checked(raw, 16, 6, source, to)


def _stimuli(mac: bytes) -> list[bytes]:
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    asked = arp + _OUR_MAC + _OUR4 + bytes(6) + _THEIR4
    probe = arp + _OUR_MAC + bytes(4) + bytes(6) + _THEIR4
    solicited = bytes.fromhex("ff0200000000000000000001ff") + _THEIR6[13:]
    solicitation = struct.pack("!BBHI", 135, 0, 0, 0) + _THEIR6 + b"\x01\x01" + _OUR_MAC
    group_mac = b"\x33\x33\xff" + _THEIR6[13:]
    echo4 = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"12345678"
    echo4 = echo4[:2] + struct.pack("!H", _sum(echo4)) + echo4[4:]
    echo6 = struct.pack("!BBHHH", 128, 0, 0, 7, 1) + b"12345678"
    udp = struct.pack("!HHHH", 40000, 9, 12, 0) + b"abcd"
    frames = [
        _ether(_BROADCAST, 0x0806, asked),
        _ether(mac, 0x0806, asked),
        _ether(_BROADCAST, 0x0806, probe),
        _ip6(group_mac, solicited, 58, _icmp6(solicitation, solicited)),
        _ip6(mac, _THEIR6, 58, _icmp6(solicitation, _THEIR6)),
        _ip4(mac, 1, echo4),
        _ip6(mac, _THEIR6, 58, _icmp6(echo6, _THEIR6)),
        _ip4(mac, 17, udp),
        _ip4(mac, 17, udp, ttl=1),
        _ip4(mac, 253, b"unknown"),
        _ip6(mac, _THEIR6, 17, _checked(udp, 6, 17, _OUR6, _THEIR6)),
    ]
    for flags in (0x02, 0x10):  # a SYN, a stray ACK
        frames.append(_ip4(mac, 6, _segment(flags, _OUR4, _THEIR4)))
        frames.append(_ip6(mac, _THEIR6, 6, _segment(flags, _OUR6, _THEIR6)))
    return frames


def advertise_prefix(outer: Namespace, interface: str) -> None:
    """Send a router advertisement of the prefix fd77::/64, for addresses to be made of."""
    source = bytes.fromhex("fe8000000000000000000000000000aa")
    everyone = bytes.fromhex("ff020000000000000000000000000001")
    prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 1000, 1000, 0)
    prefix += socket.inet_pton(socket.AF_INET6, "fd77::")
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix
    message = _checked(message, 2, 58, source, everyone)
    with outer.entered():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        wire.bind((interface, 3))
    with wire:
        wire.send(_ip6(bytes.fromhex("333300000001"), everyone, 58, message, source))


def _name(frame: bytes) -> str:
    """Return what kind of answer a frame is; empty for what is none (MLD reports)."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == 0x0806:
        return "arp"
    if kind == 0x0800:
        protocol = frame[23]
        return {1: "icmp4", 6: "rst4"}.get(protocol, f"ip4-{protocol}")
    if kind == 0x86DD and frame[20] == 58:
        return {136: "na", 135: "ns", 143: ""}.get(frame[54], "icmp6")
    if kind == 0x86DD:
        return {0: "", 6: "rst6"}.get(frame[20], f"ip6-{frame[20]}")
    return f"{kind:#x}"


def answers_of(outer: Namespace, interface: str, mac: bytes) -> set[str]:
    """Send every stimulus to a hardware address; return the kinds of frames that came from it."""
    with outer.entered():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        wire.bind((interface, 3))
        # A bridge does not pass up what is addressed to a made-up address.
        index = socket.if_nametoindex(interface)
        wire.setsockopt(263, 1, struct.pack("=iHH8s", index, 1, 0, bytes(8)))
    found = set()
    with wire:
        # What the host asks back (who is 10.9.0.5?) is answered, so that nothing waits for it.
        told = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + _OUR_MAC + _OUR4 + mac + _THEIR4
        advert = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + _OUR6 + b"\x02\x01" + _OUR_MAC
        answers = {
            "arp": _ether(mac, 0x0806, told),
            "ns": _ip6(mac, _THEIR6, 58, _icmp6(advert, _THEIR6)),
        }
        for frame in _stimuli(mac):
            wire.send(frame)
        deadline = time.monotonic() + _WAIT_S
        while (left := deadline - time.monotonic()) > 0:
            wire.settimeout(left)
            try:
                frame, sender = wire.recvfrom(65536)
            except TimeoutError:
                break
            if frame[6:12] == mac and sender[2] != socket.PACKET_OUTGOING:
                name = _name(frame)
                found.add(name)
                if name in answers:
                    wire.send(answers[name])
    return found - {""}
