/* udp(7): datagrams between sockets: addresses, ends, groups, several at once. */
#include "udp.h"

#include <netinet/udp.h>

CASE(datagrams_keep_their_borders)
{
	udp_pair(fds);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(write(fds[0], "", 0), 0);
	EXPECT_EQ(write(fds[0], "defg", 4), 4);
	EXPECT_EQ(read(fds[1], bytes, 64), 3);
	EXPECT_EQ(read(fds[1], bytes, 64), 0);
	EXPECT_EQ(recv(fds[1], bytes, 2, 0), 2);
	EXPECT_ERRNO(recv(fds[1], bytes, 2, MSG_DONTWAIT), EAGAIN);
}

CASE(trunc_tells_the_real_size)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 3, NULL, 0);

	udp_pair(fds);
	EXPECT_EQ(write(fds[0], "abcdef", 6), 6);
	EXPECT_EQ(recv(fds[1], bytes, 2, MSG_TRUNC | MSG_PEEK), 6);
	EXPECT_EQ(recvmsg(fds[1], &header, MSG_PEEK), 3);
	EXPECT_EQ(header.msg_flags, MSG_TRUNC);
	EXPECT_EQ(recvmsg(fds[1], &header, MSG_TRUNC), 6);
	EXPECT_EQ(header.msg_flags, MSG_TRUNC);
	EXPECT_EQ(header.msg_controllen, 0);
}

CASE(sender_is_told)
{
	struct sockaddr_in name;
	socklen_t size = sizeof(name);
	int one = udp_bound(), two = udp_bound();

	name = ipv4("127.0.0.1", port_of(two));
	EXPECT_EQ(sendto(one, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	EXPECT_EQ(recvfrom(two, bytes, 64, 0, (struct sockaddr *)&name, &size), 1);
	EXPECT_EQ(size, sizeof(name));
	EXPECT_EQ(ntohs(name.sin_port), port_of(one));
	EXPECT_EQ(ntohl(name.sin_addr.s_addr), 0x7f000001);
	EXPECT_EQ(sendto(one, "y", 1, 0, (struct sockaddr *)&(struct sockaddr_in){0}, 0) < 0, 1);
}

CASE(sender_address_is_cut_to_the_room)
{
	struct sockaddr_in name;
	socklen_t size = 4;

	udp_pair(fds);
	memset(&name, 0x55, sizeof(name));
	EXPECT_EQ(write(fds[0], "x", 1), 1);
	EXPECT_EQ(recvfrom(fds[1], bytes, 64, 0, (struct sockaddr *)&name, &size), 1);
	EXPECT_EQ(size, sizeof(name));
	EXPECT_EQ(ntohs(name.sin_port), port_of(fds[0]));
	EXPECT_EQ(name.sin_addr.s_addr, 0x55555555);
}

CASE(unconnected_sends_need_an_address)
{
	struct sockaddr_in name = ipv4("127.0.0.1", 0);
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));

	EXPECT_ERRNO(write(fd, "x", 1), EDESTADDRREQ);
	EXPECT_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), EINVAL);
	EXPECT_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, 8), EINVAL);
	name.sin_port = htons(9);
	name.sin_family = AF_INET6;
	EXPECT_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), EAFNOSUPPORT);
	name = ipv4("192.0.2.1", 9);
	EXPECT_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), ENETUNREACH);
	EXPECT_ERRNO(getpeername(fd, (struct sockaddr *)&name, &(socklen_t){sizeof(name)}), ENOTCONN);
}

CASE(first_send_binds)
{
	struct sockaddr_in name;
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0)), other = udp_bound();

	EXPECT_EQ(port_of(fd), 0);
	name = ipv4("127.0.0.1", port_of(other));
	EXPECT_EQ(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	EXPECT(port_of(fd) != 0);
}

CASE(too_large_is_emsgsize)
{
	udp_pair(fds);
	EXPECT_EQ(send(fds[0], bytes, 65507, 0), 65507);
	EXPECT_EQ(recv(fds[1], bytes, sizeof(bytes), 0), 65507);
	EXPECT_ERRNO(send(fds[0], bytes, 65508, 0), EMSGSIZE);
}

CASE(connected_takes_only_its_peer)
{
	struct sockaddr_in name;
	int stranger = udp_bound();

	udp_pair(fds);
	name = ipv4("127.0.0.1", port_of(fds[1]));
	OK(sendto(stranger, "no", 2, 0, (struct sockaddr *)&name, sizeof(name)));
	EXPECT_ERRNO(recv(fds[1], bytes, 8, MSG_DONTWAIT), EAGAIN);
	EXPECT_EQ(write(fds[0], "yes", 3), 3);
	EXPECT_EQ(recv(fds[1], bytes, 8, 0), 3);
}

CASE(unspec_dissolves_the_connection)
{
	struct sockaddr none = {.sa_family = AF_UNSPEC};

	udp_pair(fds);
	OK(connect(fds[0], &none, sizeof(none)));
	EXPECT_ERRNO(write(fds[0], "x", 1), EDESTADDRREQ);
	EXPECT(port_of(fds[0]) != 0);
}

CASE(unreachable_port_is_told_to_the_connected)
{
	struct sockaddr_in name = ipv4("127.0.0.1", 1);
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0)), loose = udp_bound();

	OK(connect_to(fd, "127.0.0.1", 1));
	EXPECT_EQ(write(fd, "x", 1), 1);
	expect_events(fd, POLLERR);
	EXPECT_ERRNO(recv(fd, bytes, 8, 0), ECONNREFUSED);
	EXPECT_EQ(write(fd, "x", 1), 1);
	expect_events(fd, POLLERR);
	EXPECT_ERRNO(write(fd, "x", 1), ECONNREFUSED);
	OK(sendto(loose, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)));
	EXPECT_ERRNO(recv(loose, bytes, 8, MSG_DONTWAIT), EAGAIN);
}

CASE(bad_memory_of_the_reader_costs_the_datagram)
{
	udp_pair(fds);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(write(fds[0], "de", 2), 2);
	EXPECT_ERRNO(recv(fds[1], (void *)8, 8, 0), EFAULT);
	EXPECT_EQ(recv(fds[1], bytes, 8, 0), 2);
	EXPECT_ERRNO(send(fds[0], (void *)8, 8, 0), EFAULT);
}

CASE(receive_timeout_and_signals)
{
	long long start = now_ms();
	int fd = udp_bound();
	pid_t pid;

	set_time_limit(fd, SO_RCVTIMEO, 30);
	EXPECT_ERRNO(recv(fd, bytes, 8, 0), EAGAIN);
	EXPECT(now_ms() - start >= 29);
	set_time_limit(fd, SO_RCVTIMEO, 0);
	handle(SIGUSR1, count_signal);
	pid = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(recv(fd, bytes, 8, 0), EINTR);
	EXPECT_EXIT(pid, 0);
}

CASE(shutdown_needs_a_peer_and_wakes)
{
	int fd = udp_bound();
	pid_t pid;

	EXPECT_ERRNO(shutdown(fd, SHUT_RDWR), ENOTCONN);
	udp_pair(fds);
	CHILD(pid) {
		wait_until_asleep(getppid());
		OK(shutdown(fds[1], SHUT_RD));
	}
	EXPECT_EQ(recv(fds[1], bytes, 8, 0), 0);
	EXPECT_EXIT(pid, 0);
	signal(SIGPIPE, SIG_IGN);
	OK(shutdown(fds[0], SHUT_WR));
	EXPECT_ERRNO(write(fds[0], "x", 1), EPIPE);
}

CASE(a_full_buffer_drops)
{
	int count = 0;

	udp_pair(fds);
	OK(set(fds[1], SOL_SOCKET, SO_RCVBUF, 4096));
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(send(fds[0], bytes, 1000, 0), 1000);
	while (recv(fds[1], bytes, sizeof(bytes), MSG_DONTWAIT) == 1000)
		count++;
	EXPECT(count > 1);
	EXPECT(count < 20);
}

CASE(broadcast_needs_the_option)
{
	struct sockaddr_in name = ipv4("127.255.255.255", 9);
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0)), other = OK(socket(AF_INET, SOCK_DGRAM, 0));

	EXPECT_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), EACCES);
	OK(set(fd, SOL_SOCKET, SO_BROADCAST, 1));
	OK(bind_to(other, "0.0.0.0", 0));
	name.sin_port = htons(port_of(other));
	EXPECT_EQ(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	EXPECT_EQ(recv(other, bytes, 8, 0), 1);
}

CASE(ioctl_tells_the_size_of_the_next)
{
	int count = -1;

	udp_pair(fds);
	OK(ioctl(fds[1], FIONREAD, &count));
	EXPECT_EQ(count, 0);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(write(fds[0], "defg", 4), 4);
	OK(ioctl(fds[1], FIONREAD, &count));
	EXPECT_EQ(count, 3);
}

CASE(sendmmsg_and_recvmmsg)
{
	struct mmsghdr many[4] = {0};
	struct iovec parts[4];
	char room[4][8];

	udp_pair(fds);
	for (int i = 0; i < 4; i++) {
		parts[i] = (struct iovec){"abcd", i};
		many[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	EXPECT_EQ(sendmmsg(fds[0], many, 4, 0), 4);
	EXPECT_EQ(many[3].msg_len, 3);
	for (int i = 0; i < 4; i++)
		parts[i] = (struct iovec){room[i], 8};
	EXPECT_EQ(recvmmsg(fds[1], many, 3, 0, NULL), 3);
	EXPECT_EQ(many[2].msg_len, 2);
	EXPECT_EQ(recvmmsg(fds[1], many, 4, MSG_WAITFORONE, NULL), 1);
	EXPECT_EQ(many[0].msg_len, 3);
	EXPECT_ERRNO(recvmmsg(fds[1], many, 4, MSG_DONTWAIT, NULL), EAGAIN);
	EXPECT_ERRNO(recvmmsg(fds[1], many, 4, 0, &(struct timespec){0, -1}), EINVAL);
}

CASE(recvmmsg_waits_for_all_of_them)
{
	struct mmsghdr many[2] = {0};
	struct iovec parts[2];
	pid_t pid;

	udp_pair(fds);
	for (int i = 0; i < 2; i++) {
		parts[i] = (struct iovec){bytes + 8 * i, 8};
		many[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	EXPECT_EQ(write(fds[0], "one", 3), 3);
	CHILD(pid) {
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fds[0], "four", 4), 4);
	}
	EXPECT_EQ(recvmmsg(fds[1], many, 2, 0, NULL), 2);
	EXPECT_EQ(many[0].msg_len, 3);
	EXPECT_EQ(many[1].msg_len, 4);
	EXPECT_EXIT(pid, 0);
}

CASE(cork_makes_one_datagram)
{
	udp_pair(fds);
	EXPECT_EQ(send(fds[0], "abc", 3, MSG_MORE), 3);
	EXPECT_EQ(send(fds[0], "de", 2, MSG_MORE), 2);
	EXPECT_ERRNO(recv(fds[1], bytes, 8, MSG_DONTWAIT), EAGAIN);
	EXPECT_EQ(send(fds[0], "f", 1, 0), 1);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 6);
	OK(set(fds[0], IPPROTO_UDP, UDP_CORK, 1));
	EXPECT_EQ(write(fds[0], "gh", 2), 2);
	EXPECT_ERRNO(recv(fds[1], bytes, 8, MSG_DONTWAIT), EAGAIN);
	OK(set(fds[0], IPPROTO_UDP, UDP_CORK, 0));
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 2);
}

CASE(multicast_over_loopback)
{
	struct sockaddr_in group = ipv4("239.1.2.3", 0);
	struct ip_mreqn join = {.imr_multiaddr = group.sin_addr, .imr_ifindex = 1};
	int receiver = OK(socket(AF_INET, SOCK_DGRAM, 0)), sender = OK(socket(AF_INET, SOCK_DGRAM, 0));

	OK(bind_to(receiver, "0.0.0.0", 0));
	group.sin_port = htons(port_of(receiver));
	OK(setsockopt(receiver, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)));
	EXPECT_ERRNO(setsockopt(receiver, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)), EADDRINUSE);
	OK(setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, &join, sizeof(join)));
	EXPECT_EQ(sendto(sender, "x", 1, 0, (struct sockaddr *)&group, sizeof(group)), 1);
	EXPECT_EQ(recv(receiver, bytes, 8, 0), 1);
	OK(setsockopt(receiver, IPPROTO_IP, IP_DROP_MEMBERSHIP, &join, sizeof(join)));
	EXPECT_ERRNO(setsockopt(receiver, IPPROTO_IP, IP_DROP_MEMBERSHIP, &join, sizeof(join)),
		     EADDRNOTAVAIL);
	EXPECT_EQ(sendto(sender, "x", 1, 0, (struct sockaddr *)&group, sizeof(group)), 1);
	EXPECT_ERRNO(recv(receiver, bytes, 8, MSG_DONTWAIT), EAGAIN);
	join.imr_multiaddr.s_addr = htonl(0x7f000001);
	EXPECT_ERRNO(setsockopt(receiver, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)), EINVAL);
}

CASE(groups_of_ipv6)
{
	struct sockaddr_in6 group = ipv6("ff01::77", 9);
	struct ipv6_mreq join = {.ipv6mr_multiaddr = group.sin6_addr, .ipv6mr_interface = 1};
	int fd = OK(socket(AF_INET6, SOCK_DGRAM, 0));

	OK(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &join, sizeof(join)));
	EXPECT_ERRNO(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &join, sizeof(join)), EADDRINUSE);
	OK(setsockopt(fd, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &join, sizeof(join)));
	EXPECT_ERRNO(setsockopt(fd, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &join, sizeof(join)), EADDRNOTAVAIL);
	/* The loopback interface has no routes to groups. */
	OK(set(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, 1));
	EXPECT_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&group, sizeof(group)), ENETUNREACH);
}

CASE(source_filter_of_a_group)
{
	struct sockaddr_in group = ipv4("239.1.2.4", 0);
	struct ip_mreq_source join = {
		.imr_multiaddr = group.sin_addr,
		.imr_interface.s_addr = htonl(0x7f000001),
		.imr_sourceaddr.s_addr = htonl(0x7f000005),
	};
	int receiver = OK(socket(AF_INET, SOCK_DGRAM, 0)), wanted = OK(socket(AF_INET, SOCK_DGRAM, 0));
	int other = udp_bound();

	OK(bind_to(receiver, "0.0.0.0", 0));
	OK(bind_to(wanted, "127.0.0.5", 0));
	group.sin_port = htons(port_of(receiver));
	OK(setsockopt(receiver, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &join, sizeof(join)));
	OK(setsockopt(other, IPPROTO_IP, IP_MULTICAST_IF, &join.imr_interface, 4));
	OK(setsockopt(wanted, IPPROTO_IP, IP_MULTICAST_IF, &join.imr_interface, 4));
	OK(sendto(other, "no", 2, 0, (struct sockaddr *)&group, sizeof(group)));
	EXPECT_ERRNO(recv(receiver, bytes, 8, MSG_DONTWAIT), EAGAIN);
	OK(setsockopt(wanted, IPPROTO_IP, IP_MULTICAST_IF,
		      &(struct ip_mreqn){.imr_ifindex = 1, .imr_address.s_addr = join.imr_sourceaddr.s_addr},
		      sizeof(struct ip_mreqn)));
	OK(sendto(wanted, "yes", 3, 0, (struct sockaddr *)&group, sizeof(group)));
	EXPECT_EQ(recv(receiver, bytes, 8, 0), 3);
}

CASE(reuseport_spreads_datagrams_by_sender)
{
	int servers[2], counts[2] = {0, 0}, port = 0, fd;
	struct sockaddr_in name;

	for (int i = 0; i < 2; i++) {
		servers[i] = OK(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
		OK(set(servers[i], SOL_SOCKET, SO_REUSEPORT, 1));
		OK(bind_to(servers[i], "127.0.0.1", port));
		port = port_of(servers[0]);
	}
	name = ipv4("127.0.0.1", port);
	for (int i = 0; i < 60; i++) {
		fd = udp_bound();
		OK(sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)));
		OK(close(fd));
	}
	for (int i = 0; i < 2; i++)
		while (recv(servers[i], bytes, 8, 0) == 1)
			counts[i]++;
	EXPECT_EQ(counts[0] + counts[1], 60);
	EXPECT(counts[0] > 5);
	EXPECT(counts[1] > 5);
}

CASE(reuseaddr_gives_the_last_binder_everything)
{
	int one = OK(socket(AF_INET, SOCK_DGRAM, 0)), two = OK(socket(AF_INET, SOCK_DGRAM, 0));
	struct sockaddr_in name;

	OK(set(one, SOL_SOCKET, SO_REUSEADDR, 1));
	OK(set(two, SOL_SOCKET, SO_REUSEADDR, 1));
	OK(bind_to(one, "127.0.0.1", 0));
	OK(bind_to(two, "127.0.0.1", port_of(one)));
	name = ipv4("127.0.0.1", port_of(one));
	OK(sendto(udp_bound(), "x", 1, 0, (struct sockaddr *)&name, sizeof(name)));
	EXPECT_EQ(recv(two, bytes, 8, 0), 1);
	EXPECT_ERRNO(recv(one, bytes, 8, MSG_DONTWAIT), EAGAIN);
}

CASE(free_bind_takes_a_foreign_address)
{
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0)), tcp = OK(socket(AF_INET, SOCK_STREAM, 0));

	EXPECT_ERRNO(bind_to(fd, "192.0.2.1", 0), EADDRNOTAVAIL);
	OK(set(fd, IPPROTO_IP, IP_FREEBIND, 1));
	OK(bind_to(fd, "192.0.2.1", 0));
	OK(set(tcp, IPPROTO_IP, IP_FREEBIND, 1));
	OK(bind_to(tcp, "192.0.2.1", 0));
	OK(listen(tcp, 1));
}

CASE(path_mtu_of_loopback)
{
	udp_pair(fds);
	EXPECT_EQ(get(fds[0], IPPROTO_IP, IP_MTU), 65535);
	EXPECT_ERRNO(getsockopt(udp_bound(), IPPROTO_IP, IP_MTU, bytes, &(socklen_t){4}), ENOTCONN);
}

CASE(edge_triggered_datagrams)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int ep = OK(epoll_create1(0));

	udp_pair(fds);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[1], &event));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 5000), 1);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 0), 0);
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(epoll_wait(ep, &event, 1, 5000), 1);
}
