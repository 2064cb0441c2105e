/* What the guests with datagrams share: buffers, and a message header for them. */
#ifndef UDP_H
#define UDP_H

#include "net.h"

static int fds[2];
static char bytes[70000];
static char control[512];

/* A message header for one buffer and the control buffer, with the sender's name if wanted. */
SHARED struct msghdr header_for(struct iovec *part, size_t size, void *name, socklen_t name_size)
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

#endif
