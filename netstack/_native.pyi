"""What `native_build.py` builds."""

class Lib:
    def net_checksum(self, data: bytes, size: int, initial: int, /) -> int: ...

lib: Lib
