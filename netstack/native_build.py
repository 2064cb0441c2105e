"""Describes the C extension `netstack._native` to cffi; runs at build time only."""

from pathlib import Path

from cffi import FFI

SOURCE = Path(__file__).resolve().parent / "native" / "checksum.c"

ffibuilder = FFI()
ffibuilder.cdef("unsigned net_checksum(const unsigned char *data, size_t size, unsigned initial);")
ffibuilder.set_source(
    "netstack._native", f'#line 1 "checksum.c"\n{SOURCE.read_text()}', extra_compile_args=["-O2"]
)
