/* unix(7): urgent data of streams (MSG_OOB), and SO_PEEK_OFF of all kinds of sockets. */
#include "net.h"

#include <sys/un.h>

static int fds[2];
static char bytes[256];

static void expect_text(int flags, size_t size, const char *text)
{
	memset(bytes, 0, sizeof(bytes));
	EXPECT_EQ(recv(fds[1], bytes, size, flags | MSG_DONTWAIT), strlen(text));
	EXPECT_STR(bytes, text);
}

static void expect_nothing(void)
{
	EXPECT_ERRNO(recv(fds[1], bytes, 64, MSG_DONTWAIT), EAGAIN);
}

static void urgent(const char *text)
{
	EXPECT_EQ(send(fds[0], text, strlen(text), MSG_OOB), strlen(text));
}

static void ordinary(const char *text)
{
	EXPECT_EQ(send(fds[0], text, strlen(text), 0), strlen(text));
}

static int at_mark(void)
{
	int mark = -1;

	OK(ioctl(fds[1], SIOCATMARK, &mark));
	return mark;
}

static int unread(void)
{
	int size = -1;

	OK(ioctl(fds[1], FIONREAD, &size));
	return size;
}

static void pair(int type)
{
	OK(socketpair(AF_UNIX, type, 0, fds));
}

CASE(urgent_byte_is_read_out_of_band)
{
	pair(SOCK_STREAM);
	urgent("hello");
	ordinary("world");
	expect_text(MSG_OOB | MSG_PEEK, 1, "o");
	expect_text(MSG_OOB, 1, "o");
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_OOB), EINVAL);
	EXPECT_EQ(unread(), 9);
	expect_text(0, 64, "hell");
	EXPECT_EQ(at_mark(), 1);
	expect_text(0, 64, "world");
	expect_nothing();
}

CASE(reads_stop_at_the_mark_and_leave_the_byte_out)
{
	pair(SOCK_STREAM);
	EXPECT_EQ(at_mark(), 0);
	urgent("ab!");
	ordinary("cd");
	EXPECT_EQ(at_mark(), 0);
	EXPECT_EQ(unread(), 5);
	expect_text(0, 64, "ab");
	EXPECT_EQ(at_mark(), 1);
	expect_text(0, 64, "cd");
	EXPECT_EQ(at_mark(), 0);
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_OOB), EINVAL);
}

CASE(a_lonely_urgent_byte_is_no_ordinary_data)
{
	pair(SOCK_STREAM);
	urgent("!");
	EXPECT_EQ(at_mark(), 1);
	EXPECT_EQ(events_of(fds[1], POLLIN | POLLPRI), POLLIN | POLLPRI);
	expect_text(MSG_OOB | MSG_PEEK, 1, "!");
	expect_nothing();
	EXPECT_EQ(events_of(fds[1], POLLPRI), 0);
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_OOB), EINVAL);
}

CASE(only_the_last_urgent_byte_is_urgent)
{
	pair(SOCK_STREAM);
	urgent("a1");
	urgent("b2");
	ordinary("c");
	expect_text(0, 64, "a1b");
	expect_text(MSG_OOB, 1, "2");
	expect_text(0, 64, "c");
}

CASE(inline_urgent_byte_is_in_the_stream)
{
	pair(SOCK_STREAM);
	OK(set(fds[1], SOL_SOCKET, SO_OOBINLINE, 1));
	urgent("ab!");
	ordinary("cd");
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_OOB), EINVAL);
	expect_text(0, 64, "ab");
	EXPECT_EQ(at_mark(), 1);
	EXPECT_EQ(events_of(fds[1], POLLPRI), POLLPRI);
	expect_text(0, 64, "!cd");
	EXPECT_EQ(events_of(fds[1], POLLPRI), 0);
}

CASE(peeking_stops_at_the_mark)
{
	pair(SOCK_STREAM);
	urgent("ab!");
	ordinary("cd");
	expect_text(MSG_PEEK, 64, "ab");
	expect_text(0, 64, "ab");
	expect_text(MSG_PEEK, 64, "cd");
	expect_text(MSG_OOB, 1, "!");
	expect_text(MSG_PEEK, 64, "cd");
	EXPECT_EQ(at_mark(), 1);
	expect_text(0, 64, "cd");
	EXPECT_EQ(at_mark(), 0);
}

CASE(inline_peeking_shows_the_byte)
{
	pair(SOCK_STREAM);
	OK(set(fds[1], SOL_SOCKET, SO_OOBINLINE, 1));
	urgent("!");
	ordinary("cd");
	expect_text(MSG_PEEK, 64, "!cd");
	EXPECT_EQ(at_mark(), 1);
	expect_text(0, 1, "!");
	EXPECT_EQ(at_mark(), 0);
	expect_text(0, 64, "cd");
}

CASE(marks_next_to_each_other)
{
	pair(SOCK_STREAM);
	urgent("1");
	expect_text(MSG_OOB, 1, "1");
	EXPECT_EQ(at_mark(), 1);
	urgent("2");
	EXPECT_EQ(at_mark(), 1);
	expect_text(MSG_OOB, 1, "2");
	EXPECT_EQ(at_mark(), 1);
	ordinary("x");
	expect_text(0, 64, "x");
	EXPECT_EQ(at_mark(), 0);
}

CASE(urgent_data_brings_a_signal)
{
	pair(SOCK_STREAM);
	handle(SIGURG, count_signal);
	OK(fcntl(fds[1], F_SETOWN, getpid()));
	urgent("x!");
	EXPECT_EQ(signals_seen, 1);
	ordinary("x");
	EXPECT_EQ(signals_seen, 1);
}

CASE(urgent_data_wakes_a_poll)
{
	struct pollfd one;
	pid_t pid;

	pair(SOCK_STREAM);
	CHILD(pid) {
		wait_until_asleep(getppid());
		urgent("!");
	}
	one = (struct pollfd){.fd = fds[1], .events = POLLPRI};
	EXPECT_EQ(poll(&one, 1, 5000), 1);
	EXPECT_EQ(one.revents, POLLPRI);
	EXPECT_EXIT(pid, 0);
}

CASE(urgent_data_needs_a_connected_stream)
{
	int one = OK(socket(AF_UNIX, SOCK_STREAM, 0));

	EXPECT_ERRNO(recv(one, bytes, 1, MSG_OOB), EINVAL);
	EXPECT_ERRNO(send(one, "x", 1, MSG_OOB), ENOTCONN);
	pair(SOCK_STREAM);
	EXPECT_ERRNO(send(fds[0], "", 0, MSG_OOB), EOPNOTSUPP);
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_OOB), EINVAL);
	pair(SOCK_SEQPACKET);
	EXPECT_ERRNO(send(fds[0], "x", 1, MSG_OOB), EOPNOTSUPP);
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_OOB), EOPNOTSUPP);
	EXPECT_ERRNO(ioctl(fds[1], SIOCATMARK, bytes), EOPNOTSUPP);
	pair(SOCK_DGRAM);
	EXPECT_ERRNO(ioctl(fds[1], SIOCATMARK, bytes), EOPNOTSUPP);
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_OOB), EOPNOTSUPP);
}

CASE(urgent_data_to_nobody)
{
	pair(SOCK_STREAM);
	signal(SIGPIPE, SIG_IGN);
	OK(close(fds[1]));
	EXPECT_ERRNO(send(fds[0], "x", 1, MSG_OOB), EPIPE);
}

CASE(a_mark_that_was_read_is_nothing_unread)
{
	pair(SOCK_STREAM);
	urgent("!");
	expect_text(MSG_OOB, 1, "!");
	OK(close(fds[1]));
	EXPECT_EQ(recv(fds[0], bytes, 1, 0), 0);
	pair(SOCK_STREAM);
	urgent("!");
	OK(close(fds[1]));
	EXPECT_ERRNO(recv(fds[0], bytes, 1, 0), ECONNRESET);
}

CASE(message_says_that_it_is_urgent)
{
	struct iovec part = {bytes, 8};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	pair(SOCK_STREAM);
	urgent("!");
	EXPECT_EQ(recvmsg(fds[1], &header, MSG_OOB), 1);
	EXPECT_EQ(header.msg_flags & MSG_OOB, MSG_OOB);
}

CASE(wait_for_all_ends_at_the_mark)
{
	pair(SOCK_STREAM);
	urgent("ab!");
	ordinary("cd");
	expect_text(MSG_WAITALL, 5, "ab");
}

CASE(nothing_is_sent_with_descriptors_alone)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr header = {.msg_control = control.space, .msg_controllen = sizeof(control.space)};
	struct cmsghdr *at = CMSG_FIRSTHDR(&header);

	pair(SOCK_STREAM);
	*at = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(at), &fds[0], sizeof(int));
	EXPECT_EQ(sendmsg(fds[0], &header, 0), 0);
	EXPECT_EQ(events_of(fds[1], POLLIN), 0);
	expect_nothing();
}

CASE(peek_offset_of_messages)
{
	for (int i = 0; i < 2; i++) {
		pair(i ? SOCK_SEQPACKET : SOCK_DGRAM);
		EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), -1);
		OK(set(fds[1], SOL_SOCKET, SO_PEEK_OFF, 1));
		ordinary("abc");
		ordinary("def");
		expect_text(MSG_PEEK, 1, "b");
		EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), 2);
		expect_text(MSG_PEEK, 64, "c");
		expect_text(MSG_PEEK, 64, "def");
		EXPECT_ERRNO(recv(fds[1], bytes, 64, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
		EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), 6);
		expect_text(0, 2, "ab");
		EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), 3);
		OK(set(fds[1], SOL_SOCKET, SO_PEEK_OFF, -1));
		expect_text(MSG_PEEK, 64, "def");
		expect_text(0, 64, "def");
	}
}

CASE(peek_offset_and_empty_messages)
{
	pair(SOCK_DGRAM);
	OK(set(fds[1], SOL_SOCKET, SO_PEEK_OFF, 0));
	ordinary("");
	ordinary("x");
	expect_text(MSG_PEEK, 64, "");
	expect_text(MSG_PEEK, 64, "x");
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 0);
	expect_text(0, 64, "x");
}

CASE(peek_offset_of_a_stream_moves)
{
	pair(SOCK_STREAM);
	OK(set(fds[1], SOL_SOCKET, SO_PEEK_OFF, 2));
	ordinary("abc");
	ordinary("def");
	expect_text(MSG_PEEK, 3, "cde");
	EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), 5);
	expect_text(MSG_PEEK, 64, "f");
	EXPECT_ERRNO(recv(fds[1], bytes, 64, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	expect_text(0, 4, "abcd");
	EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), 2);
	ordinary("gh");
	expect_text(MSG_PEEK, 64, "gh");
	OK(set(fds[1], SOL_SOCKET, SO_PEEK_OFF, 100));
	EXPECT_ERRNO(recv(fds[1], bytes, 64, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	expect_text(0, 64, "efgh");
	EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), 96);
}

CASE(peek_offset_of_tcp)
{
	tcp_pair(fds);
	OK(set(fds[1], SOL_SOCKET, SO_PEEK_OFF, 1));
	ordinary("abcdef");
	expect_events(fds[1], POLLIN);
	expect_text(MSG_PEEK, 2, "bc");
	EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), 3);
	expect_text(MSG_PEEK, 64, "def");
	expect_text(0, 4, "abcd");
	EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), 2);
	expect_text(0, 64, "ef");
}
