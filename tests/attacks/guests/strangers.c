// Two processes that know each other by an abstract name only: what one can do with what the other gives.

#include "attack.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { FILES = 2 };

static struct sockaddr_un name = {AF_UNIX, "\0strangers"};
static const socklen_t name_size = offsetof(struct sockaddr_un, sun_path) + 10;

static int peer_pid(int sock)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return -errno;
    return peer.pid;
}

static struct msghdr message(struct iovec *part, char *control, size_t size)
{
    return (struct msghdr){.msg_iov = part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = size};
}

static int give(int sock)
{
    char control[CMSG_SPACE(FILES * sizeof(int))] = {0}, byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr msg = message(&part, control, sizeof control);
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    int files[FILES] = {open("/proc", O_RDONLY | O_DIRECTORY), raw(SYS_pidfd_open, getpid(), 0, 0, 0, 0, 0)};
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof files);
    memcpy(CMSG_DATA(head), files, sizeof files);
    return sendmsg(sock, &msg, 0) == 1 ? 0 : 1;
}

static int serve(void)
{
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&name, name_size) < 0 || listen(listener, 1) < 0)
        return 1;
    int sock = accept(listener, 0, 0);
    char byte;
    printf("the peer of the server: %d\n", peer_pid(sock));
    fflush(stdout);
    if (give(sock) || read(sock, &byte, 1) != 1)
        return 1;
    printf("the server is alive\n");
    return 0;
}

static void tell(const char *what, long result)
{
    printf("%s: %s\n", what, result < 0 ? error_of(result) : "done");
}

static int visit(void)
{
    char control[CMSG_SPACE(FILES * sizeof(int))], byte, link[100];
    struct iovec part = {&byte, 1};
    struct msghdr msg = message(&part, control, sizeof control);
    int sock = socket(AF_UNIX, SOCK_STREAM, 0), files[FILES];
    for (int tries = 0; connect(sock, (struct sockaddr *)&name, name_size) < 0; tries++) {
        if (tries == 100)
            return 1;
        usleep(100000);
    }
    printf("the peer of the visitor: %d\n", peer_pid(sock));
    if (recvmsg(sock, &msg, 0) != 1)
        return 1;
    memcpy(files, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof files);
    tell("self in the server's proc", raw(SYS_readlinkat, files[0], (ul) "self", (ul)link, sizeof link, 0, 0));
    tell("the server's memory", raw(SYS_openat, files[0], (ul) "self/mem", O_RDWR, 0, 0, 0));
    tell("SIGKILL by a pidfd", raw(SYS_pidfd_send_signal, files[1], SIGKILL, 0, 0, 0, 0));
    tell("waitid by a pidfd", raw(SYS_waitid, 3, files[1], 0, WEXITED | WNOHANG, 0, 0));
    fflush(stdout);
    return write(sock, "x", 1) != 1;
}

int main(int argc, char **argv) { return argc > 1 ? serve() : visit(); }
