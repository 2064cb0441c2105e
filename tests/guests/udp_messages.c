/* What comes along with datagrams: control messages, errors, filters, segments (ip(7), ipv6(7), udp(7)). */
#include "udp.h"

#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/udp.h>
#include <sys/time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

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
