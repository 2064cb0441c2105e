/* unix(7): messages with descriptors and credentials, sequenced packets, names, polls and ends. */
#include "guest.h"

#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

static int fds[2];
static char bytes[65536], control[512];

static struct msghdr header_for(struct iovec *part, size_t size)
{
	*part = (struct iovec){bytes, size};
	return (struct msghdr){
		.msg_iov = part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
}

static void put_control(struct msghdr *header, int type, const void *data, size_t size)
{
	struct cmsghdr *at;

	memset(control, 0, sizeof(control));
	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(size);
	at = CMSG_FIRSTHDR(header);
	at->cmsg_level = SOL_SOCKET;
	at->cmsg_type = type;
	at->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(at), data, size);
}

static void send_rights(int fd, const int *what, int count)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 1);

	put_control(&header, SCM_RIGHTS, what, count * sizeof(int));
	EXPECT_EQ(sendmsg(fd, &header, 0), 1);
}

/* Receive one message; return the number of descriptors that came, the first in `first`. */
static int receive_rights(int fd, int *first, int flags)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 16);
	struct cmsghdr *at;

	EXPECT_EQ(recvmsg(fd, &header, flags), 1);
	at = CMSG_FIRSTHDR(&header);
	if (!at)
		return 0;
	EXPECT_EQ(at->cmsg_type, SCM_RIGHTS);
	memcpy(first, CMSG_DATA(at), sizeof(int));
	return (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
}

static struct sockaddr_un abstract(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path + 1, name);
	return address;
}

static socklen_t abstract_size(const char *name)
{
	return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
}

static int events_of(int fd, int wanted)
{
	struct pollfd one = {.fd = fd, .events = wanted};

	OK(poll(&one, 1, 0));
	return one.revents;
}

CASE(rights_of_several_files_keep_their_order)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 16);
	int what[3], got[3];

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	for (int i = 0; i < 3; i++) {
		char name[2] = {'a' + i, 0};

		write_file(name, name);
		what[i] = OK(open(name, O_RDONLY));
	}
	send_rights(fds[0], what, 3);
	EXPECT_EQ(recvmsg(fds[1], &header, MSG_CMSG_CLOEXEC), 1);
	EXPECT_EQ(header.msg_flags, MSG_CMSG_CLOEXEC);
	EXPECT_EQ(CMSG_FIRSTHDR(&header)->cmsg_len, CMSG_LEN(sizeof(got)));
	memcpy(got, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(got));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		EXPECT_EQ(read(got[i], bytes, 8), 1);
		EXPECT_EQ(bytes[0], 'a' + i);
	}
}

CASE(peeked_rights_are_new_descriptors_each_time)
{
	int first, second;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	send_rights(fds[0], &(int){0}, 1);
	EXPECT_EQ(receive_rights(fds[1], &first, MSG_PEEK), 1);
	EXPECT_EQ(receive_rights(fds[1], &second, 0), 1);
	EXPECT(first != second);
	OK(fcntl(first, F_GETFD));
	OK(fcntl(second, F_GETFD));
}

CASE(a_socket_can_be_sent_through_itself)
{
	int got;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	send_rights(fds[0], &fds[1], 1);
	EXPECT_EQ(receive_rights(fds[1], &got, 0), 1);
	EXPECT_EQ(write(fds[0], "through", 7), 7);
	EXPECT_EQ(read(got, bytes, 16), 7);
}

CASE(too_many_rights_are_einval)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 1);
	static int many[254];
	static char room[2048];
	struct cmsghdr *at = (struct cmsghdr *)room;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	*at = (struct cmsghdr){CMSG_LEN(sizeof(many)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(at), many, sizeof(many));
	header.msg_control = room;
	header.msg_controllen = CMSG_SPACE(sizeof(many));
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
	at->cmsg_len = CMSG_LEN(253 * sizeof(int));
	EXPECT_EQ(sendmsg(fds[0], &header, 0), 1);
}

CASE(rights_come_only_to_who_is_reading_the_byte)
{
	int got;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(write(fds[0], "ab", 2), 2);
	send_rights(fds[0], &(int){0}, 1);
	EXPECT_EQ(read(fds[1], bytes, 2), 2);
	EXPECT_EQ(receive_rights(fds[1], &got, 0), 1);
}

CASE(credentials_are_of_the_sender)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 16);
	struct ucred who;
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	OK(setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
	CHILD(pid) {
		become(1234);
		EXPECT_EQ(write(fds[0], "x", 1), 1);
	}
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 1);
	EXPECT_EQ(CMSG_FIRSTHDR(&header)->cmsg_type, SCM_CREDENTIALS);
	memcpy(&who, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(who));
	EXPECT_EQ(who.pid, pid);
	EXPECT_EQ(who.uid, 1234);
	EXPECT_EQ(who.gid, 1234);
	EXPECT_EXIT(pid, 0);
}

CASE(credentials_cannot_be_forged)
{
	struct ucred who = {1, 0, 0};
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	CHILD(pid) {
		struct iovec part;
		struct msghdr header = header_for(&part, 1);

		become(1234);
		put_control(&header, SCM_CREDENTIALS, &who, sizeof(who));
		EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EPERM);
		who = (struct ucred){getpid(), 1234, 1234};
		put_control(&header, SCM_CREDENTIALS, &who, sizeof(who));
		EXPECT_EQ(sendmsg(fds[0], &header, 0), 1);
		put_control(&header, SCM_CREDENTIALS, &who, sizeof(who) - 1);
		EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(streams_do_not_mix_credentials)
{
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &(int){1}, sizeof(int)));
	EXPECT_EQ(write(fds[0], "mine", 4), 4);
	CHILD(pid) {
		become(1234);
		EXPECT_EQ(write(fds[0], "yours", 5), 5);
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(read(fds[1], bytes, 64), 4);
	EXPECT_EQ(read(fds[1], bytes, 64), 5);
}

CASE(seqpacket_connections)
{
	struct sockaddr_un name = abstract("packets");
	int server = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0)), client, got;

	OK(bind(server, (struct sockaddr *)&name, abstract_size("packets")));
	OK(listen(server, 2));
	client = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
	EXPECT_ERRNO(write(client, "x", 1), ENOTCONN);
	EXPECT_ERRNO(read(client, bytes, 1), ENOTCONN);
	OK(connect(client, (struct sockaddr *)&name, abstract_size("packets")));
	got = OK(accept(server, NULL, NULL));
	EXPECT_EQ(send(client, "one", 3, MSG_EOR), 3);
	EXPECT_EQ(send(client, "four", 4, 0), 4);
	EXPECT_EQ(read(got, bytes, 64), 3);
	EXPECT_EQ(read(got, bytes, 2), 2);
	EXPECT_ERRNO(recv(got, bytes, 64, MSG_DONTWAIT), EAGAIN);
	/* An address is ignored. */
	EXPECT_EQ(sendto(client, "x", 1, 0, (struct sockaddr *)&name, abstract_size("packets")), 1);
	EXPECT_EQ(read(got, bytes, 64), 1);
	OK(shutdown(client, SHUT_WR));
	EXPECT_EQ(read(got, bytes, 64), 0);
	OK(close(client));
	signal(SIGPIPE, SIG_IGN);
	EXPECT_ERRNO(write(got, "x", 1), EPIPE);
}

CASE(abstract_names_are_bytes)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX}, other;
	socklen_t size = sizeof(other), wanted = offsetof(struct sockaddr_un, sun_path) + 4;
	int fd = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), second = OK(socket(AF_UNIX, SOCK_DGRAM, 0));

	memcpy(name.sun_path, "\0a\0b", 4);
	OK(bind(fd, (struct sockaddr *)&name, wanted));
	OK(getsockname(fd, (struct sockaddr *)&other, &size));
	EXPECT_EQ(size, wanted);
	EXPECT_EQ(memcmp(other.sun_path, name.sun_path, 4), 0);
	EXPECT_ERRNO(bind(second, (struct sockaddr *)&name, wanted), EADDRINUSE);
	OK(bind(second, (struct sockaddr *)&name, wanted - 1));
	EXPECT_ERRNO(connect(second, (struct sockaddr *)&name, wanted + 1), ECONNREFUSED);
}

CASE(abstract_names_go_with_the_last_descriptor)
{
	struct sockaddr_un name = abstract("gone");
	int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0)), copy, again = OK(socket(AF_UNIX, SOCK_STREAM, 0));

	OK(bind(fd, (struct sockaddr *)&name, abstract_size("gone")));
	copy = OK(dup(fd));
	OK(close(fd));
	EXPECT_ERRNO(bind(again, (struct sockaddr *)&name, abstract_size("gone")), EADDRINUSE);
	OK(close(copy));
	OK(bind(again, (struct sockaddr *)&name, abstract_size("gone")));
}

CASE(names_of_108_bytes_need_no_end)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));

	memset(name.sun_path, 'n', sizeof(name.sun_path));
	OK(bind(fd, (struct sockaddr *)&name, sizeof(name)));
	EXPECT_ERRNO(bind(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&name, sizeof(name)),
		     EADDRINUSE);
	EXPECT_ERRNO(bind(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&name,
			  sizeof(name) + 1), EINVAL);
}

CASE(bound_names_have_the_mode_of_the_umask)
{
	struct sockaddr_un name = {AF_UNIX, "socket"};
	struct stat status;

	umask(027);
	OK(bind(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&name, sizeof(name)));
	OK(stat("socket", &status));
	EXPECT_EQ(status.st_mode, S_IFSOCK | 0750);
	EXPECT_ERRNO(open("socket", O_RDONLY), ENXIO);
}

CASE(an_unlinked_name_refuses_and_connections_stay)
{
	struct sockaddr_un name = {AF_UNIX, "socket"};
	int server = OK(socket(AF_UNIX, SOCK_STREAM, 0)), client = OK(socket(AF_UNIX, SOCK_STREAM, 0)), got;

	OK(bind(server, (struct sockaddr *)&name, sizeof(name)));
	OK(listen(server, 1));
	OK(connect(client, (struct sockaddr *)&name, sizeof(name)));
	OK(unlink("socket"));
	EXPECT_ERRNO(connect(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&name, sizeof(name)),
		     ENOENT);
	got = OK(accept(server, NULL, NULL));
	EXPECT_EQ(write(client, "x", 1), 1);
	EXPECT_EQ(read(got, bytes, 1), 1);
}

CASE(a_renamed_name_still_connects)
{
	struct sockaddr_un name = {AF_UNIX, "socket"};
	int server = OK(socket(AF_UNIX, SOCK_STREAM, 0)), client = OK(socket(AF_UNIX, SOCK_STREAM, 0));

	OK(bind(server, (struct sockaddr *)&name, sizeof(name)));
	OK(listen(server, 1));
	OK(rename("socket", "other"));
	strcpy(name.sun_path, "other");
	OK(connect(client, (struct sockaddr *)&name, sizeof(name)));
}

CASE(polls_of_a_stream)
{
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(events_of(fds[0], POLLIN | POLLOUT | POLLRDHUP), POLLOUT);
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	EXPECT_EQ(events_of(fds[0], POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT);
	OK(shutdown(fds[1], SHUT_WR));
	EXPECT_EQ(events_of(fds[0], POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
	OK(close(fds[1]));
	EXPECT_EQ(events_of(fds[0], POLLIN | POLLOUT | POLLRDHUP),
		  POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

CASE(polls_of_datagrams)
{
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	EXPECT_EQ(events_of(fds[0], POLLIN | POLLOUT), POLLOUT);
	while (send(fds[0], "x", 1, MSG_DONTWAIT) == 1)
		;
	EXPECT_EQ(errno, EAGAIN);
	EXPECT_EQ(events_of(fds[0], POLLOUT), 0);
	EXPECT_EQ(read(fds[1], bytes, 8), 1);
	OK(close(fds[1]));
	EXPECT_EQ(events_of(fds[0], POLLOUT) & POLLOUT, POLLOUT);
	EXPECT_ERRNO(write(fds[0], "x", 1), ECONNREFUSED);
	EXPECT_ERRNO(write(fds[0], "x", 1), ENOTCONN);
}

CASE(edge_triggers_of_a_stream)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int ep = OK(epoll_create1(0));

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event));
	EXPECT_EQ(write(fds[1], "ab", 2), 2);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 0), 1);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 0), 0);
	EXPECT_EQ(read(fds[0], bytes, 1), 1);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 0), 0);
	EXPECT_EQ(write(fds[1], "c", 1), 1);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 0), 1);
}

CASE(a_signal_cuts_a_wait_short)
{
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	handle(SIGUSR1, count_signal);
	pid = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(read(fds[0], bytes, 1), EINTR);
	EXPECT_EXIT(pid, 0);
}

CASE(a_handler_with_restart_lets_the_wait_go_on)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	pid_t pid, writer;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(sigaction(SIGUSR1, &action, NULL));
	CHILD(writer) {
		pid = signal_when_asleep(getppid(), SIGUSR1);
		EXPECT_EXIT(pid, 0);
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fds[1], "x", 1), 1);
	}
	EXPECT_EQ(read(fds[0], bytes, 1), 1);
	EXPECT_EQ(signals_seen, 1);
	EXPECT_EXIT(writer, 0);
}

CASE(low_water_mark_of_a_stream)
{
	pid_t pid;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(setsockopt(fds[1], SOL_SOCKET, SO_RCVLOWAT, &(int){5}, sizeof(int)));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	CHILD(pid) {
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fds[0], "de", 2), 2);
	}
	EXPECT_EQ(read(fds[1], bytes, 64), 5);
	EXPECT_EXIT(pid, 0);
}

CASE(bad_memory_of_the_reader)
{
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_ERRNO(recv(fds[1], (void *)8, 3, 0), EFAULT);
	EXPECT_EQ(recv(fds[1], bytes, 8, 0), 3);
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(write(fds[0], "de", 2), 2);
	EXPECT_ERRNO(recv(fds[1], (void *)8, 3, 0), EFAULT);
	EXPECT_EQ(recv(fds[1], bytes, 8, 0), 2);
}

CASE(peek_offset_of_a_stream)
{
	int value = 1;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(setsockopt(fds[1], SOL_SOCKET, SO_PEEK_OFF, &value, sizeof(value)));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(write(fds[0], "def", 3), 3);
	EXPECT_EQ(recv(fds[1], bytes, 4, MSG_PEEK), 4);
	EXPECT_EQ(memcmp(bytes, "bcde", 4), 0);
	EXPECT_EQ(recv(fds[1], bytes, 4, MSG_PEEK), 1);
	EXPECT_EQ(bytes[0], 'f');
	EXPECT_EQ(recv(fds[1], bytes, 2, 0), 2);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 4);
}

CASE(urgent_byte_of_a_stream)
{
	int sent = 0;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	sent = send(fds[0], "ab!", 3, MSG_OOB);
	EXPECT_EQ(sent, 3);
	EXPECT_EQ(events_of(fds[1], POLLPRI), POLLPRI);
	EXPECT_EQ(recv(fds[1], bytes, 1, MSG_OOB), 1);
	EXPECT_EQ(bytes[0], '!');
	EXPECT_EQ(recv(fds[1], bytes, 8, 0), 2);
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	EXPECT_ERRNO(send(fds[0], "x", 1, MSG_OOB), EOPNOTSUPP);
}

CASE(datagrams_between_bound_sockets)
{
	struct sockaddr_un one = abstract("one"), two = abstract("two"), from;
	socklen_t size = sizeof(from);
	int first = OK(socket(AF_UNIX, SOCK_DGRAM, 0)), second = OK(socket(AF_UNIX, SOCK_DGRAM, 0));

	OK(bind(first, (struct sockaddr *)&one, abstract_size("one")));
	OK(bind(second, (struct sockaddr *)&two, abstract_size("two")));
	EXPECT_EQ(sendto(first, "x", 1, 0, (struct sockaddr *)&two, abstract_size("two")), 1);
	EXPECT_EQ(recvfrom(second, bytes, 8, 0, (struct sockaddr *)&from, &size), 1);
	EXPECT_EQ(size, abstract_size("one"));
	EXPECT_EQ(memcmp(from.sun_path, one.sun_path, 4), 0);
	/* Once connected elsewhere it takes nothing of strangers. */
	OK(connect(second, (struct sockaddr *)&two, abstract_size("two")));
	EXPECT_ERRNO(sendto(first, "x", 1, 0, (struct sockaddr *)&two, abstract_size("two")), EPERM);
}

CASE(too_large_messages)
{
	static char large[300000];

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	EXPECT_ERRNO(send(fds[0], large, sizeof(large), 0), EMSGSIZE);
	EXPECT_EQ(send(fds[0], large, 100000, 0), 100000);
	EXPECT_EQ(recv(fds[1], large, sizeof(large), 0), 100000);
}

CASE(options_of_a_pair)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &who, &size));
	EXPECT_EQ(size, sizeof(who));
	EXPECT_EQ(who.pid, getpid());
	size = 4;
	OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &who, &size));
	EXPECT_EQ(size, 4);
	EXPECT_ERRNO(setsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &who, sizeof(who)), ENOPROTOOPT);
	EXPECT_ERRNO(setsockopt(fds[0], 6, 1, &(int){1}, 4), EOPNOTSUPP);
	EXPECT_ERRNO(setsockopt(fds[0], SOL_SOCKET, SO_KEEPALIVE, &(int){1}, 2), EINVAL);
}

CASE(peer_groups)
{
	static gid_t groups[64];
	socklen_t size = sizeof(groups);

	OK(syscall(SYS_setgroups, 2, (gid_t[]){7, 9}));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(getsockopt(fds[0], SOL_SOCKET, 59 /* SO_PEERGROUPS */, groups, &size));
	EXPECT_EQ(size, 8);
	EXPECT_EQ(groups[0], 7);
	EXPECT_EQ(groups[1], 9);
	size = 4;
	EXPECT_ERRNO(getsockopt(fds[0], SOL_SOCKET, 59, groups, &size), ERANGE);
	EXPECT_EQ(size, 8);
}
