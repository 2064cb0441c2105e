"""Describes the C extension `sentry.platform._net` to cffi; runs at build time only."""

from pathlib import Path

from cffi import FFI

SOURCE = Path(__file__).resolve().parent / "native" / "net.c"

ffibuilder = FFI()
ffibuilder.cdef("""
struct net_frame {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t header_size;
    uint16_t gso_size;
    uint16_t checksum_start;
    uint16_t checksum_offset;
    uint16_t protocol;
    uint8_t kind;
    uint8_t has_vlan;
    uint32_t size;
};
int net_send(int fd, int interface, int vnet, const struct net_frame *frame,
             const char *header, size_t header_size, const char *payload, size_t payload_size);
int net_receive(int fd, int vnet, char *buffer, size_t room, struct net_frame *frames,
                unsigned count);
""")
ffibuilder.set_source(
    "sentry.platform._net",
    f'#line 1 "net.c"\n{SOURCE.read_text()}',
    extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
)
