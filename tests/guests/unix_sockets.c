/* unix(7): socket(2), bind(2), connect(2), accept(2), send(2), recvmsg(2), shutdown(2), getsockopt(2). */
#include "guest.h"

#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static int fds[2];

static struct sockaddr_un name_of(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	strcpy(name.sun_path, path);
	return name;
}

static socklen_t size_of(const struct sockaddr_un *name)
{
	return offsetof(struct sockaddr_un, sun_path) + strlen(name->sun_path) + 1;
}

static int bound(int kind, const char *path)
{
	struct sockaddr_un name = name_of(path);
	int fd = OK(socket(AF_UNIX, kind, 0));

	OK(bind(fd, (struct sockaddr *)&name, size_of(&name)));
	return fd;
}

static int listening(int kind, const char *path, int backlog)
{
	int fd = bound(kind, path);

	OK(listen(fd, backlog));
	return fd;
}

static int try_connect(int fd, const char *path)
{
	struct sockaddr_un name = name_of(path);

	return connect(fd, (struct sockaddr *)&name, size_of(&name));
}

static int option(int fd, int which)
{
	int value = -1;
	socklen_t size = sizeof(value);

	OK(getsockopt(fd, SOL_SOCKET, which, &value, &size));
	EXPECT_EQ(size, sizeof(value));
	return value;
}

CASE(socket_errors)
{
	EXPECT_ERRNO(socket(9999, SOCK_STREAM, 0), EAFNOSUPPORT);
	EXPECT_ERRNO(socket(AF_UNIX, 9, 0), ESOCKTNOSUPPORT);
	EXPECT_ERRNO(socket(AF_UNIX, 12, 0), EINVAL);
	EXPECT_ERRNO(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	EXPECT_ERRNO(socket(AF_UNIX, SOCK_STREAM, 5), EPROTONOSUPPORT);
	EXPECT_ERRNO(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL);
	EXPECT_ERRNO(socketpair(9999, SOCK_STREAM, 0, fds), EAFNOSUPPORT);
	EXPECT_ERRNO(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8), EFAULT);
}

CASE(socket_flags)
{
	int fd = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));

	EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(option(fd, SO_TYPE), SOCK_STREAM);
	EXPECT_EQ(option(fd, SO_DOMAIN), AF_UNIX);
	EXPECT_EQ(option(fd, SO_PROTOCOL), 0);
	EXPECT_EQ(option(fd, SO_ACCEPTCONN), 0);
	EXPECT_EQ(option(fd, SO_ERROR), 0);
}

CASE(stream_pair_is_a_stream_both_ways)
{
	char bytes[16];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(write(fds[0], "def", 3), 3);
	EXPECT_EQ(read(fds[1], bytes, 16), 6);
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	EXPECT_EQ(read(fds[0], bytes, 16), 1);
	OK(close(fds[0]));
	EXPECT_EQ(read(fds[1], bytes, 16), 0);
	signal(SIGPIPE, SIG_IGN);
	EXPECT_ERRNO(write(fds[1], "x", 1), EPIPE);
}

CASE(write_to_a_closed_peer_raises_sigpipe_unless_nosignal)
{
	handle(SIGPIPE, count_signal);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(close(fds[0]));
	EXPECT_ERRNO(send(fds[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	EXPECT_EQ(signals_seen, 0);
	EXPECT_ERRNO(send(fds[1], "x", 1, 0), EPIPE);
	EXPECT_EQ(signals_seen, 1);
}

CASE(unread_data_makes_the_peers_end_econnreset)
{
	char bytes[4];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	OK(close(fds[1]));
	EXPECT_ERRNO(read(fds[0], bytes, 4), ECONNRESET);
	EXPECT_EQ(read(fds[0], bytes, 4), 0);
}

CASE(datagram_pair_keeps_messages)
{
	char bytes[16];

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(write(fds[0], "", 0), 0);
	EXPECT_EQ(write(fds[0], "defg", 4), 4);
	EXPECT_EQ(recv(fds[1], bytes, 2, 0), 2);
	EXPECT_EQ(recv(fds[1], bytes, 16, 0), 0);
	EXPECT_EQ(recv(fds[1], bytes, 2, MSG_TRUNC), 4);
	EXPECT_ERRNO(recv(fds[1], bytes, 2, MSG_DONTWAIT), EAGAIN);
}

CASE(seqpacket_keeps_messages_and_ends)
{
	struct iovec part;
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	char bytes[16];

	OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
	EXPECT_EQ(write(fds[0], "abcdef", 6), 6);
	part = (struct iovec){bytes, 3};
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 3);
	EXPECT_EQ(header.msg_flags & MSG_TRUNC, MSG_TRUNC);
	EXPECT_EQ(write(fds[0], "g", 1), 1);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 1);
	EXPECT_EQ(header.msg_flags & MSG_TRUNC, 0);
	OK(close(fds[0]));
	EXPECT_EQ(recv(fds[1], bytes, 16, 0), 0);
}

CASE(peek_leaves_the_data)
{
	char bytes[16];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(recv(fds[1], bytes, 2, MSG_PEEK), 2);
	EXPECT_EQ(recv(fds[1], bytes, 16, MSG_PEEK), 3);
	EXPECT_EQ(recv(fds[1], bytes, 16, 0), 3);
}

CASE(waitall_waits_for_all)
{
	char bytes[8];
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	CHILD(pid) {
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fds[0], "defgh", 5), 5);
	}
	EXPECT_EQ(recv(fds[1], bytes, 8, MSG_WAITALL), 8);
	EXPECT_EXIT(pid, 0);
}

CASE(connect_and_accept)
{
	struct sockaddr_un name;
	socklen_t size = sizeof(name);
	int server = listening(SOCK_STREAM, "socket", 5), client = OK(socket(AF_UNIX, SOCK_STREAM, 0)), fd;
	char bytes[8];

	EXPECT_EQ(option(server, SO_ACCEPTCONN), 1);
	OK(try_connect(client, "socket"));
	fd = OK(accept4(server, (struct sockaddr *)&name, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
	EXPECT_EQ(size, 2);
	EXPECT_EQ(name.sun_family, AF_UNIX);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	EXPECT_EQ(write(client, "hello", 5), 5);
	EXPECT_EQ(read(fd, bytes, 8), 5);
	size = sizeof(name);
	OK(getpeername(client, (struct sockaddr *)&name, &size));
	EXPECT_STR(name.sun_path, "socket");
	EXPECT_EQ(size, offsetof(struct sockaddr_un, sun_path) + 7);
	size = sizeof(name);
	OK(getsockname(fd, (struct sockaddr *)&name, &size));
	EXPECT_STR(name.sun_path, "socket");
	EXPECT_ERRNO(try_connect(client, "socket"), EISCONN);
}

CASE(connect_errors)
{
	int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));

	write_file("file", "");
	bound(SOCK_STREAM, "bound");
	bound(SOCK_DGRAM, "datagrams");
	EXPECT_ERRNO(try_connect(fd, "missing"), ENOENT);
	EXPECT_ERRNO(try_connect(fd, "file"), ECONNREFUSED);
	EXPECT_ERRNO(try_connect(fd, "bound"), ECONNREFUSED);
	EXPECT_ERRNO(try_connect(fd, "datagrams"), EPROTOTYPE);
	EXPECT_ERRNO(connect(fd, (struct sockaddr *)&(struct sockaddr){.sa_family = AF_INET}, 16), EINVAL);
	EXPECT_ERRNO(connect(0, (struct sockaddr *)&(struct sockaddr){.sa_family = AF_UNIX}, 16), ENOTSOCK);
	EXPECT_ERRNO(connect(77, (struct sockaddr *)&(struct sockaddr){.sa_family = AF_UNIX}, 16), EBADF);
}

CASE(bind_errors)
{
	struct sockaddr_un name = name_of("socket");
	struct stat st;
	int fd = bound(SOCK_STREAM, "socket"), other = OK(socket(AF_UNIX, SOCK_STREAM, 0));

	OK(stat("socket", &st));
	EXPECT_EQ(st.st_mode, S_IFSOCK | 0755);
	EXPECT_ERRNO(bind(other, (struct sockaddr *)&name, size_of(&name)), EADDRINUSE);
	name = name_of("another");
	EXPECT_ERRNO(bind(fd, (struct sockaddr *)&name, size_of(&name)), EINVAL);
	name = name_of("missing/socket");
	EXPECT_ERRNO(bind(other, (struct sockaddr *)&name, size_of(&name)), ENOENT);
	EXPECT_ERRNO(bind(other, (struct sockaddr *)&name, 200), EINVAL);
	name.sun_family = AF_INET;
	EXPECT_ERRNO(bind(other, (struct sockaddr *)&name, size_of(&name)), EINVAL);
}

CASE(listen_and_accept_errors)
{
	int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0)), datagrams = bound(SOCK_DGRAM, "datagrams");

	EXPECT_ERRNO(listen(fd, 1), EINVAL);
	EXPECT_ERRNO(accept(fd, NULL, NULL), EINVAL);
	EXPECT_ERRNO(listen(datagrams, 1), EOPNOTSUPP);
	EXPECT_ERRNO(accept(datagrams, NULL, NULL), EOPNOTSUPP);
	fd = listening(SOCK_STREAM, "socket", 1);
	OK(fcntl(fd, F_SETFL, O_NONBLOCK));
	EXPECT_ERRNO(accept(fd, NULL, NULL), EAGAIN);
	EXPECT_ERRNO(accept4(fd, NULL, NULL, 1), EINVAL);
	EXPECT_ERRNO(accept(0, NULL, NULL), ENOTSOCK);
	EXPECT_ERRNO(read(fd, &fd, 1), EINVAL);
}

CASE(full_backlog_blocks_or_is_eagain)
{
	int server = listening(SOCK_STREAM, "socket", 0), one = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	int two = OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	pid_t pid;

	OK(try_connect(one, "socket"));
	EXPECT_ERRNO(try_connect(two, "socket"), EAGAIN);
	CHILD(pid)
		OK(try_connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), "socket"));
	wait_until_asleep(pid);
	OK(accept(server, NULL, NULL));
	EXPECT_EXIT(pid, 0);
}

CASE(closed_listener_refuses_and_resets)
{
	char byte;
	int server = listening(SOCK_STREAM, "socket", 5), client = OK(socket(AF_UNIX, SOCK_STREAM, 0));

	OK(try_connect(client, "socket"));
	OK(close(server));
	EXPECT_ERRNO(read(client, &byte, 1), ECONNRESET);
	EXPECT_ERRNO(try_connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), "socket"), ECONNREFUSED);
}

CASE(abstract_names)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0hidden"}, got;
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + 7, got_size = sizeof(got);
	int server = OK(socket(AF_UNIX, SOCK_STREAM, 0)), client = OK(socket(AF_UNIX, SOCK_STREAM, 0));

	OK(bind(server, (struct sockaddr *)&name, size));
	OK(listen(server, 1));
	EXPECT_ERRNO(bind(client, (struct sockaddr *)&name, size), EADDRINUSE);
	OK(connect(client, (struct sockaddr *)&name, size));
	OK(getpeername(client, (struct sockaddr *)&got, &got_size));
	EXPECT_EQ(got_size, size);
	EXPECT(memcmp(&got, &name, size) == 0);
	OK(close(server));
	EXPECT_ERRNO(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&name, size), ECONNREFUSED);
}

CASE(autobind_gives_an_abstract_name)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	socklen_t size = sizeof(name);
	int fd = OK(socket(AF_UNIX, SOCK_DGRAM, 0));

	OK(bind(fd, (struct sockaddr *)&name, 2));
	OK(getsockname(fd, (struct sockaddr *)&name, &size));
	EXPECT_EQ(size, 8);
	EXPECT_EQ(name.sun_path[0], 0);
}

CASE(datagrams_by_name_tell_the_sender)
{
	struct sockaddr_un name = name_of("server"), from;
	socklen_t size = sizeof(from);
	int server = bound(SOCK_DGRAM, "server"), client = bound(SOCK_DGRAM, "client");
	char bytes[8];

	EXPECT_EQ(sendto(client, "hello", 5, 0, (struct sockaddr *)&name, size_of(&name)), 5);
	EXPECT_EQ(recvfrom(server, bytes, 8, 0, (struct sockaddr *)&from, &size), 5);
	EXPECT_STR(from.sun_path, "client");
	EXPECT_ERRNO(send(client, "x", 1, 0), ENOTCONN);
	OK(try_connect(client, "server"));
	EXPECT_EQ(send(client, "x", 1, 0), 1);
	OK(close(server));
	EXPECT_ERRNO(send(client, "x", 1, 0), ECONNREFUSED);
	name = name_of("missing");
	EXPECT_ERRNO(sendto(client, "x", 1, 0, (struct sockaddr *)&name, size_of(&name)), ENOENT);
}

CASE(shutdown_of_each_direction)
{
	char byte;
	struct pollfd polled;

	handle(SIGPIPE, count_signal);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(write(fds[0], "x", 1), 1);
	OK(shutdown(fds[0], SHUT_WR));
	EXPECT_ERRNO(write(fds[0], "y", 1), EPIPE);
	EXPECT_EQ(signals_seen, 1);
	EXPECT_EQ(read(fds[1], &byte, 1), 1);
	EXPECT_EQ(read(fds[1], &byte, 1), 0);
	EXPECT_EQ(write(fds[1], "z", 1), 1);
	EXPECT_EQ(read(fds[0], &byte, 1), 1);
	OK(shutdown(fds[0], SHUT_RD));
	EXPECT_EQ(read(fds[0], &byte, 1), 0);
	EXPECT_ERRNO(write(fds[1], "z", 1), EPIPE);
	polled = (struct pollfd){fds[0], POLLIN | POLLOUT | POLLRDHUP, 0};
	EXPECT_EQ(poll(&polled, 1, 0), 1);
	EXPECT_EQ(polled.revents, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	EXPECT_ERRNO(shutdown(fds[0], 9), EINVAL);
	OK(shutdown(OK(socket(AF_UNIX, SOCK_STREAM, 0)), SHUT_RD));
	EXPECT_ERRNO(shutdown(0, SHUT_RD), ENOTSOCK);
}

CASE(unconnected_sockets)
{
	char byte;
	int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	struct sockaddr_un name;
	socklen_t size = sizeof(name);
	struct pollfd polled = {fd, POLLIN | POLLOUT, 0};

	EXPECT_ERRNO(read(fd, &byte, 1), EINVAL);
	EXPECT_ERRNO(write(fd, "x", 1), ENOTCONN);
	EXPECT_ERRNO(getpeername(fd, (struct sockaddr *)&name, &size), ENOTCONN);
	OK(getsockname(fd, (struct sockaddr *)&name, &size));
	EXPECT_EQ(size, 2);
	EXPECT_EQ(poll(&polled, 1, 0), 1);
	EXPECT_EQ(polled.revents, POLLOUT | POLLHUP);
}

CASE(peercred_is_of_the_connection)
{
	struct ucred creds;
	socklen_t size = sizeof(creds);
	int server = listening(SOCK_STREAM, "socket", 5), fd;
	pid_t pid;

	OK(chmod("socket", 0777));
	CHILD(pid) {
		fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
		become(NOBODY);
		OK(try_connect(fd, "socket"));
		OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &size));
		EXPECT_EQ(creds.pid, getppid());
	}
	fd = OK(accept(server, NULL, NULL));
	OK(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &size));
	EXPECT_EQ(creds.pid, pid);
	EXPECT_EQ(creds.uid, NOBODY);
	EXPECT_EXIT(pid, 0);
}

CASE(connect_needs_write_permission)
{
	pid_t pid;

	listening(SOCK_STREAM, "socket", 5);
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(try_connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), "socket"), EACCES);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(socket_options)
{
	struct { long seconds, micros; } time = {3, 0};
	socklen_t size = sizeof(time);
	int value = 1, fd;

	fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)));
	time.seconds = 0;
	OK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, &size));
	EXPECT_EQ(time.seconds, 3);
	OK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value)));
	EXPECT_EQ(option(fd, SO_REUSEADDR), 1);
	value = 10000;
	OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof(value)));
	EXPECT_EQ(option(fd, SO_SNDBUF), 20000);
	EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, 1), EINVAL);
	EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, 9999, &value, sizeof(value)), ENOPROTOOPT);
	EXPECT_ERRNO(getsockopt(fd, SOL_SOCKET, 9999, &value, &size), ENOPROTOOPT);
	EXPECT_ERRNO(getsockopt(fd, 99, 1, &value, &size), EOPNOTSUPP);
	EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_TYPE, &value, sizeof(value)), ENOPROTOOPT);
	EXPECT_ERRNO(getsockopt(0, SOL_SOCKET, SO_TYPE, &value, &size), ENOTSOCK);
}

CASE(receive_timeout_is_eagain)
{
	struct { long seconds, micros; } time = {0, 20000};
	long long before = now_ms();
	char byte;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)));
	EXPECT_ERRNO(read(fds[0], &byte, 1), EAGAIN);
	EXPECT_ERRNO(recv(fds[0], &byte, 1, 0), EAGAIN);
	EXPECT(now_ms() - before >= 40);
}

CASE(full_socket_blocks_the_writer)
{
	static char bytes[1 << 20];
	struct pollfd polled;
	long total = 0, done;
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(fcntl(fds[0], F_SETFL, O_NONBLOCK));
	while ((done = write(fds[0], bytes, 65536)) > 0)
		total += done;
	EXPECT_EQ(errno, EAGAIN);
	EXPECT(total >= 65536);
	polled = (struct pollfd){fds[0], POLLOUT, 0};
	EXPECT_EQ(poll(&polled, 1, 0), 0);
	OK(fcntl(fds[0], F_SETFL, 0));
	CHILD(pid)
		EXPECT_EQ(write(fds[0], bytes, 300000), 300000);
	OK(close(fds[0]));
	while ((done = OK(read(fds[1], bytes, 100000))) > 0)
		total -= done;
	EXPECT_EQ(total, -300000);
	EXPECT_EXIT(pid, 0);
}

CASE(fionread_and_siocoutq)
{
	int count;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(write(fds[0], "abcde", 5), 5);
	OK(ioctl(fds[1], FIONREAD, &count));
	EXPECT_EQ(count, 5);
	OK(ioctl(fds[0], FIONREAD, &count));
	EXPECT_EQ(count, 0);
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(write(fds[0], "de", 2), 2);
	OK(ioctl(fds[1], FIONREAD, &count));
	EXPECT_EQ(count, 3);
}

CASE(sendmmsg_and_recvmmsg)
{
	struct iovec out[2] = {{"abc", 3}, {"de", 2}}, in[3];
	struct mmsghdr sent[2] = {{.msg_hdr = {.msg_iov = &out[0], .msg_iovlen = 1}},
				  {.msg_hdr = {.msg_iov = &out[1], .msg_iovlen = 1}}};
	struct mmsghdr got[3] = {0};
	char bytes[3][8];

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	EXPECT_EQ(sendmmsg(fds[0], sent, 2, 0), 2);
	EXPECT_EQ(sent[1].msg_len, 2);
	for (int i = 0; i < 3; i++) {
		in[i] = (struct iovec){bytes[i], 8};
		got[i].msg_hdr.msg_iov = &in[i];
		got[i].msg_hdr.msg_iovlen = 1;
	}
	EXPECT_EQ(recvmmsg(fds[1], got, 3, MSG_WAITFORONE, NULL), 2);
	EXPECT_EQ(got[0].msg_len, 3);
	EXPECT_EQ(got[1].msg_len, 2);
}

CASE(lseek_and_pread_of_a_socket_are_espipe)
{
	char byte;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_ERRNO(lseek(fds[0], 0, SEEK_SET), ESPIPE);
	EXPECT_ERRNO(pread(fds[0], &byte, 1, 0), ESPIPE);
	EXPECT_ERRNO(ftruncate(fds[0], 0), EINVAL);
	EXPECT_ERRNO(fsync(fds[0]), EINVAL);
}
