// Sockets of the host's own stack, for --network=host (socket(2), ip(7), netlink(7)).
// Mechanism only: what may be asked for is decided in Python, and once more by
// the sandbox's filter.  Nothing here waits: descriptors are non-blocking, and
// messages are sent and received with MSG_DONTWAIT besides.
// Every function returns -errno on failure.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

// What came with a message.
struct hs_received {
    unsigned address_size;
    unsigned control_size;
    int flags;
    char address[128];   // struct sockaddr_storage
    char control[2048];  // struct cmsghdr each; more than the options of a socket can ask for
};

int hs_socket(int family, int kind, int protocol)
{
    int fd = socket(family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    return fd < 0 ? -errno : fd;
}

int hs_accept(int fd)
{
    int made = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return made < 0 ? -errno : made;
}

int hs_bind(int fd, const char *address, unsigned size)
{
    return bind(fd, (const struct sockaddr *)address, size) < 0 ? -errno : 0;
}

int hs_connect(int fd, const char *address, unsigned size)
{
    return connect(fd, (const struct sockaddr *)address, size) < 0 ? -errno : 0;
}

int hs_listen(int fd, int backlog) { return listen(fd, backlog) < 0 ? -errno : 0; }

int hs_shutdown(int fd, int how) { return shutdown(fd, how) < 0 ? -errno : 0; }

// Writes the own address, or the peer's; `room` is at least 128.  Returns its size.
int hs_name(int fd, int of_peer, char *address, unsigned room)
{
    socklen_t size = room;
    int error = of_peer ? getpeername(fd, (struct sockaddr *)address, &size)
                        : getsockname(fd, (struct sockaddr *)address, &size);
    if (error < 0)
        return -errno;
    return (int)(size < room ? size : room);
}

// Sends one message; `flags` are added to those that keep it from waiting and signalling.
long hs_send(int fd, const char *data, size_t size, const char *address, unsigned address_size,
             const char *control, size_t control_size, int flags)
{
    struct iovec part = {(void *)data, size};
    struct msghdr message = {
        .msg_name = address_size ? (void *)address : NULL,
        .msg_namelen = address_size,
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control_size ? (void *)control : NULL,
        .msg_controllen = control_size,
    };
    ssize_t done = sendmsg(fd, &message, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    return done < 0 ? -errno : done;
}

long hs_receive(int fd, char *buffer, size_t room, int flags, struct hs_received *received)
{
    struct iovec part = {buffer, room};
    struct msghdr message = {
        .msg_name = received->address,
        .msg_namelen = sizeof received->address,
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = received->control,
        .msg_controllen = sizeof received->control,
    };
    ssize_t done = recvmsg(fd, &message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (done < 0)
        return -errno;
    received->address_size = message.msg_namelen < sizeof received->address
                                 ? message.msg_namelen
                                 : sizeof received->address;
    received->control_size = (unsigned)message.msg_controllen;
    received->flags = message.msg_flags;
    return done;
}

// Returns the size of the value.
int hs_get_option(int fd, int level, int option, char *value, unsigned room)
{
    socklen_t size = room;
    if (getsockopt(fd, level, option, value, &size) < 0)
        return -errno;
    return (int)(size < room ? size : room);
}

int hs_set_option(int fd, int level, int option, const char *value, unsigned size)
{
    return setsockopt(fd, level, option, value, size) < 0 ? -errno : 0;
}

// The structure is read and changed; it has no pointers but to `list`, if there is one.
int hs_ioctl(int fd, unsigned long request, char *structure)
{
    int result = ioctl(fd, request, structure);
    return result < 0 ? -errno : result;
}

// SIOCGIFCONF (netdevice(7)): returns the size of what was written to `list`.
int hs_list_interfaces(int fd, char *list, int room)
{
    // struct ifconf; <net/if.h> does not go with <linux/if_packet.h> of net.c everywhere.
    struct {
        int size;
        char *list;
    } request = {room, list};
    return ioctl(fd, 0x8912UL, &request) < 0 ? -errno : request.size;
}
