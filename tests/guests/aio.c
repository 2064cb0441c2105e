/* Asynchronous input and output: io_setup(2), io_submit(2), io_getevents(2), io_cancel(2). */
#include "guest.h"

#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

struct signals {
	const sigset_t *set;
	size_t size;
};

static int setup(unsigned count, aio_context_t *context)
{
	return syscall(SYS_io_setup, count, context);
}

static int submit(aio_context_t context, long count, struct iocb **requests)
{
	return syscall(SYS_io_submit, context, count, requests);
}

static int submit_one(aio_context_t context, struct iocb *request)
{
	return submit(context, 1, &request);
}

static int take(aio_context_t context, long least, long most, struct io_event *events, int ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	return syscall(SYS_io_getevents, context, least, most, events, ms < 0 ? NULL : &time);
}

static aio_context_t new_context(void)
{
	aio_context_t context = 0;

	OK(setup(8, &context));
	EXPECT(context != 0);
	return context;
}

static struct iocb request(int opcode, int fd, const void *buffer, size_t size, long long offset)
{
	return (struct iocb){.aio_lio_opcode = opcode,
			     .aio_fildes = fd,
			     .aio_buf = (uintptr_t)buffer,
			     .aio_nbytes = size,
			     .aio_offset = offset,
			     .aio_data = 0x1234567890};
}

/* Submit one request and return its result. */
static long result_of(aio_context_t context, struct iocb asked)
{
	struct io_event event;

	EXPECT_EQ(submit_one(context, &asked), 1);
	EXPECT_EQ(take(context, 1, 1, &event, 5000), 1);
	EXPECT(event.obj == (uintptr_t)&asked);
	EXPECT_EQ(event.data, 0x1234567890);
	EXPECT_EQ(event.res2, 0);
	return event.res;
}

CASE(contexts)
{
	aio_context_t context = 0, other = 0, used = 1;
	struct io_event event;

	EXPECT_ERRNO(setup(8, NULL), EFAULT);
	EXPECT_ERRNO(setup(0, &context), EINVAL);
	EXPECT_ERRNO(setup(8, &used), EINVAL);
	EXPECT_ERRNO(setup(0x7fffffff, &context), EINVAL);
	EXPECT_ERRNO(setup(0x100000, &context), EAGAIN);
	OK(setup(8, &context));
	OK(setup(8, &other));
	EXPECT(context != other);
	EXPECT_EQ(take(context, 0, 1, &event, -1), 0);
	OK(syscall(SYS_io_destroy, context));
	EXPECT_ERRNO(syscall(SYS_io_destroy, context), EINVAL);
	EXPECT_ERRNO(syscall(SYS_io_destroy, 0), EINVAL);
	EXPECT_ERRNO(take(context, 0, 1, &event, -1), EINVAL);
	EXPECT_ERRNO(submit(context, 0, NULL), EINVAL);
	EXPECT_EQ(submit(other, 0, NULL), 0);
	EXPECT_ERRNO(submit(other, -1, NULL), EINVAL);
	EXPECT_ERRNO(submit(other, 1, NULL), EFAULT);
	EXPECT_ERRNO(take(other, -1, 1, &event, 0), EINVAL);
	EXPECT_ERRNO(take(other, 2, 1, &event, 0), EINVAL);
	EXPECT_EQ(take(other, 1, 1, &event, 20), 0);
}

CASE(reads_and_writes)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	aio_context_t context = new_context();
	char buffer[16] = "", other[16] = "";
	struct iovec pieces[] = {{buffer, 3}, {other, 4}};

	EXPECT_EQ(result_of(context, request(IOCB_CMD_PWRITE, fd, "abcdefgh", 8, 2)), 8);
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PREAD, fd, buffer, 16, 4)), 6);
	EXPECT_EQ(memcmp(buffer, "cdefgh", 6), 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PREAD, fd, buffer, 16, 400)), 0);
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PREADV, fd, pieces, 2, 2)), 7);
	EXPECT_EQ(memcmp(buffer, "abc", 3), 0);
	EXPECT_EQ(memcmp(other, "defg", 4), 0);
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PWRITEV, fd, pieces, 2, 20)), 7);
	EXPECT_EQ(lseek(fd, 0, SEEK_END), 27);
	EXPECT_EQ(result_of(context, request(IOCB_CMD_FSYNC, fd, NULL, 0, 0)), 0);
	EXPECT_EQ(result_of(context, request(IOCB_CMD_FDSYNC, fd, NULL, 0, 0)), 0);
	/* A wrong buffer is the request's affair. */
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PREAD, fd, (void *)8, 16, 4)), -EFAULT);
}

CASE(wrong_requests)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	int reader = OK(open("file", O_RDONLY));
	int directory = OK(open(".", O_RDONLY));
	aio_context_t context = new_context();
	char buffer[16];
	struct iocb asked = request(IOCB_CMD_PREAD, 99, buffer, 16, 0);

	EXPECT_ERRNO(submit_one(context, NULL), EFAULT);
	EXPECT_ERRNO(submit_one(context, &asked), EBADF);
	asked = request(IOCB_CMD_PWRITE, reader, buffer, 16, 0);
	EXPECT_ERRNO(submit_one(context, &asked), EBADF);
	asked = request(IOCB_CMD_PREAD, directory, buffer, 16, 0);
	EXPECT_ERRNO(submit_one(context, &asked), EINVAL);
	asked = request(IOCB_CMD_PREAD, fd, buffer, 16, -1);
	EXPECT_ERRNO(submit_one(context, &asked), EINVAL);
	asked = request(IOCB_CMD_PREAD, fd, buffer, -1, 0);
	EXPECT_ERRNO(submit_one(context, &asked), EINVAL);
	asked = request(IOCB_CMD_NOOP, fd, NULL, 0, 0);
	EXPECT_ERRNO(submit_one(context, &asked), EINVAL);
	asked = request(77, fd, NULL, 0, 0);
	EXPECT_ERRNO(submit_one(context, &asked), EINVAL);
	asked = request(IOCB_CMD_FSYNC, fd, buffer, 0, 0);
	EXPECT_ERRNO(submit_one(context, &asked), EINVAL);
	asked = request(IOCB_CMD_PREAD, fd, buffer, 16, 0);
	asked.aio_reserved2 = 1;
	EXPECT_ERRNO(submit_one(context, &asked), EINVAL);
	asked = request(IOCB_CMD_PREAD, fd, buffer, 16, 0);
	asked.aio_rw_flags = 1 << 20;
	EXPECT_ERRNO(submit_one(context, &asked), EOPNOTSUPP);
	asked = request(IOCB_CMD_PREAD, fd, buffer, 16, 0);
	asked.aio_flags = IOCB_FLAG_RESFD;
	asked.aio_resfd = fd;
	EXPECT_ERRNO(submit_one(context, &asked), EINVAL);
	asked.aio_resfd = 99;
	EXPECT_ERRNO(submit_one(context, &asked), EBADF);
}

CASE(requests_after_a_wrong_one_are_not_made)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	aio_context_t context = new_context();
	struct iocb good = request(IOCB_CMD_PWRITE, fd, "a", 1, 0);
	struct iocb wrong = request(77, fd, "b", 1, 1);
	struct iocb late = request(IOCB_CMD_PWRITE, fd, "c", 1, 2);
	struct iocb *all[] = {&good, &wrong, &late};
	struct io_event events[3];

	EXPECT_EQ(submit(context, 3, all), 1);
	EXPECT_EQ(take(context, 1, 3, events, 1000), 1);
	EXPECT(events[0].obj == (uintptr_t)&good);
	EXPECT_EQ(lseek(fd, 0, SEEK_END), 1);
}

CASE(many_requests)
{
	static char buffer[1 << 20];
	struct iocb requests[100], *all[100];
	struct io_event events[100];
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	aio_context_t context = 0;

	OK(setup(100, &context));
	OK(ftruncate(fd, sizeof(buffer)));
	for (int i = 0; i < 100; i++) {
		requests[i] = request(IOCB_CMD_PREAD, fd, buffer, sizeof(buffer), 0);
		all[i] = &requests[i];
	}
	EXPECT_EQ(submit(context, 100, all), 100);
	EXPECT_EQ(take(context, 100, 100, events, 10000), 100);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(events[i].res, sizeof(buffer));
}

CASE(counters_are_told)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	int counter = OK(eventfd(0, EFD_NONBLOCK));
	aio_context_t context = new_context();
	struct iocb first = request(IOCB_CMD_PWRITE, fd, "a", 1, 0);
	struct iocb second = request(IOCB_CMD_PWRITE, fd, "b", 1, 1);
	struct iocb *both[] = {&first, &second};
	struct io_event events[4];
	uint64_t count;

	first.aio_flags = second.aio_flags = IOCB_FLAG_RESFD;
	first.aio_resfd = second.aio_resfd = counter;
	EXPECT_EQ(submit(context, 2, both), 2);
	EXPECT_EQ(take(context, 2, 4, events, 1000), 2);
	EXPECT_EQ(read(counter, &count, 8), 8);
	EXPECT_EQ(count, 2);
}

CASE(pipes)
{
	int ends[2];
	aio_context_t context = new_context();
	char buffer[8];
	pid_t pid;

	OK(pipe(ends));
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PWRITE, ends[1], "hello", 5, 0)), 5);
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PREAD, ends[0], buffer, 8, 0)), 5);
	CHILD(pid) {
		sleep_ms(30);
		EXPECT_EQ(write(ends[1], "abc", 3), 3);
	}
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PREAD, ends[0], buffer, 8, 0)), 3);
	EXPECT_EXIT(pid, 0);
	OK(fcntl(ends[0], F_SETFL, O_NONBLOCK));
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PREAD, ends[0], buffer, 8, 0)), -EAGAIN);
	signal(SIGPIPE, SIG_IGN);
	OK(close(ends[0]));
	EXPECT_EQ(result_of(context, request(IOCB_CMD_PWRITE, ends[1], "x", 1, 0)), -EPIPE);
}

CASE(polls)
{
	int ends[2], counter = OK(eventfd(0, EFD_NONBLOCK));
	aio_context_t context = new_context();
	struct io_event events[4];
	struct iocb asked;
	uint64_t count;

	OK(pipe(ends));
	asked = request(IOCB_CMD_POLL, ends[0], (void *)POLLIN, 0, 0);
	asked.aio_flags = IOCB_FLAG_RESFD;
	asked.aio_resfd = counter;
	EXPECT_EQ(submit_one(context, &asked), 1);
	EXPECT_EQ(take(context, 1, 4, events, 20), 0);
	EXPECT_EQ(write(ends[1], "x", 1), 1);
	EXPECT_EQ(take(context, 1, 4, events, 5000), 1);
	EXPECT(events[0].obj == (uintptr_t)&asked);
	EXPECT(events[0].res & POLLIN);
	EXPECT_EQ(read(counter, &count, 8), 8);
	EXPECT_EQ(count, 1);
	/* Once only; and at once where there is something. */
	EXPECT_EQ(take(context, 1, 4, events, 20), 0);
	EXPECT_EQ(submit_one(context, &asked), 1);
	EXPECT_EQ(take(context, 1, 4, events, 5000), 1);
	EXPECT_EQ(events[0].res, POLLIN);
	/* Errors come unasked. */
	asked = request(IOCB_CMD_POLL, ends[1], NULL, 0, 0);
	EXPECT_EQ(submit_one(context, &asked), 1);
	OK(close(ends[0]));
	EXPECT_EQ(take(context, 1, 4, events, 5000), 1);
	EXPECT(events[0].res & POLLERR);
	asked = request(IOCB_CMD_POLL, ends[1], NULL, 1, 0);
	EXPECT_ERRNO(submit_one(context, &asked), EINVAL);
}

CASE(polls_are_given_up)
{
	int ends[2];
	aio_context_t context = new_context();
	struct io_event events[4];
	struct iocb asked;

	OK(pipe(ends));
	asked = request(IOCB_CMD_POLL, ends[0], (void *)POLLIN, 0, 0);
	EXPECT_ERRNO(syscall(SYS_io_cancel, context, &asked, events), EINVAL);
	EXPECT_EQ(submit_one(context, &asked), 1);
	EXPECT_ERRNO(syscall(SYS_io_cancel, context, &asked, events), EINPROGRESS);
	EXPECT_EQ(take(context, 1, 4, events, 5000), 1);
	EXPECT_EQ(events[0].res, 0);
	EXPECT_ERRNO(syscall(SYS_io_cancel, context, &asked, events), EINVAL);
	EXPECT_ERRNO(syscall(SYS_io_cancel, context, NULL, events), EFAULT);
	/* Those that wait do not outlive the context. */
	EXPECT_EQ(submit_one(context, &asked), 1);
	OK(syscall(SYS_io_destroy, context));
	EXPECT_EQ(write(ends[1], "x", 1), 1);
}

CASE(a_poll_keeps_its_file)
{
	int ends[2];
	aio_context_t context = new_context();
	struct io_event event;
	struct iocb asked;

	OK(pipe(ends));
	asked = request(IOCB_CMD_POLL, ends[0], (void *)POLLIN, 0, 0);
	EXPECT_EQ(submit_one(context, &asked), 1);
	OK(close(ends[0]));
	EXPECT_EQ(write(ends[1], "x", 1), 1);
	EXPECT_EQ(take(context, 1, 1, &event, 5000), 1);
	signal(SIGPIPE, SIG_IGN);
	EXPECT_EQ(take(context, 0, 1, &event, -1), 0);
	EXPECT_ERRNO(write(ends[1], "x", 1), EPIPE);
}

CASE(waiting_is_interrupted)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	aio_context_t context = new_context();
	struct io_event events[4];
	struct iocb asked = request(IOCB_CMD_PWRITE, fd, "a", 1, 0);
	struct signals signals;
	sigset_t blocked = one_signal(SIGUSR1), none;
	pid_t pid;

	handle(SIGUSR1, count_signal);
	pid = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(take(context, 1, 4, events, -1), EINTR);
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(submit_one(context, &asked), 1);
	pid = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_EQ(take(context, 2, 4, events, -1), 1);
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(signals_seen, 2);

	OK(sigprocmask(SIG_BLOCK, &blocked, NULL));
	OK(raise(SIGUSR1));
	sigemptyset(&none);
	signals = (struct signals){&none, 8};
	EXPECT_ERRNO(syscall(SYS_io_pgetevents, context, 1, 4, events, NULL, &signals), EINTR);
	EXPECT_EQ(signals_seen, 3);
	signals.size = 4;
	EXPECT_ERRNO(syscall(SYS_io_pgetevents, context, 1, 4, events, NULL, &signals), EINVAL);
}

CASE(children_have_no_contexts)
{
	aio_context_t context = new_context();
	struct io_event event;
	pid_t pid;

	CHILD(pid) {
		EXPECT_ERRNO(take(context, 0, 1, &event, -1), EINVAL);
		OK(setup(4, &(aio_context_t){0}));
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(take(context, 0, 1, &event, -1), 0);
}

CASE(contexts_are_bounded)
{
	aio_context_t context;
	int count;

	for (count = 0; count < 20; count++) {
		context = 0;
		if (setup(16384, &context) != 0)
			break;
	}
	EXPECT_EQ(errno, EAGAIN);
	EXPECT(count > 1 && count <= 8);
}

CASE(results_are_bounded)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	aio_context_t context = 0;
	struct io_event event;
	struct iocb asked = request(IOCB_CMD_PWRITE, fd, "a", 1, 0);
	int count;

	OK(setup(1, &context));
	for (count = 0; submit_one(context, &asked) == 1; count++)
		EXPECT(count < 100000);
	EXPECT_EQ(errno, EAGAIN);
	EXPECT(count > 0);
	EXPECT_EQ(take(context, 1, 1, &event, 1000), 1);
}
