/* netlink(7), rtnetlink(7), netdevice(7): what a program asks of the interfaces, and what it is told. */
#include "net.h"

#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/fib_rules.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <net/if_arp.h>

static char bytes[65536];

struct request {
	struct nlmsghdr head;
	char body[512];
};

static int route_socket(void)
{
	return OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
}

static struct request request_of(int type, int flags, const void *body, size_t size)
{
	struct request made = {.head = {
		.nlmsg_len = NLMSG_LENGTH(size),
		.nlmsg_type = type,
		.nlmsg_flags = NLM_F_REQUEST | flags,
		.nlmsg_seq = 42,
	}};

	memcpy(made.body, body, size);
	return made;
}

static void put_attribute(struct request *request, int type, const void *data, size_t size)
{
	struct rtattr *at = (void *)((char *)request + NLMSG_ALIGN(request->head.nlmsg_len));

	*at = (struct rtattr){RTA_LENGTH(size), type};
	memcpy(RTA_DATA(at), data, size);
	request->head.nlmsg_len = NLMSG_ALIGN(request->head.nlmsg_len) + RTA_ALIGN(at->rta_len);
}

static void send_request(int fd, struct request *request)
{
	EXPECT_EQ(send(fd, request, request->head.nlmsg_len, 0), request->head.nlmsg_len);
}

/* Receive a datagram; return its first message. */
static struct nlmsghdr *receive(int fd, int *size)
{
	*size = OK(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT));
	return (struct nlmsghdr *)bytes;
}

/* The error of an acknowledgment that must come now. */
static int acknowledged(int fd)
{
	int size;
	struct nlmsghdr *head = receive(fd, &size);

	EXPECT_EQ(head->nlmsg_type, NLMSG_ERROR);
	EXPECT_EQ(head->nlmsg_seq, 42);
	return -((struct nlmsgerr *)NLMSG_DATA(head))->error;
}

/* Count the messages of a dump of one type. */
static int count_of_dump(int fd, int type)
{
	int size, count = 0;

	for (;;) {
		struct nlmsghdr *head = receive(fd, &size);

		for (; NLMSG_OK(head, (unsigned)size); head = NLMSG_NEXT(head, size)) {
			EXPECT(head->nlmsg_flags & NLM_F_MULTI);
			if (head->nlmsg_type == NLMSG_DONE)
				return count;
			EXPECT_EQ(head->nlmsg_type, type);
			count++;
		}
	}
}

CASE(socket_errors)
{
	EXPECT_ERRNO(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE), ESOCKTNOSUPPORT);
	EXPECT_ERRNO(socket(AF_NETLINK, SOCK_RAW, 99), EPROTONOSUPPORT);
}

CASE(bind_gives_the_pid_to_the_first)
{
	struct sockaddr_nl name = {.nl_family = AF_NETLINK};
	socklen_t size = sizeof(name);
	int one = route_socket(), two = route_socket();

	OK(bind(one, (struct sockaddr *)&name, sizeof(name)));
	OK(bind(two, (struct sockaddr *)&name, sizeof(name)));
	OK(getsockname(one, (struct sockaddr *)&name, &size));
	EXPECT_EQ(size, sizeof(name));
	EXPECT_EQ(name.nl_pid, getpid());
	OK(getsockname(two, (struct sockaddr *)&name, &size));
	EXPECT(name.nl_pid != (unsigned)getpid());
	EXPECT(name.nl_pid != 0);
	EXPECT_ERRNO(bind(one, (struct sockaddr *)&name, 4), EINVAL);
}

CASE(links_by_index_and_name)
{
	struct ifinfomsg info = {.ifi_index = 1};
	struct request request = request_of(RTM_GETLINK, 0, &info, sizeof(info));
	struct nlmsghdr *head;
	int fd = route_socket(), size, mask = 9;

	send_request(fd, &request);
	head = receive(fd, &size);
	EXPECT_EQ(head->nlmsg_type, RTM_NEWLINK);
	EXPECT_EQ(head->nlmsg_flags, 0);
	EXPECT_EQ(head->nlmsg_seq, 42);
	EXPECT_EQ(((struct ifinfomsg *)NLMSG_DATA(head))->ifi_type, ARPHRD_LOOPBACK);
	/* As `ip link show lo` asks. */
	info.ifi_index = 0;
	request = request_of(RTM_GETLINK, 0, &info, sizeof(info));
	put_attribute(&request, IFLA_EXT_MASK, &mask, sizeof(mask));
	put_attribute(&request, IFLA_IFNAME, "lo", 3);
	send_request(fd, &request);
	head = receive(fd, &size);
	EXPECT_EQ(head->nlmsg_type, RTM_NEWLINK);
	EXPECT_EQ(((struct ifinfomsg *)NLMSG_DATA(head))->ifi_index, 1);
	request = request_of(RTM_GETLINK, 0, &info, sizeof(info));
	put_attribute(&request, IFLA_IFNAME, "nothing", 8);
	send_request(fd, &request);
	EXPECT_EQ(acknowledged(fd), ENODEV);
	info.ifi_index = 99;
	request = request_of(RTM_GETLINK, 0, &info, sizeof(info));
	send_request(fd, &request);
	EXPECT_EQ(acknowledged(fd), ENODEV);
	info.ifi_index = 0;
	request = request_of(RTM_GETLINK, 0, &info, sizeof(info));
	send_request(fd, &request);
	EXPECT_EQ(acknowledged(fd), EINVAL);
}

CASE(dumps_end_with_done)
{
	struct rtgenmsg any = {.rtgen_family = AF_UNSPEC};
	struct request request = request_of(RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any));
	int fd = route_socket();

	send_request(fd, &request);
	EXPECT_EQ(count_of_dump(fd, RTM_NEWLINK), 1);
	request = request_of(RTM_GETADDR, NLM_F_DUMP, &any, sizeof(any));
	send_request(fd, &request);
	EXPECT_EQ(count_of_dump(fd, RTM_NEWADDR), 2);
	any.rtgen_family = AF_INET;
	request = request_of(RTM_GETADDR, NLM_F_DUMP, &any, sizeof(any));
	send_request(fd, &request);
	EXPECT_EQ(count_of_dump(fd, RTM_NEWADDR), 1);
	request = request_of(RTM_GETROUTE, NLM_F_DUMP, &any, sizeof(any));
	send_request(fd, &request);
	EXPECT_EQ(count_of_dump(fd, RTM_NEWROUTE), 3);
	request = request_of(RTM_GETRULE, NLM_F_DUMP, &any, sizeof(any));
	send_request(fd, &request);
	EXPECT_EQ(count_of_dump(fd, RTM_NEWRULE), 3);
	request = request_of(RTM_GETNEIGH, NLM_F_DUMP, &any, sizeof(any));
	send_request(fd, &request);
	EXPECT_EQ(count_of_dump(fd, RTM_NEWNEIGH), 0);
}

CASE(changes_need_a_capability)
{
	struct ifinfomsg info = {.ifi_index = 1, .ifi_change = IFF_UP};
	struct request request = request_of(RTM_NEWLINK, NLM_F_ACK, &info, sizeof(info));
	struct ifaddrmsg address = {AF_INET, 8, 0, 0, 1};
	int fd = route_socket();

	send_request(fd, &request);
	EXPECT_EQ(acknowledged(fd), EPERM);
	request = request_of(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE, &address, sizeof(address));
	send_request(fd, &request);
	EXPECT_EQ(acknowledged(fd), EPERM);
}

CASE(unknown_requests)
{
	struct rtgenmsg any = {.rtgen_family = AF_UNSPEC};
	struct request request = request_of(1000, 0, &any, sizeof(any));
	int fd = route_socket();

	send_request(fd, &request);
	EXPECT_EQ(acknowledged(fd), EOPNOTSUPP);
	request = request_of(NLMSG_NOOP, NLM_F_ACK, &any, sizeof(any));
	send_request(fd, &request);
	EXPECT_EQ(acknowledged(fd), 0);
	/* What is no request is acknowledged, but not answered. */
	request = request_of(RTM_GETLINK, NLM_F_ACK, &any, sizeof(any));
	request.head.nlmsg_flags = NLM_F_ACK;
	send_request(fd, &request);
	EXPECT_EQ(acknowledged(fd), 0);
	request.head.nlmsg_flags = 0;
	send_request(fd, &request);
	EXPECT_ERRNO(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), EAGAIN);
}

CASE(truncated_answers_tell_their_size)
{
	struct rtgenmsg any = {.rtgen_family = AF_UNSPEC};
	struct request request = request_of(RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any));
	int fd = route_socket(), size;

	send_request(fd, &request);
	size = OK(recv(fd, bytes, 1, MSG_PEEK | MSG_TRUNC));
	EXPECT(size > 100);
	EXPECT_EQ(recv(fd, bytes, sizeof(bytes), 0), size);
}

CASE(answers_come_from_the_kernel)
{
	struct rtgenmsg any = {.rtgen_family = AF_UNSPEC};
	struct request request = request_of(RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any));
	struct sockaddr_nl from = {0};
	socklen_t size = sizeof(from);
	int fd = route_socket();

	send_request(fd, &request);
	OK(recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &size));
	EXPECT_EQ(size, sizeof(from));
	EXPECT_EQ(from.nl_family, AF_NETLINK);
	EXPECT_EQ(from.nl_pid, 0);
}

CASE(groups_are_listed)
{
	struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = route_socket(), group = RTNLGRP_IPV4_IFADDR;
	socklen_t size = sizeof(name);

	OK(bind(fd, (struct sockaddr *)&name, sizeof(name)));
	OK(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)));
	OK(getsockname(fd, (struct sockaddr *)&name, &size));
	EXPECT_EQ(name.nl_groups, RTMGRP_LINK | RTMGRP_IPV4_IFADDR);
	group = 0;
	EXPECT_ERRNO(setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)), EINVAL);
}

CASE(route_to_loopback)
{
	struct rtmsg message = {.rtm_family = AF_INET, .rtm_dst_len = 32};
	struct request request = request_of(RTM_GETROUTE, 0, &message, sizeof(message));
	struct in_addr target;
	struct nlmsghdr *head;
	int fd = route_socket(), size;

	target.s_addr = htonl(0x7f000009);
	put_attribute(&request, RTA_DST, &target, 4);
	send_request(fd, &request);
	head = receive(fd, &size);
	EXPECT_EQ(head->nlmsg_type, RTM_NEWROUTE);
	EXPECT_EQ(((struct rtmsg *)NLMSG_DATA(head))->rtm_type, RTN_LOCAL);
	request = request_of(RTM_GETROUTE, 0, &message, sizeof(message));
	target.s_addr = htonl(0xc0000201);
	put_attribute(&request, RTA_DST, &target, 4);
	send_request(fd, &request);
	EXPECT_EQ(acknowledged(fd), ENETUNREACH);
}

CASE(listeners_by_sock_diag)
{
	struct inet_diag_req_v2 wanted = {
		.sdiag_family = AF_INET,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = 1 << TCP_LISTEN,
	};
	struct request request = request_of(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &wanted, sizeof(wanted));
	struct inet_diag_msg *found;
	struct nlmsghdr *head;
	int server = listener(7), fd = OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)), size;

	send_request(fd, &request);
	head = receive(fd, &size);
	EXPECT_EQ(head->nlmsg_type, SOCK_DIAG_BY_FAMILY);
	found = NLMSG_DATA(head);
	EXPECT_EQ(found->idiag_state, TCP_LISTEN);
	EXPECT_EQ(ntohs(found->id.idiag_sport), port_of(server));
	EXPECT_EQ(found->idiag_wqueue, 7);
}

CASE(getifaddrs_of_the_library)
{
	struct ifaddrs *list, *at;
	int count = 0;

	OK(getifaddrs(&list));
	for (at = list; at; at = at->ifa_next, count++)
		EXPECT_STR(at->ifa_name, "lo");
	EXPECT_EQ(count, 3);
	freeifaddrs(list);
	EXPECT_EQ(if_nametoindex("lo"), 1);
	EXPECT_ERRNO(if_nametoindex("nothing") ? 0 : -1, ENODEV);
}

CASE(interface_requests)
{
	struct ifreq ask = {0};
	struct ifconf conf;
	struct ifreq room[4];
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));

	strcpy(ask.ifr_name, "lo");
	OK(ioctl(fd, SIOCGIFFLAGS, &ask));
	EXPECT_EQ(ask.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING), IFF_UP | IFF_LOOPBACK | IFF_RUNNING);
	OK(ioctl(fd, SIOCGIFMTU, &ask));
	EXPECT_EQ(ask.ifr_mtu, 65536);
	OK(ioctl(fd, SIOCGIFADDR, &ask));
	EXPECT_EQ(ntohl(((struct sockaddr_in *)&ask.ifr_addr)->sin_addr.s_addr), 0x7f000001);
	OK(ioctl(fd, SIOCGIFNETMASK, &ask));
	EXPECT_EQ(ntohl(((struct sockaddr_in *)&ask.ifr_addr)->sin_addr.s_addr), 0xff000000);
	OK(ioctl(fd, SIOCGIFHWADDR, &ask));
	EXPECT_EQ(ask.ifr_hwaddr.sa_family, ARPHRD_LOOPBACK);
	OK(ioctl(fd, SIOCGIFTXQLEN, &ask));
	EXPECT_EQ(ask.ifr_qlen, 1000);
	OK(ioctl(fd, SIOCGIFMETRIC, &ask));
	EXPECT_EQ(ask.ifr_metric, 0);
	OK(ioctl(fd, SIOCGIFINDEX, &ask));
	EXPECT_EQ(ask.ifr_ifindex, 1);
	OK(ioctl(fd, SIOCGIFNAME, &ask));
	EXPECT_STR(ask.ifr_name, "lo");
	conf = (struct ifconf){.ifc_len = sizeof(room), .ifc_req = room};
	OK(ioctl(fd, SIOCGIFCONF, &conf));
	EXPECT_EQ(conf.ifc_len, sizeof(struct ifreq));
	EXPECT_STR(room[0].ifr_name, "lo");
	conf = (struct ifconf){.ifc_len = 0, .ifc_req = NULL};
	OK(ioctl(fd, SIOCGIFCONF, &conf));
	EXPECT_EQ(conf.ifc_len, sizeof(struct ifreq));
	strcpy(ask.ifr_name, "nothing");
	EXPECT_ERRNO(ioctl(fd, SIOCGIFFLAGS, &ask), ENODEV);
	strcpy(ask.ifr_name, "lo");
	EXPECT_ERRNO(ioctl(fd, SIOCSIFFLAGS, &ask), EPERM);
	EXPECT_ERRNO(ioctl(fd, SIOCSIFMTU, &ask), EPERM);
	EXPECT_ERRNO(ioctl(fd, SIOCGIFFLAGS, (void *)8), EFAULT);
}

CASE(filter_on_a_netlink_socket)
{
	struct rtgenmsg any = {.rtgen_family = AF_UNSPEC};
	struct request request = request_of(RTM_GETLINK, NLM_F_DUMP, &any, sizeof(any));
	struct { unsigned short code; unsigned char jt, jf; unsigned k; } nothing = {6, 0, 0, 0};
	struct { unsigned short size; void *code; } program = {1, &nothing};
	int fd = route_socket();

	OK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	send_request(fd, &request);
	EXPECT_ERRNO(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), EAGAIN);
	OK(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, sizeof(int)));
}
