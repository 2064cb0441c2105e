/* pipe(2), pipe(7), splice(2), tee(2), vmsplice(2). */
#include "guest.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static int fds[2];

static void make_pipe(int flags)
{
	OK(pipe2(fds, flags));
}

/* Fill the pipe, which must be O_NONBLOCK; return how much went in. */
static long fill(int fd, size_t piece)
{
	static char bytes[65536];
	long total = 0, done;

	while ((done = write(fd, bytes, piece)) > 0)
		total += done;
	EXPECT_EQ(errno, EAGAIN);
	return total;
}

CASE(pipe2_with_unknown_flags_is_einval)
{
	EXPECT_ERRNO(pipe2(fds, 1), EINVAL);
}

CASE(pipe_to_a_bad_address_is_efault_and_leaves_no_descriptor)
{
	EXPECT_ERRNO(syscall(SYS_pipe2, 8L, 0), EFAULT);
	EXPECT_EQ(OK(dup(0)), 3);
}

CASE(pipe2_sets_cloexec_and_nonblock_on_both_ends)
{
	make_pipe(O_CLOEXEC | O_NONBLOCK);
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		EXPECT_EQ(fcntl(fds[i], F_GETFL), O_NONBLOCK | (i ? O_WRONLY : O_RDONLY));
	}
}

CASE(reading_the_write_end_is_ebadf)
{
	char byte;

	make_pipe(0);
	EXPECT_ERRNO(read(fds[1], &byte, 1), EBADF);
	EXPECT_ERRNO(write(fds[0], &byte, 1), EBADF);
}

CASE(read_of_no_bytes_does_not_wait)
{
	make_pipe(0);
	EXPECT_EQ(read(fds[0], NULL, 0), 0);
}

CASE(write_of_no_bytes_succeeds_without_a_reader)
{
	make_pipe(0);
	OK(close(fds[0]));
	EXPECT_EQ(write(fds[1], NULL, 0), 0);
}

CASE(nonblocking_read_of_an_empty_pipe_is_eagain)
{
	char byte;

	make_pipe(O_NONBLOCK);
	EXPECT_ERRNO(read(fds[0], &byte, 1), EAGAIN);
}

CASE(read_without_writers_is_end_of_file)
{
	char bytes[8];

	make_pipe(0);
	EXPECT_EQ(write(fds[1], "abc", 3), 3);
	OK(close(fds[1]));
	EXPECT_EQ(read(fds[0], bytes, 8), 3);
	EXPECT_EQ(read(fds[0], bytes, 8), 0);
}

CASE(write_without_readers_is_epipe_with_sigpipe)
{
	handle(SIGPIPE, count_signal);
	make_pipe(0);
	OK(close(fds[0]));
	EXPECT_ERRNO(write(fds[1], "x", 1), EPIPE);
	EXPECT_EQ(signals_seen, 1);
}

CASE(sigpipe_kills_by_default)
{
	pid_t pid;

	make_pipe(0);
	OK(close(fds[0]));
	CHILD(pid)
		write(fds[1], "x", 1);
	EXPECT_KILLED(pid, SIGPIPE);
}

CASE(ignored_sigpipe_leaves_epipe)
{
	signal(SIGPIPE, SIG_IGN);
	make_pipe(0);
	OK(close(fds[0]));
	EXPECT_ERRNO(write(fds[1], "x", 1), EPIPE);
}

CASE(capacity_is_64_kib)
{
	make_pipe(O_NONBLOCK);
	EXPECT_EQ(fcntl(fds[0], F_GETPIPE_SZ), 65536);
	EXPECT_EQ(fill(fds[1], 4096), 65536);
}

CASE(single_bytes_share_a_page)
{
	make_pipe(O_NONBLOCK);
	EXPECT_EQ(fill(fds[1], 1), 65536);
}

CASE(write_of_up_to_pipe_buf_is_whole_or_not_at_all)
{
	static char bytes[65536];

	make_pipe(O_NONBLOCK);
	EXPECT_EQ(write(fds[1], bytes, 65536 - 4096), 65536 - 4096);
	EXPECT_EQ(write(fds[1], bytes, 100), 100);
	EXPECT_ERRNO(write(fds[1], bytes, 4096), EAGAIN);
}

CASE(nonblocking_write_over_pipe_buf_may_be_partial)
{
	static char bytes[131072];

	make_pipe(O_NONBLOCK);
	EXPECT_EQ(write(fds[1], bytes, sizeof(bytes)), 65536);
}

CASE(blocking_write_goes_on_until_all_is_written)
{
	static char bytes[200000];
	long total = 0, done;
	pid_t pid;

	make_pipe(0);
	CHILD(pid) {
		close(fds[0]);
		EXPECT_EQ(write(fds[1], bytes, sizeof(bytes)), sizeof(bytes));
	}
	close(fds[1]);
	while ((done = OK(read(fds[0], bytes, 5000))) > 0)
		total += done;
	EXPECT_EQ(total, 200000);
	EXPECT_EXIT(pid, 0);
}

CASE(interrupted_blocking_write_returns_what_was_written)
{
	static char bytes[100000];

	make_pipe(0);
	handle(SIGUSR1, count_signal);
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_EQ(write(fds[1], bytes, sizeof(bytes)), 65536);
	EXPECT_EQ(signals_seen, 1);
}

CASE(interrupted_read_is_eintr)
{
	char byte;

	make_pipe(0);
	handle(SIGUSR1, count_signal);
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(read(fds[0], &byte, 1), EINTR);
}

CASE(setpipe_sz_rounds_up_to_a_power_of_two)
{
	make_pipe(0);
	EXPECT_EQ(OK(fcntl(fds[1], F_SETPIPE_SZ, 5000)), 8192);
	EXPECT_EQ(OK(fcntl(fds[0], F_GETPIPE_SZ)), 8192);
	EXPECT_EQ(OK(fcntl(fds[1], F_SETPIPE_SZ, 1)), 4096);
}

CASE(setpipe_sz_below_the_contents_is_ebusy)
{
	char bytes[8192] = {0};

	make_pipe(0);
	EXPECT_EQ(write(fds[1], bytes, 8192), 8192);
	EXPECT_ERRNO(fcntl(fds[1], F_SETPIPE_SZ, 4096), EBUSY);
}

CASE(setpipe_sz_over_the_limit_is_eperm)
{
	make_pipe(0);
	EXPECT_ERRNO(fcntl(fds[1], F_SETPIPE_SZ, 1 << 21), EPERM);
	EXPECT_EQ(OK(fcntl(fds[1], F_SETPIPE_SZ, 1 << 20)), 1 << 20);
}

CASE(setpipe_sz_to_zero_or_too_much_is_einval)
{
	make_pipe(0);
	EXPECT_ERRNO(fcntl(fds[1], F_SETPIPE_SZ, -1), EINVAL);
}

CASE(getpipe_sz_of_a_file_is_ebadf)
{
	EXPECT_ERRNO(fcntl(OK(open(".", O_RDONLY)), F_GETPIPE_SZ), EBADF);
}

CASE(larger_pipe_takes_more)
{
	make_pipe(O_NONBLOCK);
	OK(fcntl(fds[1], F_SETPIPE_SZ, 1 << 17));
	EXPECT_EQ(fill(fds[1], 65536), 1 << 17);
}

CASE(fionread_tells_what_is_there)
{
	int count;

	make_pipe(0);
	EXPECT_EQ(write(fds[1], "hello", 5), 5);
	OK(ioctl(fds[0], FIONREAD, &count));
	EXPECT_EQ(count, 5);
	OK(ioctl(fds[1], FIONREAD, &count));
	EXPECT_EQ(count, 5);
}

CASE(lseek_and_pread_are_espipe)
{
	char byte = 0;

	make_pipe(0);
	EXPECT_ERRNO(lseek(fds[0], 0, SEEK_CUR), ESPIPE);
	EXPECT_ERRNO(pread(fds[0], &byte, 1, 0), ESPIPE);
	EXPECT_ERRNO(pwrite(fds[1], &byte, 1, 0), ESPIPE);
}

CASE(fstat_says_fifo)
{
	struct stat one, two;

	make_pipe(0);
	OK(fstat(fds[0], &one));
	OK(fstat(fds[1], &two));
	EXPECT_EQ(one.st_mode, S_IFIFO | 0600);
	EXPECT_EQ(one.st_ino, two.st_ino);
	EXPECT_EQ(one.st_nlink, 1);
	EXPECT_EQ(one.st_blksize, 4096);
}

CASE(poll_of_both_ends)
{
	struct pollfd polled[2];

	make_pipe(O_NONBLOCK);
	polled[0] = (struct pollfd){fds[0], POLLIN, 0};
	polled[1] = (struct pollfd){fds[1], POLLOUT, 0};
	EXPECT_EQ(poll(polled, 2, 0), 1);
	EXPECT_EQ(polled[0].revents, 0);
	EXPECT_EQ(polled[1].revents, POLLOUT);
	fill(fds[1], 4096);
	EXPECT_EQ(poll(polled, 2, 0), 1);
	EXPECT_EQ(polled[0].revents, POLLIN);
	EXPECT_EQ(polled[1].revents, 0);
}

CASE(poll_of_hung_up_ends)
{
	struct pollfd polled;

	make_pipe(0);
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	OK(close(fds[1]));
	polled = (struct pollfd){fds[0], POLLIN, 0};
	EXPECT_EQ(poll(&polled, 1, 0), 1);
	EXPECT_EQ(polled.revents, POLLIN | POLLHUP);
	make_pipe(0);
	OK(close(fds[0]));
	polled = (struct pollfd){fds[1], POLLOUT, 0};
	EXPECT_EQ(poll(&polled, 1, 0), 1);
	EXPECT_EQ(polled.revents, POLLOUT | POLLERR);
}

CASE(full_pipe_is_writable_again_after_a_page_is_read)
{
	char bytes[4096];
	struct pollfd polled;

	make_pipe(O_NONBLOCK);
	fill(fds[1], 4096);
	polled = (struct pollfd){fds[1], POLLOUT, 0};
	EXPECT_EQ(read(fds[0], bytes, 4095), 4095);
	EXPECT_EQ(poll(&polled, 1, 0), 0);
	EXPECT_EQ(read(fds[0], bytes, 1), 1);
	EXPECT_EQ(poll(&polled, 1, 0), 1);
}

CASE(write_of_a_bad_address_is_efault)
{
	make_pipe(0);
	EXPECT_ERRNO(write(fds[1], (void *)8, 10), EFAULT);
}

CASE(packet_pipe_reads_one_write_at_a_time)
{
	char bytes[16];

	make_pipe(O_DIRECT);
	EXPECT_EQ(write(fds[1], "abc", 3), 3);
	EXPECT_EQ(write(fds[1], "defgh", 5), 5);
	EXPECT_EQ(read(fds[0], bytes, 16), 3);
	EXPECT_EQ(read(fds[0], bytes, 2), 2);
	EXPECT_EQ(write(fds[1], "i", 1), 1);
	EXPECT_EQ(read(fds[0], bytes, 16), 1);
}

CASE(splice_between_pipes_moves)
{
	char bytes[16];
	int from[2], count;

	OK(pipe(from));
	make_pipe(0);
	EXPECT_EQ(write(from[1], "hello", 5), 5);
	EXPECT_EQ(splice(from[0], NULL, fds[1], NULL, 3, 0), 3);
	OK(ioctl(from[0], FIONREAD, &count));
	EXPECT_EQ(count, 2);
	EXPECT_EQ(read(fds[0], bytes, 16), 3);
	EXPECT(memcmp(bytes, "hel", 3) == 0);
}

CASE(tee_copies_and_leaves)
{
	char bytes[16];
	int from[2];

	OK(pipe(from));
	make_pipe(0);
	EXPECT_EQ(write(from[1], "hello", 5), 5);
	EXPECT_EQ(tee(from[0], fds[1], 100, 0), 5);
	EXPECT_EQ(read(fds[0], bytes, 16), 5);
	EXPECT_EQ(read(from[0], bytes, 16), 5);
	EXPECT(memcmp(bytes, "hello", 5) == 0);
}

CASE(splice_from_a_file_at_an_offset)
{
	char bytes[16];
	loff_t offset = 2;
	int fd;

	write_file("file", "abcdefgh");
	fd = OK(open("file", O_RDONLY));
	make_pipe(0);
	EXPECT_EQ(splice(fd, &offset, fds[1], NULL, 3, 0), 3);
	EXPECT_EQ(offset, 5);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	EXPECT_EQ(splice(fd, NULL, fds[1], NULL, 2, 0), 2);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2);
	EXPECT_EQ(read(fds[0], bytes, 16), 5);
	EXPECT(memcmp(bytes, "cdeab", 5) == 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_END), 8);
	EXPECT_EQ(splice(fd, NULL, fds[1], NULL, 2, 0), 0);
}

CASE(splice_into_a_file)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));

	make_pipe(0);
	EXPECT_EQ(write(fds[1], "hello", 5), 5);
	EXPECT_EQ(splice(fds[0], NULL, fd, NULL, 100, 0), 5);
	EXPECT_STR(read_file("file"), "hello");
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 5);
}

CASE(splice_errors)
{
	loff_t offset = 0;
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600)), append;

	make_pipe(O_NONBLOCK);
	EXPECT_ERRNO(splice(fd, NULL, fd, NULL, 1, 0), EINVAL);
	EXPECT_ERRNO(splice(fds[0], &offset, fd, NULL, 1, 0), ESPIPE);
	EXPECT_ERRNO(splice(fds[0], NULL, fds[1], NULL, 1, 0), EINVAL);
	EXPECT_ERRNO(splice(fds[1], NULL, fd, NULL, 1, 0), EBADF);
	EXPECT_ERRNO(splice(fds[0], NULL, fd, NULL, 1, 0), EAGAIN);
	EXPECT_ERRNO(splice(fds[0], NULL, fd, NULL, 1, 1 << 9), EINVAL);
	EXPECT_ERRNO(splice(77, NULL, fds[1], NULL, 1, 0), EBADF);
	EXPECT_EQ(splice(fds[0], NULL, fd, NULL, 0, 0), 0);
	append = OK(open("file", O_WRONLY | O_APPEND));
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	EXPECT_ERRNO(splice(fds[0], NULL, append, NULL, 1, 0), EINVAL);
}

CASE(splice_of_a_pipe_without_writers_is_zero)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));

	make_pipe(0);
	close(fds[1]);
	EXPECT_EQ(splice(fds[0], NULL, fd, NULL, 1, 0), 0);
}

CASE(vmsplice_gives_memory_to_a_pipe)
{
	char bytes[16];
	struct iovec parts[2] = {{"abc", 3}, {"defg", 4}};

	make_pipe(0);
	EXPECT_EQ(vmsplice(fds[1], parts, 2, 0), 7);
	EXPECT_EQ(read(fds[0], bytes, 16), 7);
	EXPECT(memcmp(bytes, "abcdefg", 7) == 0);
	EXPECT_ERRNO(vmsplice(OK(open("/dev/null", O_RDWR)), parts, 2, 0), EBADF);
}

CASE(vmsplice_reads_from_a_pipe)
{
	char bytes[4];
	struct iovec part = {bytes, 4};

	make_pipe(0);
	EXPECT_EQ(write(fds[1], "wxyz", 4), 4);
	EXPECT_EQ(vmsplice(fds[0], &part, 1, 0), 4);
	EXPECT(memcmp(bytes, "wxyz", 4) == 0);
}

CASE(fifo_open_nonblock_for_writing_without_a_reader_is_enxio)
{
	OK(mkfifo("fifo", 0600));
	EXPECT_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	EXPECT(OK(open("fifo", O_RDONLY | O_NONBLOCK)) >= 0);
	EXPECT(OK(open("fifo", O_WRONLY | O_NONBLOCK)) >= 0);
}

CASE(fifo_open_waits_for_the_other_side)
{
	char byte;
	int fd;
	pid_t pid;

	OK(mkfifo("fifo", 0600));
	CHILD(pid) {
		wait_until_asleep(getppid());
		fd = OK(open("fifo", O_WRONLY));
		EXPECT_EQ(write(fd, "x", 1), 1);
	}
	fd = OK(open("fifo", O_RDONLY));
	EXPECT_EQ(read(fd, &byte, 1), 1);
	EXPECT_EQ(read(fd, &byte, 1), 0);
	EXPECT_EXIT(pid, 0);
}

CASE(fifo_opened_for_both_does_not_wait)
{
	int fd;
	char byte;

	OK(mkfifo("fifo", 0600));
	fd = OK(open("fifo", O_RDWR));
	EXPECT_EQ(write(fd, "x", 1), 1);
	EXPECT_EQ(read(fd, &byte, 1), 1);
}

CASE(interrupted_open_of_a_fifo_is_eintr)
{
	OK(mkfifo("fifo", 0600));
	handle(SIGUSR1, count_signal);
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(open("fifo", O_RDONLY), EINTR);
}

CASE(reader_that_never_had_a_writer_is_not_hung_up)
{
	struct pollfd polled;
	char byte;

	OK(mkfifo("fifo", 0600));
	polled = (struct pollfd){OK(open("fifo", O_RDONLY | O_NONBLOCK)), POLLIN, 0};
	EXPECT_EQ(poll(&polled, 1, 0), 0);
	EXPECT_EQ(read(polled.fd, &byte, 1), 0);
}
