/* tcp(7): connections and their ends, on loopback. */
#include "net.h"

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
