"""Describes the C extension `sentry.platform._net` to cffi; runs at build time only."""

from pathlib import Path

from cffi import FFI

NATIVE = Path(__file__).resolve().parent / "native"
SOURCES = ("net.c", "hostsocket.c")

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

struct hs_received {
    unsigned address_size;
    unsigned control_size;
    int flags;
    char address[128];
    char control[2048];
};
int hs_socket(int family, int kind, int protocol);
int hs_accept(int fd);
int hs_bind(int fd, const char *address, unsigned size);
int hs_connect(int fd, const char *address, unsigned size);
int hs_listen(int fd, int backlog);
int hs_shutdown(int fd, int how);
int hs_name(int fd, int of_peer, char *address, unsigned room);
long hs_send(int fd, const char *data, size_t size, const char *address, unsigned address_size,
             const char *control, size_t control_size, int flags);
long hs_receive(int fd, char *buffer, size_t room, int flags, struct hs_received *received);
int hs_get_option(int fd, int level, int option, char *value, unsigned room);
int hs_set_option(int fd, int level, int option, const char *value, unsigned size);
int hs_ioctl(int fd, unsigned long request, char *structure);
int hs_list_interfaces(int fd, char *list, int room);
""")
ffibuilder.set_source(
    "sentry.platform._net",
    "\n".join(f'#line 1 "{name}"\n{(NATIVE / name).read_text()}' for name in SOURCES),
    extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
)
