"""What `net_build.py` builds."""

from typing import Literal, overload

class Frame:
    flags: int
    gso_type: int
    header_size: int
    gso_size: int
    checksum_start: int
    checksum_offset: int
    protocol: int
    kind: int
    has_vlan: int
    size: int

class Frames:
    def __getitem__(self, index: int) -> Frame: ...

class Memory: ...

class Buffer:
    def __getitem__(self, index: slice) -> bytes: ...

class FFI:
    @overload
    def new(self, ctype: Literal["struct net_frame *"]) -> Frame: ...
    @overload
    def new(self, ctype: Literal["struct net_frame[]"], init: int) -> Frames: ...
    @overload
    def new(self, ctype: Literal["char[]"], init: int) -> Memory: ...
    def buffer(self, cdata: Memory, size: int = -1) -> Buffer: ...

class Lib:
    def net_send(
        self,
        fd: int,
        interface: int,
        vnet: int,
        frame: Frame,
        header: bytes,
        header_size: int,
        payload: bytes,
        payload_size: int,
        /,
    ) -> int: ...
    def net_receive(
        self, fd: int, vnet: int, buffer: Memory, room: int, frames: Frames, count: int, /
    ) -> int: ...

ffi: FFI
lib: Lib
