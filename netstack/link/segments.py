"""Segmentation offload in software: a frame of several TCP segments or datagrams, taken apart.

For links below which nobody does it (RFC 9293, 3.7; as skb_gso_segment() of Linux).
"""

from __future__ import annotations

from typing import Final

from netstack.packet import OutFrame
from netstack.wire import checksum as sums

FIN: Final = 0x01
PSH: Final = 0x08
CWR: Final = 0x80
FLAGS: Final = 13  # offset of the flags in a TCP header
CHECKSUM: Final = 16
IPV4_LENGTH: Final = 2
IPV4_IDENT: Final = 4
IPV4_CHECKSUM: Final = 10
IPV6_LENGTH: Final = 4
IPV6_HEADER: Final = 40
TCP: Final = 6
UDP: Final = 17
UDP_LENGTH: Final = 4  # offset of the length in a UDP header
UDP_CHECKSUM: Final = 6


def segments(frame: OutFrame, network: int) -> list[OutFrame]:
    """Return the segments of a frame, with finished checksums.

    `network` is the offset of the IP header in the frame's header.
    """
    made: list[OutFrame] = []
    size = frame.gso_size
    count = (len(frame.payload) + size - 1) // size
    for number in range(count):
        payload = bytes(frame.payload[number * size : (number + 1) * size])
        header = bytearray(frame.header)
        if frame.is_udp:
            at = frame.checksum_start
            _put(header, at + UDP_LENGTH, len(header) - at + len(payload))
        else:
            _set_transport(header, frame, number, is_last=number == count - 1)
        length = len(header) - network + len(payload)
        if frame.is_ipv6:
            _put(header, network + IPV6_LENGTH, length - IPV6_HEADER)
        else:
            _set_ipv4(header, network, frame.checksum_start, length, number)
        _set_checksum(header, frame, network, payload)
        made.append(OutFrame(frame.ethertype, bytes(header), payload))
    return made


def _put(header: bytearray, offset: int, value: int) -> None:
    header[offset] = value >> 8 & 0xFF
    header[offset + 1] = value & 0xFF


def _set_transport(header: bytearray, frame: OutFrame, number: int, *, is_last: bool) -> None:
    """Count the sequence number on; the ends of the data are the last segment's alone."""
    at = frame.checksum_start
    sequence = int.from_bytes(header[at + 4 : at + 8], "big") + number * frame.gso_size
    header[at + 4 : at + 8] = (sequence & 0xFFFFFFFF).to_bytes(4, "big")
    if not is_last:
        header[at + FLAGS] &= ~(FIN | PSH) & 0xFF
    if number:
        header[at + FLAGS] &= ~CWR & 0xFF


def _set_ipv4(header: bytearray, network: int, end: int, length: int, number: int) -> None:
    _put(header, network + IPV4_LENGTH, length)
    at = network + IPV4_IDENT
    _put(header, at, int.from_bytes(header[at : at + 2], "big") + number)
    _put(header, network + IPV4_CHECKSUM, 0)
    _put(header, network + IPV4_CHECKSUM, sums.finish(sums.checksum(bytes(header[network:end]))))


def _set_checksum(header: bytearray, frame: OutFrame, network: int, payload: bytes) -> None:
    at = frame.checksum_start
    if frame.is_ipv6:
        addresses = bytes(header[network + 8 : network + 40])
    else:
        addresses = bytes(header[network + 12 : network + 20])
    protocol, offset = (UDP, UDP_CHECKSUM) if frame.is_udp else (TCP, CHECKSUM)
    total = sums.checksum(addresses, protocol + len(header) - at + len(payload))
    _put(header, at + offset, 0)
    total = sums.checksum(payload, sums.checksum(bytes(header[at:]), total))
    # 0 would be "no checksum" for UDP (RFC 768), and means the same as 0xFFFF for others.
    _put(header, at + offset, sums.finish(total) or 0xFFFF)
