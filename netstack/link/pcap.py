"""Captures in the pcapng format (draft-ietf-opsawg-pcapng), which tcpdump and Wireshark read.

One capture may hold packets of several interfaces, with times in nanoseconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from struct import Struct
from typing import Final

from mypy_extensions import mypyc_attr

# LINKTYPE_ numbers, https://www.tcpdump.org/linktypes.html
LINKTYPE_ETHERNET: Final = 1
LINKTYPE_RAW: Final = 101  # begins with an IPv4 or IPv6 header

BLOCK_SECTION: Final = 0x0A0D0D0A
BLOCK_INTERFACE: Final = 1
BLOCK_PACKET: Final = 6  # "enhanced packet block"
BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D

OPTION_END: Final = 0
OPTION_USER_APPLICATION: Final = 4  # shb_userappl
OPTION_INTERFACE_NAME: Final = 2  # if_name
OPTION_INTERFACE_RESOLUTION: Final = 9  # if_tsresol
OPTION_PACKET_FLAGS: Final = 2  # epb_flags

DIRECTION_IN: Final = 1
DIRECTION_OUT: Final = 2

MAX_SNAPLEN: Final = 262144  # as tcpdump's

SECTION: Final = Struct("<IHHq")
INTERFACE: Final = Struct("<HHI")
PACKET: Final = Struct("<IIIIIII")
OPTION: Final = Struct("<HH")
WORD: Final = Struct("<I")
PACKET_TAIL: Final = Struct("<HHIHHI")


@mypyc_attr(allow_interpreted_subclasses=True)
class CaptureSink(ABC):
    """Where a capture's bytes go: the owner's file."""

    @abstractmethod
    def write(self, data: bytes) -> bool:
        """Take a whole block; False if it cannot be taken: the capture ends."""


class Capture:
    """A capture that is being written."""

    def __init__(
        self, sink: CaptureSink, application: str = "", snaplen: int = MAX_SNAPLEN
    ) -> None:
        self.sink = sink
        self.snaplen = min(snaplen, MAX_SNAPLEN)
        self.packets = 0
        self.is_ended = False
        self._interfaces = 0
        body = SECTION.pack(BYTE_ORDER_MAGIC, 1, 0, -1)
        self._write(BLOCK_SECTION, body + _options(OPTION_USER_APPLICATION, application.encode()))

    def add_interface(self, name: str, link_type: int) -> int:
        """Describe an interface; return the number that `add_packet` wants."""
        body = INTERFACE.pack(link_type, 0, self.snaplen)
        name_option = _option(OPTION_INTERFACE_NAME, name.encode())
        self._write(
            BLOCK_INTERFACE, body + name_option + _options(OPTION_INTERFACE_RESOLUTION, b"\x09")
        )
        number = self._interfaces
        self._interfaces += 1
        return number

    def add_packet(
        self, interface: int, time_ns: int, direction: int, header: bytes, payload: bytes = b""
    ) -> None:
        """Append a packet, given in one or two parts; `time_ns` counts since 1970."""
        if self.is_ended:
            return
        size = len(header) + len(payload)
        data = header + payload[: self.snaplen] if payload else header
        if size > self.snaplen:
            data = data[: self.snaplen]
        padding = -len(data) & 3
        total = 28 + len(data) + padding + 12 + 4
        self.packets += 1
        self._put(
            PACKET.pack(
                BLOCK_PACKET,
                total,
                interface,
                time_ns >> 32,
                time_ns & 0xFFFFFFFF,
                len(data),
                size,
            )
            + data
            + bytes(padding)
            + PACKET_TAIL.pack(OPTION_PACKET_FLAGS, 4, direction, OPTION_END, 0, total)
        )

    def _write(self, kind: int, body: bytes) -> None:
        size = WORD.pack(len(body) + 12)
        self._put(WORD.pack(kind) + size + body + size)

    def _put(self, block: bytes) -> None:
        if not self.is_ended and not self.sink.write(block):
            self.is_ended = True


def _option(code: int, value: bytes) -> bytes:
    return OPTION.pack(code, len(value)) + value + bytes(-len(value) & 3)


def _options(code: int, value: bytes) -> bytes:
    """Return one option and the end of the list; without a value no options at all."""
    return _option(code, value) + OPTION.pack(OPTION_END, 0) if value else b""
