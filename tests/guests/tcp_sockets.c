/* tcp(7): connections, bytes and their ends, on loopback. */
#include "net.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static int fds[2];
static char bytes[65536];

CASE(socket_types_and_protocols)
{
	EXPECT_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	EXPECT_ERRNO(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	EXPECT_ERRNO(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	EXPECT_ERRNO(socket(AF_INET, SOCK_STREAM, -1), EINVAL);
	EXPECT_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, fds), EOPNOTSUPP);
	EXPECT_EQ(get(OK(socket(AF_INET, SOCK_STREAM, 0)), SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
	EXPECT_EQ(get(OK(socket(AF_INET6, SOCK_STREAM, 0)), SOL_SOCKET, SO_DOMAIN), AF_INET6);
}

CASE(pair_carries_bytes_both_ways)
{
	tcp_pair(fds);
	EXPECT_EQ(write(fds[0], "hello", 5), 5);
	EXPECT_EQ(read(fds[1], bytes, 64), 5);
	EXPECT_EQ(memcmp(bytes, "hello", 5), 0);
	EXPECT_EQ(send(fds[1], "world!", 6, 0), 6);
	EXPECT_EQ(recv(fds[0], bytes, 64, 0), 6);
	EXPECT_EQ(port_of(fds[0]), peer_port_of(fds[1]));
	EXPECT_EQ(port_of(fds[1]), peer_port_of(fds[0]));
}

CASE(bind_errors)
{
	struct sockaddr_in name = ipv4("127.0.0.1", 0);
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0)), other = listener(1);

	EXPECT_ERRNO(bind_to(fd, "192.0.2.1", 0), EADDRNOTAVAIL);
	EXPECT_ERRNO(bind_to(fd, "127.0.0.1", port_of(other)), EADDRINUSE);
	EXPECT_ERRNO(bind(fd, (struct sockaddr *)&name, 8), EINVAL);
	EXPECT_ERRNO(bind(fd, (struct sockaddr *)&name, -1), EINVAL);
	EXPECT_ERRNO(bind(fd, (struct sockaddr *)8, sizeof(name)), EFAULT);
	name.sin_family = AF_UNIX;
	EXPECT_ERRNO(bind(fd, (struct sockaddr *)&name, sizeof(name)), EAFNOSUPPORT);
	OK(bind_to(fd, "127.0.0.1", 0));
	EXPECT_ERRNO(bind_to(fd, "127.0.0.1", 0), EINVAL);
}

CASE(low_ports_need_a_capability)
{
	pid_t pid;

	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(bind_to(OK(socket(AF_INET, SOCK_STREAM, 0)), "127.0.0.1", 80), EACCES);
	}
	EXPECT_EXIT(pid, 0);
	OK(bind_to(OK(socket(AF_INET, SOCK_STREAM, 0)), "127.0.0.1", 80));
}

CASE(reuseaddr_lets_a_port_in_time_wait_be_taken)
{
	int server = OK(socket(AF_INET, SOCK_STREAM, 0)), port, again;

	OK(set(server, SOL_SOCKET, SO_REUSEADDR, 1));
	OK(bind_to(server, "127.0.0.1", 0));
	OK(listen(server, 1));
	port = port_of(server);
	fds[0] = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect_to(fds[0], "127.0.0.1", port));
	fds[1] = OK(accept(server, NULL, NULL));
	OK(close(server));
	OK(close(fds[1]));
	EXPECT_EQ(read(fds[0], bytes, 1), 0);
	OK(close(fds[0]));
	again = OK(socket(AF_INET, SOCK_STREAM, 0));
	EXPECT_ERRNO(bind_to(again, "127.0.0.1", port), EADDRINUSE);
	OK(set(again, SOL_SOCKET, SO_REUSEADDR, 1));
	OK(bind_to(again, "127.0.0.1", port));
	OK(listen(again, 1));
}

CASE(connect_refused_leaves_the_socket_usable)
{
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0)), server = listener(1);

	EXPECT_ERRNO(connect_to(fd, "127.0.0.1", 1), ECONNREFUSED);
	EXPECT_EQ(get(fd, SOL_SOCKET, SO_ERROR), 0);
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
}

CASE(connect_errors)
{
	struct sockaddr_in name = ipv4("127.0.0.1", 1);
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	EXPECT_ERRNO(connect_to(fd, "192.0.2.1", 1), ENETUNREACH);
	EXPECT_ERRNO(connect(fd, (struct sockaddr *)&name, 4), EINVAL);
	EXPECT_ERRNO(connect(fd, (struct sockaddr *)8, sizeof(name)), EFAULT);
	name.sin_family = 77;
	EXPECT_ERRNO(connect(fd, (struct sockaddr *)&name, sizeof(name)), EAFNOSUPPORT);
	tcp_pair(fds);
	EXPECT_ERRNO(connect_to(fds[0], "127.0.0.1", 1), EISCONN);
	EXPECT_ERRNO(connect_to(listener(1), "127.0.0.1", 1), EISCONN);
}

CASE(connect_to_the_wildcard_is_to_this_host)
{
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0)), server = listener(1);

	OK(connect_to(fd, "0.0.0.0", port_of(server)));
	OK(accept(server, NULL, NULL));
}

CASE(nonblocking_connect_reports_by_poll)
{
	int fd = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)), server = listener(1);

	EXPECT_ERRNO(connect_to(fd, "127.0.0.1", port_of(server)), EINPROGRESS);
	expect_events(fd, POLLOUT);
	EXPECT_EQ(get(fd, SOL_SOCKET, SO_ERROR), 0);
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	EXPECT_ERRNO(connect_to(fd, "127.0.0.1", port_of(server)), EISCONN);
}

CASE(nonblocking_connect_refused_is_a_pending_error)
{
	int fd = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));

	EXPECT_ERRNO(connect_to(fd, "127.0.0.1", 1), EINPROGRESS);
	expect_events(fd, POLLERR | POLLHUP);
	EXPECT_EQ(get(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	EXPECT_EQ(get(fd, SOL_SOCKET, SO_ERROR), 0);
}

CASE(connect_to_unspec_dissolves)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int server = listener(2), fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	signal(SIGPIPE, SIG_IGN);
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	OK(connect(fd, &none, sizeof(none)));
	EXPECT_EQ(events_of(fd, POLLIN | POLLOUT), POLLOUT | POLLERR | POLLHUP);
	EXPECT_ERRNO(write(fd, "x", 1), ECONNRESET);
	EXPECT_ERRNO(write(fd, "x", 1), EPIPE);
	EXPECT_ERRNO(read(fd, bytes, 1), ENOTCONN);
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	OK(connect(fd, &none, sizeof(none)));
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	EXPECT_EQ(get(fd, SOL_SOCKET, SO_ERROR), 0);
}

CASE(unconnected_sockets)
{
	struct sockaddr_in name;
	socklen_t size = sizeof(name);
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	signal(SIGPIPE, SIG_IGN);
	EXPECT_ERRNO(read(fd, bytes, 1), ENOTCONN);
	EXPECT_ERRNO(write(fd, "x", 1), EPIPE);
	EXPECT_ERRNO(getpeername(fd, (struct sockaddr *)&name, &size), ENOTCONN);
	EXPECT_ERRNO(shutdown(fd, SHUT_WR), ENOTCONN);
	EXPECT_ERRNO(accept(fd, NULL, NULL), EINVAL);
	EXPECT_EQ(events_of(fd, POLLIN | POLLOUT), POLLOUT | POLLHUP);
	OK(getsockname(fd, (struct sockaddr *)&name, &size));
	EXPECT_EQ(name.sin_port, 0);
}

CASE(listen_without_bind_takes_a_port)
{
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	OK(listen(fd, 5));
	EXPECT(port_of(fd) != 0);
	EXPECT_EQ(get(fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
	OK(listen(fd, 7));
}

CASE(accept_tells_the_peer_and_takes_flags)
{
	struct sockaddr_in name;
	socklen_t size = 100;
	int server = listener(4), fd, got;

	fd = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	got = OK(accept4(server, (struct sockaddr *)&name, &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
	EXPECT_EQ(size, sizeof(name));
	EXPECT_EQ(ntohs(name.sin_port), port_of(fd));
	EXPECT_EQ(fcntl(got, F_GETFL), O_RDWR | O_NONBLOCK);
	EXPECT_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
	EXPECT_ERRNO(read(got, bytes, 1), EAGAIN);
	EXPECT_ERRNO(accept4(server, NULL, NULL, 0x10), EINVAL);
}

CASE(accept_does_not_inherit_nonblock)
{
	int server = listener(4), fd, got;

	OK(fcntl(server, F_SETFL, O_NONBLOCK));
	EXPECT_ERRNO(accept(server, NULL, NULL), EAGAIN);
	fd = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	got = OK(accept(server, NULL, NULL));
	EXPECT_EQ(fcntl(got, F_GETFL), O_RDWR);
}

CASE(accept_with_a_bad_address_loses_no_descriptor)
{
	socklen_t size = sizeof(struct sockaddr_in);
	int server = listener(4), fd = OK(socket(AF_INET, SOCK_STREAM, 0)), next = OK(dup(0));

	OK(close(next));
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	EXPECT_ERRNO(accept(server, (struct sockaddr *)8, &size), EFAULT);
	EXPECT_EQ(dup(0), next);
}

CASE(accept_inherits_options)
{
	int server = listener(4), fd = OK(socket(AF_INET, SOCK_STREAM, 0)), got;

	OK(set(server, SOL_SOCKET, SO_KEEPALIVE, 1));
	OK(set(server, IPPROTO_TCP, TCP_NODELAY, 1));
	OK(set(server, IPPROTO_IP, IP_TTL, 33));
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	got = OK(accept(server, NULL, NULL));
	EXPECT_EQ(get(got, SOL_SOCKET, SO_KEEPALIVE), 1);
	EXPECT_EQ(get(got, IPPROTO_TCP, TCP_NODELAY), 1);
	EXPECT_EQ(get(got, IPPROTO_IP, IP_TTL), 33);
	EXPECT_EQ(get(got, SOL_SOCKET, SO_ACCEPTCONN), 0);
}

CASE(accept_wakes_when_a_connection_comes)
{
	int server = listener(4);
	pid_t pid;

	CHILD(pid) {
		wait_until_asleep(getppid());
		OK(connect_to(OK(socket(AF_INET, SOCK_STREAM, 0)), "127.0.0.1", port_of(server)));
	}
	OK(accept(server, NULL, NULL));
	EXPECT_EXIT(pid, 0);
}

CASE(accept_is_interrupted_by_a_signal)
{
	int server = listener(4);
	pid_t pid;

	handle(SIGUSR1, count_signal);
	pid = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(accept(server, NULL, NULL), EINTR);
	EXPECT_EQ(signals_seen, 1);
	EXPECT_EXIT(pid, 0);
}

CASE(closing_a_listener_resets_who_waits_in_it)
{
	int server = listener(4), fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	OK(close(server));
	EXPECT_ERRNO(read(fd, bytes, 1), ECONNRESET);
	EXPECT_EQ(read(fd, bytes, 1), 0);
}

CASE(shutdown_of_writing_is_an_end_of_file)
{
	tcp_pair(fds);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	OK(shutdown(fds[0], SHUT_WR));
	EXPECT_EQ(read(fds[1], bytes, 8), 3);
	EXPECT_EQ(read(fds[1], bytes, 8), 0);
	EXPECT_EQ(read(fds[1], bytes, 8), 0);
	EXPECT_EQ(write(fds[1], "still", 5), 5);
	EXPECT_EQ(read(fds[0], bytes, 8), 5);
	signal(SIGPIPE, SIG_IGN);
	EXPECT_ERRNO(write(fds[0], "x", 1), EPIPE);
}

CASE(shutdown_of_reading_is_local)
{
	tcp_pair(fds);
	OK(shutdown(fds[0], SHUT_RD));
	EXPECT_EQ(read(fds[0], bytes, 8), 0);
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	EXPECT_EQ(read(fds[0], bytes, 8), 1);
	EXPECT_EQ(read(fds[0], bytes, 8), 0);
	EXPECT_ERRNO(shutdown(fds[0], 3), EINVAL);
}

CASE(poll_of_half_and_full_closes)
{
	tcp_pair(fds);
	EXPECT_EQ(events_of(fds[0], POLLIN | POLLOUT | POLLRDHUP), POLLOUT);
	OK(shutdown(fds[1], SHUT_WR));
	expect_events(fds[0], POLLIN | POLLRDHUP);
	EXPECT_EQ(events_of(fds[0], POLLIN | POLLOUT | POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
	OK(shutdown(fds[0], SHUT_WR));
	expect_events(fds[0], POLLHUP);
}

CASE(write_after_the_peer_closed_is_reset_then_epipe)
{
	tcp_pair(fds);
	handle(SIGPIPE, count_signal);
	OK(close(fds[1]));
	EXPECT_EQ(write(fds[0], "x", 1), 1);
	expect_events(fds[0], POLLHUP);
	EXPECT_ERRNO(send(fds[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	EXPECT_EQ(signals_seen, 0);
	EXPECT_ERRNO(write(fds[0], "x", 1), EPIPE);
	EXPECT_EQ(signals_seen, 1);
}

CASE(close_with_unread_bytes_resets)
{
	tcp_pair(fds);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	expect_events(fds[1], POLLIN);
	OK(close(fds[1]));
	expect_events(fds[0], POLLERR);
	EXPECT_ERRNO(read(fds[0], bytes, 1), ECONNRESET);
	EXPECT_EQ(read(fds[0], bytes, 1), 0);
}

CASE(linger_of_zero_resets)
{
	struct linger off = {1, 0};

	tcp_pair(fds);
	OK(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &off, sizeof(off)));
	OK(close(fds[1]));
	EXPECT_ERRNO(read(fds[0], bytes, 1), ECONNRESET);
}

/* Fill the way to the peer; return how much it took. */
static long fill(int fd)
{
	long total = 0, step;

	while ((step = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		total += step;
	EXPECT_EQ(errno, EAGAIN);
	return total;
}

/* Close the first socket in a child, which then waits until we sleep. */
static pid_t only_here(int fd)
{
	int ready[2];
	char byte;
	pid_t pid;

	OK(pipe(ready));
	pid = OK(fork());
	if (pid == 0) {
		OK(close(fd));
		EXPECT_EQ(write(ready[1], "x", 1), 1);
		sleep_ms(1);
		wait_until_asleep(getppid());
		return 0;
	}
	EXPECT_EQ(read(ready[0], &byte, 1), 1);
	return pid;
}

CASE(linger_waits_on_close_until_all_is_read)
{
	struct linger on = {1, 20};
	long total, got = 0;
	pid_t pid;

	tcp_pair(fds);
	OK(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &on, sizeof(on)));
	total = fill(fds[0]);
	pid = only_here(fds[0]);
	if (pid == 0) {
		while (got < total)
			got += OK(read(fds[1], bytes, sizeof(bytes)));
		EXPECT_EQ(read(fds[1], bytes, 1), 0);
		_exit(0);
	}
	OK(close(fds[1]));
	OK(close(fds[0]));
	EXPECT_EXIT(pid, 0);
}

CASE(linger_is_over_after_its_time)
{
	struct linger on = {1, 1};
	long long start;

	tcp_pair(fds);
	OK(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &on, sizeof(on)));
	fill(fds[0]);
	start = now_ms();
	OK(close(fds[0]));
	EXPECT(now_ms() - start >= 990);
}

CASE(linger_does_not_wait_once_all_is_acknowledged)
{
	struct linger on = {1, 60};
	int got = 0;

	tcp_pair(fds);
	OK(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &on, sizeof(on)));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	OK(close(fds[0]));
	while (got < 3)
		got += OK(read(fds[1], bytes, 8));
	EXPECT_EQ(read(fds[1], bytes, 8), 0);
}

CASE(linger_is_interrupted_by_a_signal)
{
	struct linger on = {1, 60};
	pid_t pid;

	tcp_pair(fds);
	handle(SIGUSR1, count_signal);
	OK(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &on, sizeof(on)));
	fill(fds[0]);
	pid = only_here(fds[0]);
	if (pid == 0) {
		OK(kill(getppid(), SIGUSR1));
		_exit(0);
	}
	OK(close(fds[0]));
	EXPECT_EQ(signals_seen, 1);
	EXPECT_ERRNO(close(fds[0]), EBADF);
	EXPECT_EXIT(pid, 0);
}

CASE(a_full_way_blocks_and_is_eagain)
{
	long total, got = 0;
	pid_t pid;

	tcp_pair(fds);
	total = fill(fds[0]);
	EXPECT(total > 10000);
	EXPECT_EQ(events_of(fds[0], POLLOUT), 0);
	CHILD(pid) {
		OK(close(fds[0]));
		wait_until_asleep(getppid());
		while (got < total + (long)sizeof(bytes))
			got += OK(read(fds[1], bytes, sizeof(bytes)));
	}
	EXPECT_EQ(write(fds[0], bytes, sizeof(bytes)), sizeof(bytes));
	EXPECT_EXIT(pid, 0);
}

CASE(send_timeout_gives_what_was_sent_or_eagain)
{
	long long start;

	tcp_pair(fds);
	set_time_limit(fds[0], SO_SNDTIMEO, 50);
	fill(fds[0]);
	start = now_ms();
	EXPECT_ERRNO(write(fds[0], bytes, sizeof(bytes)), EAGAIN);
	EXPECT(now_ms() - start >= 49);
}

CASE(receive_timeout_is_eagain_and_interrupted_is_eintr)
{
	long long start = now_ms();
	pid_t pid;

	tcp_pair(fds);
	set_time_limit(fds[0], SO_RCVTIMEO, 30);
	EXPECT_ERRNO(read(fds[0], bytes, 1), EAGAIN);
	EXPECT(now_ms() - start >= 29);
	set_time_limit(fds[0], SO_RCVTIMEO, 9000);
	handle(SIGUSR1, count_signal);
	pid = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(read(fds[0], bytes, 1), EINTR);
	EXPECT_EXIT(pid, 0);
}

CASE(accept_timeout_is_eagain)
{
	int server = listener(1);

	set_time_limit(server, SO_RCVTIMEO, 20);
	EXPECT_ERRNO(accept(server, NULL, NULL), EAGAIN);
}

CASE(peek_and_trunc)
{
	tcp_pair(fds);
	EXPECT_EQ(write(fds[0], "abcdef", 6), 6);
	EXPECT_EQ(recv(fds[1], bytes, 3, MSG_PEEK), 3);
	EXPECT_EQ(recv(fds[1], bytes, 64, MSG_PEEK), 6);
	/* For streams MSG_TRUNC throws bytes away without a copy. */
	EXPECT_EQ(recv(fds[1], NULL, 2, MSG_TRUNC), 2);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 4);
	EXPECT_EQ(memcmp(bytes, "cdef", 4), 0);
}

CASE(waitall_waits_for_all_or_the_end)
{
	pid_t pid;

	tcp_pair(fds);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	CHILD(pid) {
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fds[0], "defgh", 5), 5);
	}
	EXPECT_EQ(recv(fds[1], bytes, 8, MSG_WAITALL), 8);
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(write(fds[0], "ij", 2), 2);
	OK(shutdown(fds[0], SHUT_WR));
	EXPECT_EQ(recv(fds[1], bytes, 8, MSG_WAITALL), 2);
}

CASE(waitall_is_cut_short_by_a_signal)
{
	pid_t pid;

	tcp_pair(fds);
	handle(SIGUSR1, count_signal);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	pid = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_EQ(recv(fds[1], bytes, 8, MSG_WAITALL), 3);
	EXPECT_EXIT(pid, 0);
}

CASE(receive_into_bad_memory_loses_nothing)
{
	char *area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	OK(munmap(area + PAGE, PAGE));
	tcp_pair(fds);
	EXPECT_EQ(write(fds[0], "abcdef", 6), 6);
	EXPECT_ERRNO(recv(fds[1], (void *)8, 6, 0), EFAULT);
	EXPECT_EQ(recv(fds[1], bytes, 6, MSG_PEEK), 6);
	EXPECT_EQ(recv(fds[1], bytes, 6, 0), 6);
	EXPECT_EQ(memcmp(bytes, "abcdef", 6), 0);
}

CASE(send_from_bad_memory_is_efault)
{
	tcp_pair(fds);
	EXPECT_ERRNO(send(fds[0], (void *)8, 6, 0), EFAULT);
	EXPECT_EQ(write(fds[0], "x", 1), 1);
	EXPECT_EQ(read(fds[1], bytes, 8), 1);
}

CASE(urgent_byte)
{
	int mark;

	tcp_pair(fds);
	EXPECT_EQ(send(fds[0], "ab", 2, 0), 2);
	EXPECT_EQ(send(fds[0], "!", 1, MSG_OOB), 1);
	EXPECT_EQ(send(fds[0], "cd", 2, 0), 2);
	expect_events(fds[1], POLLPRI);
	EXPECT_EQ(recv(fds[1], bytes, 1, MSG_OOB), 1);
	EXPECT_EQ(bytes[0], '!');
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_OOB), EINVAL);
	OK(ioctl(fds[1], SIOCATMARK, &mark));
	EXPECT_EQ(mark, 0);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 2);
	OK(ioctl(fds[1], SIOCATMARK, &mark));
	EXPECT_EQ(mark, 1);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 2);
	EXPECT_EQ(memcmp(bytes, "cd", 2), 0);
}

CASE(urgent_byte_inline)
{
	tcp_pair(fds);
	OK(set(fds[1], SOL_SOCKET, SO_OOBINLINE, 1));
	EXPECT_EQ(send(fds[0], "ab!", 3, MSG_OOB), 3);
	expect_events(fds[1], POLLIN | POLLPRI);
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_OOB), EINVAL);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 2);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 1);
	EXPECT_EQ(bytes[0], '!');
}

CASE(sigurg_for_the_owner)
{
	tcp_pair(fds);
	handle(SIGURG, count_signal);
	OK(fcntl(fds[1], F_SETOWN, getpid()));
	EXPECT_EQ(send(fds[0], "!", 1, MSG_OOB), 1);
	EXPECT_SOON(signals_seen == 1);
	EXPECT_EQ(last_signal, SIGURG);
}

CASE(ioctls_count_bytes)
{
	int count;

	tcp_pair(fds);
	EXPECT_EQ(write(fds[0], "abcdef", 6), 6);
	expect_events(fds[1], POLLIN);
	OK(ioctl(fds[1], FIONREAD, &count));
	EXPECT_EQ(count, 6);
	EXPECT_SOON((OK(ioctl(fds[0], TIOCOUTQ, &count)), count == 0));
	EXPECT_ERRNO(ioctl(listener(1), FIONREAD, &count), EINVAL);
	EXPECT_ERRNO(ioctl(fds[0], 0x5401, &count), ENOTTY);
}

CASE(epoll_edge_triggers_for_each_arrival)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int ep = OK(epoll_create1(0));

	tcp_pair(fds);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], &event));
	EXPECT_EQ(epoll_wait(ep, &event, 1, 0), 0);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 5000), 1);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 0), 0);
	EXPECT_EQ(read(fds[1], bytes, 1), 1);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 0), 0);
	EXPECT_EQ(write(fds[0], "d", 1), 1);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 5000), 1);
	OK(shutdown(fds[0], SHUT_WR));
	EXPECT_EQ(epoll_wait(ep, &event, 1, 5000), 1);
}

CASE(epoll_edge_for_writing_comes_with_room)
{
	struct epoll_event event = {.events = EPOLLOUT | EPOLLET};
	int ep = OK(epoll_create1(0));
	long total;

	tcp_pair(fds);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event));
	EXPECT_EQ(epoll_wait(ep, &event, 1, 5000), 1);
	total = fill(fds[0]);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 0), 0);
	while (total > 0)
		total -= OK(read(fds[1], bytes, sizeof(bytes)));
	EXPECT_EQ(epoll_wait(ep, &event, 1, 5000), 1);
	EXPECT_EQ(event.events, EPOLLOUT);
}

CASE(vectors_are_written_and_read_in_order)
{
	char a[3], b[8];
	struct iovec out[] = {{"ab", 2}, {"", 0}, {"cdef", 4}}, in[] = {{a, 3}, {b, 8}};

	tcp_pair(fds);
	EXPECT_EQ(writev(fds[0], out, 3), 6);
	expect_events(fds[1], POLLIN);
	EXPECT_EQ(readv(fds[1], in, 2), 6);
	EXPECT_EQ(memcmp(a, "abc", 3), 0);
	EXPECT_EQ(memcmp(b, "def", 3), 0);
}

CASE(reads_and_writes_of_nothing)
{
	tcp_pair(fds);
	EXPECT_EQ(write(fds[0], "", 0), 0);
	EXPECT_EQ(read(fds[1], bytes, 0), 0);
	EXPECT_EQ(send(fds[0], "", 0, 0), 0);
	EXPECT_ERRNO(recv(fds[1], bytes, 1, MSG_DONTWAIT), EAGAIN);
}

CASE(sendfile_to_a_connection)
{
	off_t offset = 2;
	int file;

	tcp_pair(fds);
	write_file("file", "0123456789");
	file = OK(open("file", O_RDONLY));
	EXPECT_EQ(sendfile(fds[0], file, &offset, 5), 5);
	EXPECT_EQ(offset, 7);
	EXPECT_EQ(recv(fds[1], bytes, 5, MSG_WAITALL), 5);
	EXPECT_EQ(memcmp(bytes, "23456", 5), 0);
}

CASE(cork_holds_small_writes_back)
{
	tcp_pair(fds);
	OK(set(fds[0], IPPROTO_TCP, TCP_CORK, 1));
	EXPECT_EQ(write(fds[0], "ab", 2), 2);
	EXPECT_ERRNO(recv(fds[1], bytes, 8, MSG_DONTWAIT), EAGAIN);
	EXPECT_EQ(send(fds[0], "cd", 2, MSG_MORE), 2);
	OK(set(fds[0], IPPROTO_TCP, TCP_CORK, 0));
	EXPECT_EQ(recv(fds[1], bytes, 4, MSG_WAITALL), 4);
}

CASE(tcp_info_knows_the_state)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	OK(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
	EXPECT_EQ(info.tcpi_state, TCP_CLOSE);
	OK(getsockopt(listener(3), IPPROTO_TCP, TCP_INFO, &info, &size));
	EXPECT_EQ(info.tcpi_state, TCP_LISTEN);
	tcp_pair(fds);
	OK(getsockopt(fds[0], IPPROTO_TCP, TCP_INFO, &info, &size));
	EXPECT_EQ(info.tcpi_state, TCP_ESTABLISHED);
	EXPECT(info.tcpi_snd_mss > 500);
	OK(shutdown(fds[1], SHUT_WR));
	EXPECT_SOON((OK(getsockopt(fds[0], IPPROTO_TCP, TCP_INFO, &info, &size)),
		     info.tcpi_state == TCP_CLOSE_WAIT));
}

CASE(low_water_mark_of_receiving)
{
	pid_t pid;

	tcp_pair(fds);
	OK(set(fds[1], SOL_SOCKET, SO_RCVLOWAT, 5));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	sleep_ms(10);
	EXPECT_EQ(events_of(fds[1], POLLIN), 0);
	CHILD(pid) {
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fds[0], "defgh", 5), 5);
	}
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 8);
	EXPECT_EXIT(pid, 0);
	CHILD(pid) {
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fds[0], "ijklmn", 6), 6);
	}
	EXPECT_EQ(read(fds[1], bytes, 64), 6);
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	sleep_ms(10);
	EXPECT_EQ(recv(fds[1], bytes, 64, MSG_DONTWAIT), 3);
}

CASE(ipv6_takes_ipv4_as_mapped_addresses)
{
	struct sockaddr_in6 name = ipv6("::", 0);
	socklen_t size = sizeof(name);
	int server = OK(socket(AF_INET6, SOCK_STREAM, 0)), fd, got;
	char text[64];

	OK(bind(server, (struct sockaddr *)&name, sizeof(name)));
	OK(listen(server, 1));
	fd = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	got = OK(accept(server, (struct sockaddr *)&name, &size));
	EXPECT_EQ(size, sizeof(name));
	EXPECT_STR(inet_ntop(AF_INET6, &name.sin6_addr, text, sizeof(text)), "::ffff:127.0.0.1");
	EXPECT_EQ(get(got, IPPROTO_IPV6, IPV6_V6ONLY), 0);
}

CASE(v6only_leaves_ipv4_alone)
{
	struct sockaddr_in6 name = ipv6("::", 0);
	int server = OK(socket(AF_INET6, SOCK_STREAM, 0)), fd;

	OK(set(server, IPPROTO_IPV6, IPV6_V6ONLY, 1));
	OK(bind(server, (struct sockaddr *)&name, sizeof(name)));
	OK(listen(server, 1));
	fd = OK(socket(AF_INET, SOCK_STREAM, 0));
	EXPECT_ERRNO(connect_to(fd, "127.0.0.1", port_of(server)), ECONNREFUSED);
	OK(bind_to(OK(socket(AF_INET, SOCK_STREAM, 0)), "0.0.0.0", port_of(server)));
	EXPECT_ERRNO(set(server, IPPROTO_IPV6, IPV6_V6ONLY, 0), EINVAL);
}

CASE(ipv6_connection)
{
	struct sockaddr_in6 name = ipv6("::1", 0);
	socklen_t size = sizeof(name);
	int server = OK(socket(AF_INET6, SOCK_STREAM, 0)), fd = OK(socket(AF_INET6, SOCK_STREAM, 0));

	OK(bind(server, (struct sockaddr *)&name, sizeof(name)));
	OK(listen(server, 1));
	OK(getsockname(server, (struct sockaddr *)&name, &size));
	OK(connect(fd, (struct sockaddr *)&name, sizeof(name)));
	OK(accept(server, NULL, NULL));
	EXPECT_ERRNO(connect(OK(socket(AF_INET6, SOCK_STREAM, 0)), (struct sockaddr *)&name, 16), EINVAL);
}

CASE(reuseport_needs_both_and_the_same_user)
{
	int one = OK(socket(AF_INET, SOCK_STREAM, 0)), two = OK(socket(AF_INET, SOCK_STREAM, 0));
	pid_t pid;

	OK(set(one, SOL_SOCKET, SO_REUSEPORT, 1));
	OK(bind_to(one, "127.0.0.1", 0));
	OK(listen(one, 8));
	EXPECT_ERRNO(bind_to(two, "127.0.0.1", port_of(one)), EADDRINUSE);
	OK(set(two, SOL_SOCKET, SO_REUSEPORT, 1));
	OK(bind_to(two, "127.0.0.1", port_of(one)));
	CHILD(pid) {
		int three;

		become(NOBODY);
		three = OK(socket(AF_INET, SOCK_STREAM, 0));
		OK(set(three, SOL_SOCKET, SO_REUSEPORT, 1));
		EXPECT_ERRNO(bind_to(three, "127.0.0.1", port_of(one)), EADDRINUSE);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(reuseport_spreads_connections)
{
	int servers[2], counts[2] = {0, 0}, fd, port = 0;

	for (int i = 0; i < 2; i++) {
		servers[i] = OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
		OK(set(servers[i], SOL_SOCKET, SO_REUSEPORT, 1));
		OK(bind_to(servers[i], "127.0.0.1", port));
		OK(listen(servers[i], 64));
		port = port_of(servers[0]);
	}
	for (int i = 0; i < 60; i++) {
		fd = OK(socket(AF_INET, SOCK_STREAM, 0));
		OK(connect_to(fd, "127.0.0.1", port));
	}
	for (int i = 0; i < 2; i++)
		while ((fd = accept(servers[i], NULL, NULL)) >= 0)
			counts[i]++;
	EXPECT_EQ(counts[0] + counts[1], 60);
	EXPECT(counts[0] > 5);
	EXPECT(counts[1] > 5);
}

CASE(exhausted_descriptors_leave_the_connection_waiting)
{
	int server = listener(4), fd = OK(socket(AF_INET, SOCK_STREAM, 0)), last = fd;

	OK(connect_to(fd, "127.0.0.1", port_of(server)));
	OK(fcntl(server, F_SETFL, O_NONBLOCK));
	while ((fd = dup(0)) >= 0)
		last = fd;
	EXPECT_EQ(errno, EMFILE);
	EXPECT_ERRNO(accept(server, NULL, NULL), EMFILE);
	OK(close(last));
	OK(accept(server, NULL, NULL));
}

CASE(user_timeout_and_keepalive_values)
{
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7200);
	OK(set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5));
	EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_KEEPIDLE), 5);
	EXPECT_ERRNO(set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0), EINVAL);
	EXPECT_ERRNO(set(fd, IPPROTO_TCP, TCP_KEEPCNT, 128), EINVAL);
	OK(set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 1500));
	EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1500);
	EXPECT_ERRNO(set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, -1), EINVAL);
}

CASE(segment_size_of_the_user)
{
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	EXPECT_EQ(get(fd, IPPROTO_TCP, TCP_MAXSEG), 536);
	OK(set(fd, IPPROTO_TCP, TCP_MAXSEG, 1000));
	EXPECT_ERRNO(set(fd, IPPROTO_TCP, TCP_MAXSEG, 20), EINVAL);
	EXPECT_ERRNO(set(fd, IPPROTO_TCP, TCP_MAXSEG, 40000), EINVAL);
}

CASE(fork_shares_the_connection)
{
	pid_t pid;

	tcp_pair(fds);
	CHILD(pid) {
		OK(close(fds[0]));
		EXPECT_EQ(write(fds[1], "child", 5), 5);
	}
	OK(close(fds[1]));
	EXPECT_EQ(recv(fds[0], bytes, 5, MSG_WAITALL), 5);
	EXPECT_EQ(read(fds[0], bytes, 5), 0);
	EXPECT_EXIT(pid, 0);
}

CASE(sendto_ignores_the_address_when_connected)
{
	struct sockaddr_in name = ipv4("127.0.0.1", 9);
	socklen_t size = sizeof(name);

	tcp_pair(fds);
	EXPECT_EQ(sendto(fds[0], "abc", 3, 0, (struct sockaddr *)&name, sizeof(name)), 3);
	EXPECT_EQ(recvfrom(fds[1], bytes, 8, 0, (struct sockaddr *)&name, &size), 3);
	EXPECT_EQ(size, 0);
}

CASE(fastopen_without_a_cookie_connects)
{
	struct sockaddr_in name;
	int server = listener(1), fd = OK(socket(AF_INET, SOCK_STREAM, 0)), got;

	name = ipv4("127.0.0.1", port_of(server));
	EXPECT_EQ(sendto(fd, "abc", 3, MSG_FASTOPEN, (struct sockaddr *)&name, sizeof(name)), 3);
	got = OK(accept(server, NULL, NULL));
	EXPECT_EQ(recv(got, bytes, 3, MSG_WAITALL), 3);
}
