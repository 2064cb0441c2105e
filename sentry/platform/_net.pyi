"""What `net_build.py` builds."""

from typing import Literal, Protocol, SupportsInt, overload

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

class Allocator(Protocol):
    def __call__(self, ctype: Literal["char[]"], init: int, /) -> Memory: ...

class Received:
    address_size: int
    control_size: int
    flags: int
    address: Memory
    control: Memory

class Buffer:
    def __getitem__(self, index: slice) -> bytes: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class FFI:
    @overload
    def new(self, ctype: Literal["struct net_frame *"]) -> Frame: ...
    @overload
    def new(self, ctype: Literal["struct net_frame[]"], init: int) -> Frames: ...
    @overload
    def new(self, ctype: Literal["struct hs_received *"]) -> Received: ...
    @overload
    def new(self, ctype: Literal["char[]"], init: int | bytes) -> Memory: ...
    def from_buffer(self, data: memoryview, /) -> Memory: ...
    def new_allocator(self, *, should_clear_after_alloc: bool) -> Allocator: ...
    def cast(self, ctype: Literal["uintptr_t"], value: Memory, /) -> SupportsInt: ...
    def buffer(self, cdata: Memory | Frame | Frames, size: int = -1) -> Buffer: ...

class Lib:
    def net_send(
        self,
        fd: int,
        interface: int,
        vnet: int,
        frame: Frame,
        header: bytes,
        header_size: int,
        payload: bytes | Memory,
        payload_size: int,
        /,
    ) -> int: ...
    def net_receive(
        self, fd: int, vnet: int, buffer: Memory, room: int, frames: Frames, count: int, /
    ) -> int: ...
    def hs_socket(self, family: int, kind: int, protocol: int, /) -> int: ...
    def hs_accept(self, fd: int, /) -> int: ...
    def hs_bind(self, fd: int, address: bytes, size: int, /) -> int: ...
    def hs_connect(self, fd: int, address: bytes, size: int, /) -> int: ...
    def hs_listen(self, fd: int, backlog: int, /) -> int: ...
    def hs_shutdown(self, fd: int, how: int, /) -> int: ...
    def hs_name(self, fd: int, of_peer: int, address: Memory, room: int, /) -> int: ...
    def hs_send(
        self,
        fd: int,
        data: bytes,
        size: int,
        address: bytes,
        address_size: int,
        control: bytes,
        control_size: int,
        flags: int,
        /,
    ) -> int: ...
    def hs_receive(
        self, fd: int, buffer: Memory, room: int, flags: int, received: Received, /
    ) -> int: ...
    def hs_get_option(
        self, fd: int, level: int, option: int, value: Memory, room: int, /
    ) -> int: ...
    def hs_set_option(
        self, fd: int, level: int, option: int, value: bytes, size: int, /
    ) -> int: ...
    def hs_ioctl(self, fd: int, request: int, structure: Memory, /) -> int: ...
    def hs_list_interfaces(self, fd: int, names: Memory, room: int, /) -> int: ...

ffi: FFI
lib: Lib
