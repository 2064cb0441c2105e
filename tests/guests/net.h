/* What the guests with sockets of the internet share: addresses of loopback, and pairs of sockets. */
#ifndef NET_H
#define NET_H

#include "guest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define SHARED static __attribute__((unused))

SHARED struct sockaddr_in ipv4(const char *host, int port)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};

	EXPECT_EQ(inet_pton(AF_INET, host, &name.sin_addr), 1);
	return name;
}

SHARED struct sockaddr_in6 ipv6(const char *host, int port)
{
	struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	EXPECT_EQ(inet_pton(AF_INET6, host, &name.sin6_addr), 1);
	return name;
}

SHARED int bind_to(int fd, const char *host, int port)
{
	struct sockaddr_in name = ipv4(host, port);

	return bind(fd, (struct sockaddr *)&name, sizeof(name));
}

SHARED int connect_to(int fd, const char *host, int port)
{
	struct sockaddr_in name = ipv4(host, port);

	return connect(fd, (struct sockaddr *)&name, sizeof(name));
}

/* The port a socket of either family is bound to. */
SHARED int port_of(int fd)
{
	struct sockaddr_in6 name;
	socklen_t size = sizeof(name);

	OK(getsockname(fd, (struct sockaddr *)&name, &size));
	return ntohs(name.sin6_port);
}

SHARED int peer_port_of(int fd)
{
	struct sockaddr_in6 name;
	socklen_t size = sizeof(name);

	OK(getpeername(fd, (struct sockaddr *)&name, &size));
	return ntohs(name.sin6_port);
}

SHARED int listener(int backlog)
{
	int fd = OK(socket(AF_INET, SOCK_STREAM, 0));

	OK(bind_to(fd, "127.0.0.1", 0));
	OK(listen(fd, backlog));
	return fd;
}

/* A connected pair: [0] is the client, [1] the server's side. */
SHARED void tcp_pair(int pair[2])
{
	int server = listener(1);

	pair[0] = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(connect_to(pair[0], "127.0.0.1", port_of(server)));
	pair[1] = OK(accept(server, NULL, NULL));
	OK(close(server));
}

SHARED int udp_bound(void)
{
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));

	OK(bind_to(fd, "127.0.0.1", 0));
	return fd;
}

/* Two UDP sockets that are connected to each other. */
SHARED void udp_pair(int pair[2])
{
	pair[0] = udp_bound();
	pair[1] = udp_bound();
	OK(connect_to(pair[0], "127.0.0.1", port_of(pair[1])));
	OK(connect_to(pair[1], "127.0.0.1", port_of(pair[0])));
}

SHARED int get(int fd, int level, int which)
{
	int value = -1;
	socklen_t size = sizeof(value);

	OK(getsockopt(fd, level, which, &value, &size));
	EXPECT_EQ(size, sizeof(value));
	return value;
}

SHARED int set(int fd, int level, int which, int value)
{
	return setsockopt(fd, level, which, &value, sizeof(value));
}

/* What poll(2) says now. */
SHARED int events_of(int fd, int wanted)
{
	struct pollfd one = {.fd = fd, .events = wanted};

	OK(poll(&one, 1, 0));
	return one.revents;
}

/* Wait until poll(2) reports at least these events. */
SHARED void expect_events(int fd, int wanted)
{
	struct pollfd one = {.fd = fd, .events = wanted};

	EXPECT_SOON((poll(&one, 1, 1) >= 0 && (one.revents & wanted) == wanted));
}

SHARED void set_time_limit(int fd, int which, int ms)
{
	struct timeval limit = {ms / 1000, ms % 1000 * 1000};

	OK(setsockopt(fd, SOL_SOCKET, which, &limit, sizeof(limit)));
}

/* The first control message of a level and type; fails if there is none. */
SHARED struct cmsghdr *control_of(struct msghdr *header, int level, int type)
{
	struct cmsghdr *at;

	for (at = CMSG_FIRSTHDR(header); at; at = CMSG_NXTHDR(header, at))
		if (at->cmsg_level == level && at->cmsg_type == type)
			return at;
	fail("no control message of level %d and type %d", level, type);
}

SHARED int has_control(struct msghdr *header, int level, int type)
{
	struct cmsghdr *at;

	for (at = CMSG_FIRSTHDR(header); at; at = CMSG_NXTHDR(header, at))
		if (at->cmsg_level == level && at->cmsg_type == type)
			return 1;
	return 0;
}

/* Fill the way to the peer; return how much it took. */
SHARED long fill(int fd)
{
	static char filling[65536];
	long total = 0, step;

	while ((step = send(fd, filling, sizeof(filling), MSG_DONTWAIT)) > 0)
		total += step;
	EXPECT_EQ(errno, EAGAIN);
	return total;
}

#endif
