/* SCM_RIGHTS and SCM_CREDENTIALS of unix(7). */
#include "guest.h"

#include <sys/socket.h>

static int fds[2];

static void send_fd(int over, int fd)
{
	char byte = 'f', control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {&byte, 1};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *message = CMSG_FIRSTHDR(&header);

	message->cmsg_level = SOL_SOCKET;
	message->cmsg_type = SCM_RIGHTS;
	message->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(message), &fd, sizeof(int));
	EXPECT_EQ(sendmsg(over, &header, 0), 1);
}

/* Receive a descriptor; -1 if there is none. */
static int receive_fd(int over, int flags, int *got_flags)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {&byte, 1};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *message;
	int fd = -1;

	EXPECT_EQ(recvmsg(over, &header, flags), 1);
	if (got_flags)
		*got_flags = header.msg_flags;
	message = CMSG_FIRSTHDR(&header);
	if (message && message->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(message), sizeof(int));
	return fd;
}

CASE(rights_pass_open_files)
{
	int fd, got;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	write_file("file", "abc");
	fd = OK(open("file", O_RDONLY));
	OK(lseek(fd, 2, SEEK_SET));
	send_fd(fds[0], fd);
	OK(close(fd));
	got = receive_fd(fds[1], MSG_CMSG_CLOEXEC, NULL);
	EXPECT(got >= 0);
	EXPECT_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(lseek(got, 0, SEEK_CUR), 2);
}

CASE(rights_without_room_are_closed_and_flagged)
{
	int pipes[2];
	char byte;
	struct iovec part = {&byte, 1};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	OK(pipe(pipes));
	send_fd(fds[0], pipes[1]);
	OK(close(pipes[1]));
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 1);
	EXPECT_EQ(header.msg_flags & MSG_CTRUNC, MSG_CTRUNC);
	EXPECT_EQ(read(pipes[0], &byte, 1), 0);
}

CASE(rights_in_flight_keep_the_file_until_the_socket_is_closed)
{
	int pipes[2];
	char byte;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(pipe2(pipes, O_NONBLOCK));
	send_fd(fds[0], pipes[1]);
	OK(close(pipes[1]));
	EXPECT_ERRNO(read(pipes[0], &byte, 1), EAGAIN);
	OK(close(fds[0]));
	OK(close(fds[1]));
	EXPECT_EQ(read(pipes[0], &byte, 1), 0);
}

CASE(stream_reads_end_with_the_bytes_of_rights)
{
	char bytes[8];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	EXPECT_EQ(write(fds[0], "ab", 2), 2);
	send_fd(fds[0], 0);
	EXPECT_EQ(write(fds[0], "cd", 2), 2);
	EXPECT_EQ(read(fds[1], bytes, 8), 3);
	EXPECT_EQ(read(fds[1], bytes, 8), 2);
	send_fd(fds[0], 0);
	EXPECT_EQ(write(fds[0], "cd", 2), 2);
	EXPECT(receive_fd(fds[1], 0, NULL) >= 0);
	EXPECT_EQ(read(fds[1], bytes, 8), 2);
}

CASE(bad_rights_are_refused)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec part = {&byte, 1};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *message = CMSG_FIRSTHDR(&header);

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	message->cmsg_level = SOL_SOCKET;
	message->cmsg_type = SCM_RIGHTS;
	message->cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(message) = 77;
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EBADF);
	message->cmsg_type = 99;
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
	message->cmsg_len = 4;
	EXPECT_ERRNO(sendmsg(fds[0], &header, 0), EINVAL);
}

CASE(credentials_come_with_passcred)
{
	char byte, control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec part = {&byte, 1};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct ucred *creds;
	int on = 1;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	EXPECT_EQ(write(fds[0], "x", 1), 1);
	EXPECT_EQ(recvmsg(fds[1], &header, 0), 1);
	EXPECT(CMSG_FIRSTHDR(&header) != NULL);
	EXPECT_EQ(CMSG_FIRSTHDR(&header)->cmsg_type, SCM_CREDENTIALS);
	creds = (void *)CMSG_DATA(CMSG_FIRSTHDR(&header));
	EXPECT_EQ(creds->pid, getpid());
	EXPECT_EQ(creds->uid, 0);
	EXPECT_EQ(creds->gid, 0);
}
