/* tcp(7): bytes on connections: waits and limits, flags of send(2) and recv(2), options, readiness. */
#include "net.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static int fds[2];
static char bytes[65536];

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
