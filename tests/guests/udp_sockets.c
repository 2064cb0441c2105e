/* udp(7), ip(7), ipv6(7): datagrams, what comes along with them, and errors, on loopback. */
#include "net.h"

#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

static int fds[2];
static char bytes[70000];
static char control[512];

/* A message header for one buffer and the control buffer, with the sender's name if wanted. */
static struct msghdr header_for(struct iovec *part, size_t size, void *name, socklen_t name_size)
{
	*part = (struct iovec){bytes, size};
	return (struct msghdr){
		.msg_name = name,
		.msg_namelen = name_size,
		.msg_iov = part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
}

/* Add one control message to a header whose control buffer holds only this. */
static void put_control(struct msghdr *header, int level, int type, const void *data, size_t size)
{
	struct cmsghdr *at;

	memset(control, 0, sizeof(control));
	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(size);
	at = CMSG_FIRSTHDR(header);
	at->cmsg_level = level;
	at->cmsg_type = type;
	at->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(at), data, size);
}

/* Two UDP sockets of IPv6; both are bound, the first is connected to the second. */
static void udp6_pair(int pair[2])
{
	struct sockaddr_in6 name = ipv6("::1", 0);
	socklen_t size = sizeof(name);

	for (int i = 0; i < 2; i++) {
		pair[i] = OK(socket(AF_INET6, SOCK_DGRAM, 0));
		OK(bind(pair[i], (struct sockaddr *)&name, sizeof(name)));
	}
	OK(getsockname(pair[1], (struct sockaddr *)&name, &size));
	OK(connect(pair[0], (struct sockaddr *)&name, size));
}

static int int_of(struct msghdr *header, int level, int type)
{
	int value;

	memcpy(&value, CMSG_DATA(control_of(header, level, type)), sizeof(value));
	return value;
}

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

CASE(error_queue_has_the_icmp_error)
{
	struct sockaddr_in name = ipv4("127.0.0.1", 1), from;
	struct iovec part;
	struct msghdr header = header_for(&part, 64, &from, sizeof(from));
	struct sock_extended_err *error;
	struct sockaddr_in *offender;
	int fd = udp_bound();

	OK(set(fd, IPPROTO_IP, IP_RECVERR, 1));
	EXPECT_ERRNO(recvmsg(fd, &header, MSG_ERRQUEUE), EAGAIN);
	OK(sendto(fd, "abc", 3, 0, (struct sockaddr *)&name, sizeof(name)));
	expect_events(fd, POLLERR);
	header = header_for(&part, 64, &from, sizeof(from));
	EXPECT_EQ(recvmsg(fd, &header, MSG_ERRQUEUE), 3);
	EXPECT_EQ(memcmp(bytes, "abc", 3), 0);
	EXPECT_EQ(header.msg_flags, MSG_ERRQUEUE);
	EXPECT_EQ(ntohs(from.sin_port), 1);
	error = (struct sock_extended_err *)CMSG_DATA(control_of(&header, IPPROTO_IP, IP_RECVERR));
	EXPECT_EQ(error->ee_errno, ECONNREFUSED);
	EXPECT_EQ(error->ee_origin, SO_EE_ORIGIN_ICMP);
	EXPECT_EQ(error->ee_type, 3);
	EXPECT_EQ(error->ee_code, 3);
	offender = (struct sockaddr_in *)SO_EE_OFFENDER(error);
	EXPECT_EQ(offender->sin_family, AF_INET);
	EXPECT_EQ(ntohl(offender->sin_addr.s_addr), 0x7f000001);
	EXPECT_EQ(events_of(fd, POLLIN), 0);
}

CASE(error_queue_is_also_a_pending_error)
{
	struct sockaddr_in name = ipv4("127.0.0.1", 1);
	int fd = udp_bound();

	OK(set(fd, IPPROTO_IP, IP_RECVERR, 1));
	OK(sendto(fd, "abc", 3, 0, (struct sockaddr *)&name, sizeof(name)));
	expect_events(fd, POLLERR);
	EXPECT_EQ(get(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
	EXPECT_EQ(events_of(fd, POLLIN) & POLLERR, POLLERR);
	EXPECT_ERRNO(recv(fd, bytes, 8, MSG_DONTWAIT), EAGAIN);
	OK(set(fd, IPPROTO_IP, IP_RECVERR, 0));
	EXPECT_EQ(events_of(fd, POLLIN), 0);
}

CASE(error_queue_of_ipv6)
{
	struct sockaddr_in6 name = ipv6("::1", 1), from, *offender;
	struct iovec part;
	struct msghdr header = header_for(&part, 64, &from, sizeof(from));
	struct sock_extended_err *error;
	int fd = OK(socket(AF_INET6, SOCK_DGRAM, 0));

	OK(set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1));
	OK(sendto(fd, "abc", 3, 0, (struct sockaddr *)&name, sizeof(name)));
	expect_events(fd, POLLERR);
	EXPECT_EQ(recvmsg(fd, &header, MSG_ERRQUEUE), 3);
	error = (struct sock_extended_err *)CMSG_DATA(control_of(&header, IPPROTO_IPV6, IPV6_RECVERR));
	EXPECT_EQ(error->ee_errno, ECONNREFUSED);
	EXPECT_EQ(error->ee_origin, SO_EE_ORIGIN_ICMP6);
	EXPECT_EQ(error->ee_type, 1);
	EXPECT_EQ(error->ee_code, 4);
	offender = (struct sockaddr_in6 *)SO_EE_OFFENDER(error);
	EXPECT_EQ(offender->sin6_family, AF_INET6);
	EXPECT_EQ(offender->sin6_addr.s6_addr[15], 1);
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

CASE(packet_info_of_ipv4)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 64, NULL, 0);
	struct in_pktinfo info;

	udp_pair(fds);
	OK(set(fds[1], IPPROTO_IP, IP_PKTINFO, 1));
	OK(set(fds[1], IPPROTO_IP, IP_RECVTTL, 1));
	OK(set(fds[1], IPPROTO_IP, IP_RECVTOS, 1));
	OK(set(fds[0], IPPROTO_IP, IP_TTL, 7));
	OK(set(fds[0], IPPROTO_IP, IP_TOS, 0x10));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 3);
	memcpy(&info, CMSG_DATA(control_of(&header, IPPROTO_IP, IP_PKTINFO)), sizeof(info));
	EXPECT_EQ(info.ipi_ifindex, 1);
	EXPECT_EQ(ntohl(info.ipi_addr.s_addr), 0x7f000001);
	EXPECT_EQ(ntohl(info.ipi_spec_dst.s_addr), 0x7f000001);
	EXPECT_EQ(int_of(&header, IPPROTO_IP, IP_TTL), 7);
	EXPECT_EQ(*CMSG_DATA(control_of(&header, IPPROTO_IP, IP_TOS)), 0x10);
}

CASE(packet_info_chooses_the_source)
{
	struct sockaddr_in name, from;
	socklen_t size = sizeof(from);
	struct iovec part;
	struct msghdr header = header_for(&part, 3, &name, sizeof(name));
	struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(0x7f000009)};
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0)), other = udp_bound();

	name = ipv4("127.0.0.1", port_of(other));
	put_control(&header, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	EXPECT_EQ(sendmsg(fd, &header, 0), 3);
	EXPECT_EQ(recvfrom(other, bytes, 8, 0, (struct sockaddr *)&from, &size), 3);
	EXPECT_EQ(ntohl(from.sin_addr.s_addr), 0x7f000009);
	info.ipi_spec_dst.s_addr = htonl(0xc0000201);
	put_control(&header, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	EXPECT_ERRNO(sendmsg(fd, &header, 0), ENETUNREACH);
	info = (struct in_pktinfo){.ipi_ifindex = 99};
	put_control(&header, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	EXPECT_ERRNO(sendmsg(fd, &header, 0), ENODEV);
}

CASE(control_messages_of_sending)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 3, NULL, 0);
	int ttl = 9;

	udp_pair(fds);
	OK(set(fds[1], IPPROTO_IP, IP_RECVTTL, 1));
	put_control(&header, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	EXPECT_EQ(sendmsg(fds[0], &header, 0), 3);
	header = header_for(&part, 64, NULL, 0);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 3);
	EXPECT_EQ(int_of(&header, IPPROTO_IP, IP_TTL), 9);
	ttl = 0;
	put_control(&header, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
	put_control(&header, IPPROTO_IP, 99, &ttl, sizeof(ttl));
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
	put_control(&header, SOL_SOCKET, 99, &ttl, sizeof(ttl));
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
	/* What is for Unix sockets only is passed over. */
	put_control(&header, SOL_SOCKET, SCM_RIGHTS, &fds[0], sizeof(int));
	EXPECT_EQ(sendmsg(fds[0], &header, 0), 64);
}

CASE(packet_info_of_ipv6)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 64, NULL, 0);
	struct in6_pktinfo info;

	udp6_pair(fds);
	OK(set(fds[1], IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
	OK(set(fds[1], IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
	OK(set(fds[1], IPPROTO_IPV6, IPV6_RECVTCLASS, 1));
	OK(set(fds[0], IPPROTO_IPV6, IPV6_UNICAST_HOPS, 5));
	OK(set(fds[0], IPPROTO_IPV6, IPV6_TCLASS, 0x20));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 3);
	memcpy(&info, CMSG_DATA(control_of(&header, IPPROTO_IPV6, IPV6_PKTINFO)), sizeof(info));
	EXPECT_EQ(info.ipi6_ifindex, 1);
	EXPECT_EQ(info.ipi6_addr.s6_addr[15], 1);
	EXPECT_EQ(int_of(&header, IPPROTO_IPV6, IPV6_HOPLIMIT), 5);
	EXPECT_EQ(int_of(&header, IPPROTO_IPV6, IPV6_TCLASS), 0x20);
}

CASE(control_messages_of_sending_ipv6)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 3, NULL, 0);
	int hops = 3;

	udp6_pair(fds);
	OK(set(fds[1], IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
	put_control(&header, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
	EXPECT_EQ(sendmsg(fds[0], &header, 0), 3);
	header = header_for(&part, 64, NULL, 0);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 3);
	EXPECT_EQ(int_of(&header, IPPROTO_IPV6, IPV6_HOPLIMIT), 3);
	hops = 256;
	put_control(&header, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
}

CASE(mapped_addresses_of_a_dual_socket)
{
	struct sockaddr_in6 name = ipv6("::", 0);
	struct sockaddr_in to;
	socklen_t size = sizeof(name);
	int dual = OK(socket(AF_INET6, SOCK_DGRAM, 0)), fd = udp_bound();
	char text[64];

	OK(bind(dual, (struct sockaddr *)&name, sizeof(name)));
	to = ipv4("127.0.0.1", port_of(dual));
	OK(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	EXPECT_EQ(recvfrom(dual, bytes, 8, 0, (struct sockaddr *)&name, &size), 1);
	EXPECT_STR(inet_ntop(AF_INET6, &name.sin6_addr, text, sizeof(text)), "::ffff:127.0.0.1");
	EXPECT_EQ(sendto(dual, "back", 4, 0, (struct sockaddr *)&name, size), 4);
	EXPECT_EQ(recv(fd, bytes, 8, 0), 4);
}

CASE(timestamps_in_both_units)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 64, NULL, 0);
	struct timespec now, stamp;
	struct timeval old;

	udp_pair(fds);
	OK(set(fds[1], SOL_SOCKET, SO_TIMESTAMP, 1));
	EXPECT_EQ(write(fds[0], "x", 1), 1);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 1);
	OK(clock_gettime(CLOCK_REALTIME, &now));
	memcpy(&old, CMSG_DATA(control_of(&header, SOL_SOCKET, SO_TIMESTAMP)), sizeof(old));
	EXPECT(now.tv_sec - old.tv_sec <= 5);
	EXPECT(old.tv_usec < 1000000);
	/* One of them takes the place of the other. */
	OK(set(fds[1], SOL_SOCKET, SO_TIMESTAMPNS, 1));
	EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_TIMESTAMP), 0);
	EXPECT_EQ(write(fds[0], "x", 1), 1);
	header = header_for(&part, 64, NULL, 0);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 1);
	memcpy(&stamp, CMSG_DATA(control_of(&header, SOL_SOCKET, SO_TIMESTAMPNS)), sizeof(stamp));
	EXPECT(now.tv_sec - stamp.tv_sec <= 5);
	EXPECT_EQ(has_control(&header, SOL_SOCKET, SO_TIMESTAMP), 0);
}

CASE(timestamp_of_the_last_packet_by_ioctl)
{
	struct timeval stamp;
	struct timespec now;

	udp_pair(fds);
	EXPECT_ERRNO(ioctl(fds[1], SIOCGSTAMP, &stamp), ENOENT);
	EXPECT_EQ(write(fds[0], "x", 1), 1);
	EXPECT_EQ(recv(fds[1], bytes, 8, 0), 1);
	OK(ioctl(fds[1], SIOCGSTAMP, &stamp));
	OK(clock_gettime(CLOCK_REALTIME, &now));
	EXPECT(now.tv_sec - stamp.tv_sec <= 5);
}

CASE(control_without_room_is_flagged)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 64, NULL, 0);

	udp_pair(fds);
	OK(set(fds[1], IPPROTO_IP, IP_PKTINFO, 1));
	EXPECT_EQ(write(fds[0], "x", 1), 1);
	header.msg_controllen = 8;
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 1);
	EXPECT_EQ(header.msg_flags, MSG_CTRUNC);
	EXPECT_EQ(header.msg_controllen, 0);
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

CASE(segments_of_one_send)
{
	udp_pair(fds);
	EXPECT_EQ(get(fds[0], IPPROTO_UDP, UDP_SEGMENT), 0);
	OK(set(fds[0], IPPROTO_UDP, UDP_SEGMENT, 4));
	EXPECT_EQ(get(fds[0], IPPROTO_UDP, UDP_SEGMENT), 4);
	EXPECT_EQ(write(fds[0], "aaaabbbbcc", 10), 10);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 4);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 4);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 2);
	EXPECT_EQ(memcmp(bytes, "cc", 2), 0);
	EXPECT_ERRNO(set(fds[0], IPPROTO_UDP, UDP_SEGMENT, -1), EINVAL);
	EXPECT_ERRNO(set(fds[0], IPPROTO_UDP, UDP_SEGMENT, 65536), EINVAL);
}

CASE(segment_size_by_control_message)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 10, NULL, 0);
	uint16_t size = 5;
	int wrong = 5;

	udp_pair(fds);
	put_control(&header, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
	EXPECT_EQ(sendmsg(fds[0], &header, 0), 10);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 5);
	EXPECT_EQ(recv(fds[1], bytes, 64, 0), 5);
	EXPECT_ERRNO(recv(fds[1], bytes, 64, MSG_DONTWAIT), EAGAIN);
	put_control(&header, IPPROTO_UDP, UDP_SEGMENT, &wrong, sizeof(wrong));
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
	part.iov_len = 1000;
	size = 1;
	put_control(&header, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
}

CASE(gro_gives_segments_together)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 64, NULL, 0);

	udp_pair(fds);
	OK(set(fds[0], IPPROTO_UDP, UDP_SEGMENT, 4));
	OK(set(fds[1], IPPROTO_UDP, UDP_GRO, 1));
	EXPECT_EQ(get(fds[1], IPPROTO_UDP, UDP_GRO), 1);
	EXPECT_EQ(write(fds[0], "aaaabbbbcc", 10), 10);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 10);
	EXPECT_EQ(int_of(&header, IPPROTO_UDP, UDP_GRO), 4);
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

CASE(original_destination)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 64, NULL, 0);
	struct sockaddr_in name;
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0)), sender = udp_bound();

	OK(bind_to(fd, "0.0.0.0", 0));
	OK(set(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, 1));
	name = ipv4("127.0.0.77", port_of(fd));
	OK(sendto(sender, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)));
	EXPECT_EQ(recvmsg(fd, &header, 0), 1);
	memcpy(&name, CMSG_DATA(control_of(&header, IPPROTO_IP, IP_ORIGDSTADDR)), sizeof(name));
	EXPECT_EQ(ntohl(name.sin_addr.s_addr), 0x7f00004d);
	EXPECT_EQ(ntohs(name.sin_port), port_of(fd));
}

CASE(path_mtu_of_loopback)
{
	udp_pair(fds);
	EXPECT_EQ(get(fds[0], IPPROTO_IP, IP_MTU), 65535);
	EXPECT_ERRNO(getsockopt(udp_bound(), IPPROTO_IP, IP_MTU, bytes, &(socklen_t){4}), ENOTCONN);
}

CASE(filter_decides_what_is_received)
{
	/* Keep datagrams whose first byte is 'y', cut to 8 + 2 bytes: the UDP header counts. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'y', 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 10),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {LENGTH(code), code};

	udp_pair(fds);
	OK(setsockopt(fds[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
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

CASE(filter_programs_are_verified)
{
	struct sock_filter no_return[] = {BPF_STMT(BPF_LD | BPF_IMM, 0)};
	struct sock_filter far_jump[] = {
		BPF_JUMP(BPF_JMP | BPF_JA, 5, 0, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_filter unknown[] = {{0xffff, 0, 0, 0}, BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_filter divides[] = {
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_filter memory[] = {BPF_STMT(BPF_LD | BPF_MEM, 16), BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_filter *programs[] = {no_return, far_jump, unknown, divides, memory};
	int sizes[] = {1, 2, 2, 2, 2}, fd = udp_bound();

	for (unsigned i = 0; i < LENGTH(programs); i++) {
		struct sock_fprog program = {sizes[i], programs[i]};

		EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)),
			     EINVAL);
	}
	EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &(struct sock_fprog){0, far_jump},
				sizeof(struct sock_fprog)), EINVAL);
	EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, bytes, 4), EINVAL);
	EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER,
				&(struct sock_fprog){2, (void *)8}, sizeof(struct sock_fprog)), EFAULT);
}

CASE(a_locked_filter_stays)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
	struct sock_fprog program = {1, code};
	int fd = udp_bound();

	OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	OK(set(fd, SOL_SOCKET, SO_LOCK_FILTER, 1));
	EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), EPERM);
	EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0), EPERM);
	EXPECT_ERRNO(set(fd, SOL_SOCKET, SO_LOCK_FILTER, 0), EPERM);
}

CASE(filter_can_be_read_back)
{
	struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_IMM, 7), BPF_STMT(BPF_RET | BPF_A, 0)}, got[2];
	struct sock_fprog program = {2, code};
	socklen_t size = 0;
	int fd = udp_bound();

	OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	OK(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &size));
	EXPECT_EQ(size, 2);
	OK(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, got, &size));
	EXPECT_EQ(memcmp(code, got, sizeof(code)), 0);
}

CASE(peek_offset_moves)
{
	udp_pair(fds);
	EXPECT_EQ(get(fds[1], SOL_SOCKET, SO_PEEK_OFF), -1);
	OK(set(fds[1], SOL_SOCKET, SO_PEEK_OFF, 1));
	EXPECT_EQ(write(fds[0], "abcdef", 6), 6);
	EXPECT_EQ(recv(fds[1], bytes, 2, MSG_PEEK), 2);
	EXPECT_EQ(memcmp(bytes, "bc", 2), 0);
	EXPECT_EQ(recv(fds[1], bytes, 8, MSG_PEEK), 3);
	EXPECT_EQ(memcmp(bytes, "def", 3), 0);
	EXPECT_EQ(recv(fds[1], bytes, 8, 0), 6);
}

CASE(drops_are_counted)
{
	struct iovec part;
	struct msghdr header;
	int drops = -1;

	udp_pair(fds);
	OK(set(fds[1], SOL_SOCKET, SO_RXQ_OVFL, 1));
	OK(set(fds[1], SOL_SOCKET, SO_RCVBUF, 2304));
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(send(fds[0], bytes, 500, 0), 500);
	while (recv(fds[1], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	EXPECT_EQ(send(fds[0], bytes, 500, 0), 500);
	header = header_for(&part, sizeof(bytes), NULL, 0);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 500);
	drops = int_of(&header, SOL_SOCKET, SO_RXQ_OVFL);
	EXPECT(drops > 10);
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

CASE(ping_sockets_echo)
{
	struct sockaddr_in name = ipv4("127.0.0.1", 0), from;
	socklen_t size = sizeof(from);
	unsigned char request[12] = {8, 0, 0, 0, 0, 0, 0, 1, 'p', 'i', 'n', 'g'};
	int fd;

	write_file("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	fd = OK(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	EXPECT_EQ(sendto(fd, request, 12, 0, (struct sockaddr *)&name, sizeof(name)), 12);
	EXPECT_EQ(recvfrom(fd, bytes, 64, 0, (struct sockaddr *)&from, &size), 12);
	EXPECT_EQ(bytes[0], 0);
	EXPECT_EQ(memcmp(bytes + 8, "ping", 4), 0);
	EXPECT_EQ(ntohs(*(uint16_t *)(bytes + 4)), port_of(fd));
	EXPECT_EQ(from.sin_port, 0);
	request[0] = 13;
	EXPECT_ERRNO(sendto(fd, request, 12, 0, (struct sockaddr *)&name, sizeof(name)), EINVAL);
	EXPECT_ERRNO(sendto(fd, request, 4, 0, (struct sockaddr *)&name, sizeof(name)), EINVAL);
}

CASE(ping_sockets_of_ipv6_tell_the_hop_limit)
{
	struct sockaddr_in6 name = ipv6("::1", 0);
	unsigned char request[12] = {128, 0, 0, 0, 0, 0, 0, 1, 'p', 'i', 'n', 'g'};
	struct iovec part;
	struct msghdr header = header_for(&part, 64, NULL, 0);
	int fd;

	write_file("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	fd = OK(socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6));
	OK(set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1));
	EXPECT_EQ(sendto(fd, request, 12, 0, (struct sockaddr *)&name, sizeof(name)), 12);
	EXPECT_EQ(recvmsg(fd, &header, 0), 12);
	EXPECT_EQ((unsigned char)bytes[0], 129);
	EXPECT_EQ(int_of(&header, IPPROTO_IPV6, IPV6_HOPLIMIT), 64);
}

CASE(hop_limit_by_the_old_option)
{
	struct iovec part;
	struct msghdr header = header_for(&part, 64, NULL, 0);

	/* RFC 2292 had the same number for the option and the control message. */
	udp6_pair(fds);
	OK(set(fds[1], IPPROTO_IPV6, IPV6_2292HOPLIMIT, 1));
	OK(set(fds[1], IPPROTO_IPV6, IPV6_2292PKTINFO, 1));
	EXPECT_EQ(write(fds[0], "abc", 3), 3);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 3);
	EXPECT_EQ(int_of(&header, IPPROTO_IPV6, IPV6_2292HOPLIMIT), 64);
	EXPECT(has_control(&header, IPPROTO_IPV6, IPV6_2292PKTINFO));
}
