/* Filters of what a socket receives (socket(7)), on streams, datagrams and Unix sockets alike. */
#include "net.h"

#include <linux/filter.h>

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

static int fds[2];
static char bytes[4096];

static int attach(int fd, struct sock_filter *code, int count)
{
	struct sock_fprog program = {count, code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* Let pass what begins with `first` at an offset, `keep` bytes of it, and drop all else. */
static void keep_only(int fd, int offset, int first, int keep)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, offset),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, first, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, keep),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	OK(attach(fd, code, LENGTH(code)));
}

/* The same answer for everything. */
static void always(int fd, unsigned answer)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, answer)};

	OK(attach(fd, code, 1));
}

static void unix_packets_are_filtered(int type)
{
	OK(socketpair(AF_UNIX, type, 0, fds));
	keep_only(fds[1], 0, 'y', 2);
	/* The sender is not told what became of it. */
	EXPECT_EQ(write(fds[0], "no", 2), 2);
	EXPECT_EQ(write(fds[0], "yes", 3), 3);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 2);
	EXPECT_EQ(memcmp(bytes, "ye", 2), 0);
	EXPECT_ERRNO(recv(fds[1], bytes, 64, MSG_DONTWAIT), EAGAIN);
	OK(set(fds[1], SOL_SOCKET, SO_DETACH_FILTER, 0));
	EXPECT_ERRNO(set(fds[1], SOL_SOCKET, SO_DETACH_FILTER, 0), ENOENT);
	EXPECT_EQ(write(fds[0], "no", 2), 2);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 2);
}

CASE(unix_datagrams_are_filtered)
{
	unix_packets_are_filtered(SOCK_DGRAM);
}

CASE(unix_sequenced_packets_are_filtered)
{
	unix_packets_are_filtered(SOCK_SEQPACKET);
}

CASE(unix_filter_sees_the_length_and_no_headers)
{
	struct sock_filter longer[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 3, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 100),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PROTOCOL),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	OK(attach(fds[1], longer, LENGTH(longer)));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(write(fds[0], "abcd", 4), 4);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 4);
	EXPECT_ERRNO(recv(fds[1], bytes, 64, MSG_DONTWAIT), EAGAIN);
}

CASE(unix_streams_take_a_filter_and_run_none)
{
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	always(fds[1], 0);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 3);
}

CASE(descriptors_of_a_filtered_message_are_closed)
{
	int ends[2];
	struct iovec part = {bytes, 1};
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *at;

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	OK(pipe(ends));
	always(fds[1], 0);
	header.msg_control = control.space;
	header.msg_controllen = sizeof(control.space);
	at = CMSG_FIRSTHDR(&header);
	*at = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(at), &ends[1], sizeof(int));
	EXPECT_EQ(sendmsg(fds[0], &header, 0), 1);
	OK(close(ends[1]));
	EXPECT_EQ(read(ends[0], bytes, 1), 0);
}

CASE(filters_of_tcp_are_for_administrators)
{
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, bytes, 4), EPERM);
	EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0), ENOENT);
	OK(set(fd, SOL_SOCKET, SO_LOCK_FILTER, 1));
	EXPECT_EQ(get(fd, SOL_SOCKET, SO_LOCK_FILTER), 1);
	EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_LOCK_FILTER, 0), EPERM);
}

CASE(locks_of_every_kind_of_socket)
{
	int kinds[][2] = {
		{AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM}, {AF_INET6, SOCK_DGRAM}, {AF_NETLINK, SOCK_RAW},
	};

	for (unsigned i = 0; i < LENGTH(kinds); i++) {
		int fd = OK(socket(kinds[i][0], kinds[i][1], 0));

		EXPECT_EQ(get(fd, SOL_SOCKET, SO_LOCK_FILTER), 0);
		EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0), ENOENT);
		always(fd, 7);
		OK(set(fd, SOL_SOCKET, SO_LOCK_FILTER, 1));
		EXPECT_EQ(get(fd, SOL_SOCKET, SO_LOCK_FILTER), 1);
		EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0), EPERM);
		EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_LOCK_FILTER, 0), EPERM);
		OK(close(fd));
	}
}

CASE(programs_of_bpf_need_a_descriptor_of_one)
{
	int kinds[][2] = {{AF_UNIX, SOCK_STREAM}, {AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM}};
	long long wide = 0;

	for (unsigned i = 0; i < LENGTH(kinds); i++) {
		int fd = OK(socket(kinds[i][0], kinds[i][1], 0));

		EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_ATTACH_BPF, 999), EBADF);
		EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_ATTACH_BPF, -1), EBADF);
		EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_ATTACH_BPF, fd), EINVAL);
		EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &wide, 8), EINVAL);
		EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &wide, 2), EINVAL);
		OK(set(fd, SOL_SOCKET, SO_LOCK_FILTER, 1));
		EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_ATTACH_BPF, 999), EPERM);
		OK(close(fd));
	}
}

/* Which socket of a group gets what (SO_ATTACH_REUSEPORT_CBPF). */

static int attach_to_group(int fd, struct sock_filter *code, int count)
{
	struct sock_fprog program = {count, code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
}

/* The first byte less '0' is the number of the socket. */
static struct sock_filter first_byte[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
	BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, '0'),
	BPF_STMT(BPF_RET | BPF_A, 0),
};

static struct sock_filter always_second[] = {BPF_STMT(BPF_RET | BPF_K, 1)};

static void group_of(int type, int *members, int count)
{
	for (int i = 0; i < count; i++) {
		members[i] = OK(socket(AF_INET, type, 0));
		OK(set(members[i], SOL_SOCKET, SO_REUSEPORT, 1));
		OK(bind_to(members[i], "127.0.0.1", i ? port_of(members[0]) : 0));
		if (type == SOCK_STREAM)
			OK(listen(members[i], 10));
	}
}

CASE(program_chooses_who_gets_a_datagram)
{
	int members[3], client = udp_bound();

	group_of(SOCK_DGRAM, members, 3);
	OK(attach_to_group(members[1], first_byte, LENGTH(first_byte)));
	OK(connect_to(client, "127.0.0.1", port_of(members[0])));
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 3; i++) {
			char digit = '0' + i;

			EXPECT_EQ(write(client, &digit, 1), 1);
			EXPECT_EQ(recv(members[i], bytes, 10, 0), 1);
			EXPECT_EQ(bytes[0], digit);
		}
	/* The last one takes the place of one that is closed. */
	OK(close(members[0]));
	EXPECT_EQ(write(client, "0", 1), 1);
	EXPECT_EQ(recv(members[2], bytes, 10, 0), 1);
	/* Where the program is wrong, somebody gets it. */
	EXPECT_EQ(write(client, "9", 1), 1);
	EXPECT_SOON(recv(members[1], bytes, 10, MSG_DONTWAIT) == 1 ||
		    recv(members[2], bytes, 10, MSG_DONTWAIT) == 1);
}

CASE(program_chooses_who_gets_a_connection)
{
	int members[2], client;

	group_of(SOCK_STREAM, members, 2);
	OK(attach_to_group(members[0], always_second, 1));
	for (int i = 0; i < 5; i++) {
		client = OK(socket(AF_INET, SOCK_STREAM, 0));
		OK(connect_to(client, "127.0.0.1", port_of(members[0])));
		OK(accept(members[1], NULL, NULL));
	}
	EXPECT_EQ(events_of(members[0], POLLIN), 0);
}

CASE(programs_of_groups_need_a_group)
{
	int one = OK(socket(AF_INET, SOCK_DGRAM, 0)), two = udp_bound();
	int other = OK(socket(AF_UNIX, SOCK_DGRAM, 0));

	EXPECT_ERRNO(attach_to_group(one, always_second, 1), EINVAL);
	EXPECT_ERRNO(set(one, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0), EINVAL);
	OK(set(one, SOL_SOCKET, SO_REUSEPORT, 1));
	OK(attach_to_group(one, always_second, 1));
	OK(set(one, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0));
	EXPECT_ERRNO(set(one, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0), ENOENT);
	OK(set(two, SOL_SOCKET, SO_REUSEPORT, 1));
	EXPECT_ERRNO(attach_to_group(two, always_second, 1), EINVAL);
	EXPECT_ERRNO(attach_to_group(other, always_second, 1), EINVAL);
	EXPECT_ERRNO(set(other, SOL_SOCKET, SO_REUSEPORT, 1), EOPNOTSUPP);
	EXPECT_ERRNO(set(one, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, -1), EBADF);
	EXPECT_ERRNO(set(one, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, one), EINVAL);
	OK(set(one, SOL_SOCKET, SO_LOCK_FILTER, 1));
	EXPECT_ERRNO(attach_to_group(one, always_second, 1), EPERM);
}
