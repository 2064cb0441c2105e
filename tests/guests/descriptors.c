/* dup(2), fcntl(2), close(2), close_range(2), ioctl(2) of descriptors. */
#include "guest.h"

#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

static int any(void)
{
	return OK(open("/dev/null", O_RDWR));
}

CASE(dup_takes_the_lowest_number)
{
	int one = any(), two = any();

	EXPECT_EQ(one, 3);
	OK(close(one));
	EXPECT_EQ(dup(two), 3);
}

CASE(dup_shares_offset_and_status_flags_but_not_cloexec)
{
	int fd, copy;

	write_file("file", "abc");
	fd = OK(open("file", O_RDWR | O_CLOEXEC));
	copy = OK(dup(fd));
	OK(lseek(fd, 2, SEEK_SET));
	EXPECT_EQ(lseek(copy, 0, SEEK_CUR), 2);
	OK(fcntl(copy, F_SETFL, O_APPEND));
	EXPECT(fcntl(fd, F_GETFL) & O_APPEND);
	EXPECT_EQ(fcntl(copy, F_GETFD), 0);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

CASE(dup2_replaces)
{
	int fds[2], fd = any();
	char byte;

	OK(pipe(fds));
	EXPECT_EQ(dup2(fd, fds[1]), fds[1]);
	EXPECT_EQ(read(fds[0], &byte, 1), 0);
	EXPECT_EQ(dup2(fd, 50), 50);
	EXPECT_EQ(dup2(fd, fd), fd);
}

CASE(dup2_errors)
{
	int fd = any();

	EXPECT_ERRNO(dup2(77, 5), EBADF);
	EXPECT_ERRNO(dup2(77, 77), EBADF);
	EXPECT_ERRNO(dup2(fd, -1), EBADF);
	EXPECT_ERRNO(dup2(fd, 1 << 30), EBADF);
	EXPECT_ERRNO(dup(77), EBADF);
}

CASE(dup3_to_itself_is_einval)
{
	int fd = any();

	EXPECT_ERRNO(dup3(fd, fd, 0), EINVAL);
	EXPECT_ERRNO(dup3(fd, 5, O_NONBLOCK), EINVAL);
	EXPECT_EQ(dup3(fd, 9, O_CLOEXEC), 9);
	EXPECT_EQ(fcntl(9, F_GETFD), FD_CLOEXEC);
	EXPECT_ERRNO(dup3(77, 9, 0), EBADF);
}

CASE(dupfd_starts_at_its_argument)
{
	int fd = any();

	EXPECT_EQ(fcntl(fd, F_DUPFD, 20), 20);
	EXPECT_EQ(fcntl(fd, F_DUPFD, 20), 21);
	EXPECT_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 0), 4);
	EXPECT_EQ(fcntl(4, F_GETFD), FD_CLOEXEC);
	EXPECT_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
	EXPECT_ERRNO(fcntl(fd, F_DUPFD, 1 << 30), EINVAL);
}

CASE(limit_of_descriptors_is_emfile)
{
	struct rlimit limit;
	int fd = any();

	OK(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 6;
	OK(setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(dup(fd), 4);
	EXPECT_EQ(dup(fd), 5);
	EXPECT_ERRNO(dup(fd), EMFILE);
	EXPECT_ERRNO(open("/dev/null", O_RDONLY), EMFILE);
	EXPECT_ERRNO(fcntl(fd, F_DUPFD, 6), EINVAL);
	EXPECT_ERRNO(dup2(fd, 6), EBADF);
	EXPECT_ERRNO(fcntl(fd, F_DUPFD, 5), EMFILE);
}

CASE(getfl_of_what_open_makes)
{
	int fd = OK(open("file", O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0600));

	EXPECT_EQ(fcntl(fd, F_GETFL), O_WRONLY | O_APPEND | O_NONBLOCK | 0100000);
	fd = OK(open(".", O_RDONLY | O_DIRECTORY));
	EXPECT_EQ(fcntl(fd, F_GETFL), O_DIRECTORY | 0100000);
	fd = OK(open(".", O_PATH));
	EXPECT_EQ(fcntl(fd, F_GETFL), O_PATH);
	fd = OK(open("file", O_RDWR | O_SYNC));
	EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR | O_SYNC | 0100000);
}

CASE(setfl_changes_only_some)
{
	int fd = OK(open("file", O_WRONLY | O_CREAT, 0600));

	OK(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK | O_CREAT | O_SYNC));
	EXPECT_EQ(fcntl(fd, F_GETFL), O_WRONLY | O_NONBLOCK | 0100000);
}

CASE(setfl_may_not_clear_append_of_nothing_else)
{
	int fd = OK(open("file", O_RDWR | O_CREAT | O_NOATIME, 0600));

	EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NOATIME | 0100000);
	OK(fcntl(fd, F_SETFL, O_APPEND));
	EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR | O_APPEND | 0100000);
}

CASE(fcntl_errors)
{
	int fd = any();

	EXPECT_ERRNO(fcntl(77, F_GETFD), EBADF);
	EXPECT_ERRNO(fcntl(fd, 12345), EINVAL);
	EXPECT_ERRNO(fcntl(OK(open(".", O_PATH)), F_SETFL, 0), EBADF);
	EXPECT_ERRNO(fcntl(OK(open(".", O_PATH)), F_GETOWN), EBADF);
}

CASE(setfd_ignores_other_bits)
{
	int fd = any();

	OK(fcntl(fd, F_SETFD, 0xFE));
	EXPECT_EQ(fcntl(fd, F_GETFD), 0);
	OK(fcntl(fd, F_SETFD, 0xFF));
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

CASE(fioclex_and_fionclex)
{
	int fd = any();

	OK(ioctl(fd, FIOCLEX));
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	OK(ioctl(fd, FIONCLEX));
	EXPECT_EQ(fcntl(fd, F_GETFD), 0);
}

CASE(fionbio_sets_nonblock)
{
	int fd = any(), on = 1;

	OK(ioctl(fd, FIONBIO, &on));
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	on = 0;
	OK(ioctl(fd, FIONBIO, &on));
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	EXPECT_ERRNO(ioctl(fd, FIONBIO, (void *)8), EFAULT);
}

CASE(ioctl_errors)
{
	int fd = any(), value;

	EXPECT_ERRNO(ioctl(77, FIONREAD, &value), EBADF);
	EXPECT_ERRNO(ioctl(fd, TCGETS, &value), ENOTTY);
	EXPECT_ERRNO(ioctl(fd, 0x12345678, &value), ENOTTY);
	EXPECT_ERRNO(ioctl(OK(open(".", O_PATH)), FIONREAD, &value), EBADF);
}

CASE(fionread_of_a_file_is_what_is_left)
{
	int fd, value;

	write_file("file", "abcdef");
	fd = OK(open("file", O_RDONLY));
	OK(lseek(fd, 2, SEEK_SET));
	OK(ioctl(fd, FIONREAD, &value));
	EXPECT_EQ(value, 4);
}

CASE(close_twice_is_ebadf)
{
	int fd = any();

	OK(close(fd));
	EXPECT_ERRNO(close(fd), EBADF);
	EXPECT_ERRNO(close(-1), EBADF);
}

CASE(close_range_closes)
{
	for (int i = 0; i < 5; i++)
		any();
	OK(syscall(SYS_close_range, 4, 6, 0));
	EXPECT_ERRNO(fcntl(4, F_GETFD), EBADF);
	EXPECT_ERRNO(fcntl(6, F_GETFD), EBADF);
	EXPECT_EQ(fcntl(3, F_GETFD), 0);
	EXPECT_EQ(fcntl(7, F_GETFD), 0);
	EXPECT_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_close_range, 5, 6, 1), EINVAL);
	OK(syscall(SYS_close_range, 3, 7, CLOSE_RANGE_CLOEXEC));
	EXPECT_EQ(fcntl(7, F_GETFD), FD_CLOEXEC);
}

CASE(setown_is_shown_by_getown)
{
	int fds[2];
	struct f_owner_ex owner = {F_OWNER_TID, 0};

	OK(pipe(fds));
	EXPECT_EQ(fcntl(fds[0], F_GETOWN), 0);
	OK(fcntl(fds[0], F_SETOWN, getpid()));
	EXPECT_EQ(fcntl(fds[0], F_GETOWN), getpid());
	OK(fcntl(fds[0], F_GETOWN_EX, &owner));
	EXPECT_EQ(owner.type, F_OWNER_PID);
	EXPECT_EQ(owner.pid, getpid());
	EXPECT_ERRNO(fcntl(fds[0], F_SETOWN, 30000), ESRCH);
	OK(fcntl(fds[0], F_SETSIG, SIGRTMIN));
	EXPECT_EQ(fcntl(fds[0], F_GETSIG), SIGRTMIN);
	EXPECT_ERRNO(fcntl(fds[0], F_SETSIG, 65), EINVAL);
}

CASE(sigio_comes_when_data_does)
{
	int fds[2];

	handle(SIGIO, count_signal);
	OK(pipe(fds));
	OK(fcntl(fds[0], F_SETOWN, getpid()));
	OK(fcntl(fds[0], F_SETFL, O_ASYNC));
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	EXPECT_SOON(signals_seen == 1);
	EXPECT_EQ(fcntl(fds[0], F_GETFL), O_ASYNC);
}

CASE(descriptors_are_copied_by_fork_and_offsets_shared)
{
	int fd;
	pid_t pid;

	write_file("file", "abc");
	fd = OK(open("file", O_RDONLY));
	CHILD(pid) {
		OK(lseek(fd, 2, SEEK_SET));
		OK(close(fd));
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2);
}

CASE(record_locks_conflict_between_processes)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 4};
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	pid_t pid;

	OK(fcntl(fd, F_SETLK, &lock));
	CHILD(pid) {
		lock.l_start = 5;
		EXPECT_ERRNO(fcntl(fd, F_SETLK, &lock), EAGAIN);
		OK(fcntl(fd, F_GETLK, &lock));
		EXPECT_EQ(lock.l_type, F_WRLCK);
		EXPECT_EQ(lock.l_pid, getppid());
		EXPECT_EQ(lock.l_start, 2);
		EXPECT_EQ(lock.l_len, 4);
		lock.l_start = 6;
		OK(fcntl(fd, F_SETLK, &lock));
	}
	EXPECT_EXIT(pid, 0);
}

CASE(closing_any_descriptor_drops_record_locks)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	pid_t pid;

	OK(fcntl(fd, F_SETLK, &lock));
	OK(close(OK(open("file", O_RDONLY))));
	CHILD(pid)
		OK(fcntl(fd, F_SETLK, &lock));
	EXPECT_EXIT(pid, 0);
}

CASE(record_lock_is_waited_for)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	pid_t pid;

	OK(fcntl(fd, F_SETLK, &lock));
	CHILD(pid)
		OK(fcntl(fd, F_SETLKW, &lock));
	wait_until_asleep(pid);
	lock.l_type = F_UNLCK;
	OK(fcntl(fd, F_SETLK, &lock));
	EXPECT_EXIT(pid, 0);
}

CASE(deadlock_of_record_locks_is_edeadlk)
{
	struct flock one = {.l_type = F_WRLCK, .l_start = 0, .l_len = 1};
	struct flock two = {.l_type = F_WRLCK, .l_start = 1, .l_len = 1};
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600)), fds[2];
	char byte;
	pid_t pid;

	OK(pipe(fds));
	OK(fcntl(fd, F_SETLK, &one));
	CHILD(pid) {
		OK(fcntl(fd, F_SETLK, &two));
		EXPECT_EQ(write(fds[1], "x", 1), 1);
		OK(fcntl(fd, F_SETLKW, &one));
	}
	EXPECT_EQ(read(fds[0], &byte, 1), 1);
	wait_until_asleep(pid);
	EXPECT_ERRNO(fcntl(fd, F_SETLKW, &two), EDEADLK);
}

CASE(open_file_locks_belong_to_the_description)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int one = OK(open("file", O_RDWR | O_CREAT, 0600)), two = OK(open("file", O_RDWR));

	OK(fcntl(one, F_OFD_SETLK, &lock));
	EXPECT_ERRNO(fcntl(two, F_OFD_SETLK, &lock), EAGAIN);
	OK(fcntl(OK(dup(one)), F_OFD_SETLK, &lock));
	OK(close(OK(open("file", O_RDONLY))));
	EXPECT_ERRNO(fcntl(two, F_OFD_SETLK, &lock), EAGAIN);
}

CASE(record_lock_needs_the_access_mode)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	write_file("file", "");
	fd = OK(open("file", O_RDONLY));
	EXPECT_ERRNO(fcntl(fd, F_SETLK, &lock), EBADF);
	lock.l_type = F_RDLCK;
	OK(fcntl(fd, F_SETLK, &lock));
	lock.l_start = -1;
	EXPECT_ERRNO(fcntl(fd, F_SETLK, &lock), EINVAL);
}
