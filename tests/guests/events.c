/* poll(2), ppoll(2), select(2), pselect(2), epoll(7), eventfd(2), inotify(7). */
#include "guest.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>

static int fds[2];

static int watch(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* The events that an epoll reports for its only descriptor, 0 for none. */
static uint32_t ready(int epoll)
{
	struct epoll_event events[4];
	int count = OK(epoll_wait(epoll, events, 4, 0));

	EXPECT(count <= 1);
	return count ? events[0].events : 0;
}

CASE(poll_of_nothing_waits_for_the_timeout)
{
	long long before = now_ms();

	EXPECT_EQ(poll(NULL, 0, 20), 0);
	EXPECT(now_ms() - before >= 20);
	EXPECT_EQ(poll(NULL, 0, 0), 0);
}

CASE(poll_of_bad_and_negative_descriptors)
{
	struct pollfd polled[3] = {{77, POLLIN, 0}, {-1, POLLIN, 9}, {0, 0, 9}};

	EXPECT_EQ(poll(polled, 3, 0), 1);
	EXPECT_EQ(polled[0].revents, POLLNVAL);
	EXPECT_EQ(polled[1].revents, 0);
	EXPECT_EQ(polled[2].revents, 0);
	EXPECT_ERRNO(syscall(SYS_poll, 8, 1, 0), EFAULT);
}

CASE(poll_of_files_is_always_ready)
{
	struct pollfd polled;

	write_file("file", "");
	polled = (struct pollfd){OK(open("file", O_RDWR)), POLLIN | POLLOUT | POLLPRI, 0};
	EXPECT_EQ(poll(&polled, 1, 0), 1);
	EXPECT_EQ(polled.revents, POLLIN | POLLOUT);
}

CASE(poll_more_than_the_limit_is_einval)
{
	static struct pollfd polled[100];
	struct rlimit limit = {50, 4096};

	OK(setrlimit(RLIMIT_NOFILE, &limit));
	for (int i = 0; i < 100; i++)
		polled[i].fd = -1;
	EXPECT_ERRNO(poll(polled, 51, 0), EINVAL);
	EXPECT_EQ(poll(polled, 50, 0), 0);
}

CASE(poll_wakes_when_data_comes)
{
	struct pollfd polled;
	pid_t pid;

	OK(pipe(fds));
	CHILD(pid) {
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fds[1], "x", 1), 1);
	}
	polled = (struct pollfd){fds[0], POLLIN, 0};
	EXPECT_EQ(poll(&polled, 1, 5000), 1);
	EXPECT_EQ(polled.revents, POLLIN);
	EXPECT_EXIT(pid, 0);
}

CASE(ppoll_sets_the_mask_and_the_rest)
{
	struct timespec timeout = {5, 0};
	sigset_t none, blocked = one_signal(SIGUSR1);

	handle(SIGUSR1, count_signal);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	raise(SIGUSR1);
	sigemptyset(&none);
	EXPECT_ERRNO(syscall(SYS_ppoll, NULL, 0, &timeout, &none, 8), EINTR);
	EXPECT_EQ(signals_seen, 1);
	sigprocmask(SIG_BLOCK, NULL, &none);
	EXPECT(sigismember(&none, SIGUSR1));
	timeout = (struct timespec){0, 1000000};
	EXPECT_EQ(syscall(SYS_ppoll, NULL, 0, &timeout, NULL, 8), 0);
	EXPECT_EQ(timeout.tv_nsec, 0);
	timeout.tv_nsec = -1;
	EXPECT_ERRNO(syscall(SYS_ppoll, NULL, 0, &timeout, NULL, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_ppoll, NULL, 0, NULL, &none, 4), EINVAL);
}

CASE(select_reports_and_clears)
{
	fd_set in, out, bad;
	struct timeval timeout = {0, 10000};

	OK(pipe(fds));
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&bad);
	FD_SET(fds[0], &in);
	FD_SET(fds[1], &out);
	FD_SET(fds[1], &bad);
	EXPECT_EQ(select(fds[1] + 1, &in, &out, &bad, &timeout), 1);
	EXPECT(!FD_ISSET(fds[0], &in));
	EXPECT(FD_ISSET(fds[1], &out));
	EXPECT(!FD_ISSET(fds[1], &bad));
	FD_SET(fds[0], &in);
	EXPECT_EQ(select(fds[0] + 1, &in, NULL, NULL, &timeout), 0);
	EXPECT_EQ(timeout.tv_sec + timeout.tv_usec, 0);
	OK(close(fds[1]));
	FD_SET(fds[0], &in);
	EXPECT_EQ(select(fds[0] + 1, &in, NULL, NULL, NULL), 1);
}

CASE(select_errors)
{
	fd_set in;
	struct timeval timeout = {-1, 0};

	FD_ZERO(&in);
	FD_SET(77, &in);
	EXPECT_ERRNO(select(78, &in, NULL, NULL, NULL), EBADF);
	EXPECT_ERRNO(select(-1, NULL, NULL, NULL, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_select, 0, NULL, NULL, NULL, &timeout), EINVAL);
	EXPECT_ERRNO(syscall(SYS_select, 8, 8, NULL, NULL, NULL), EFAULT);
}

CASE(pselect_takes_a_mask)
{
	struct { const void *set; size_t size; } mask;
	sigset_t none, blocked = one_signal(SIGUSR1);
	struct timespec timeout = {5, 0};

	handle(SIGUSR1, count_signal);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigemptyset(&none);
	mask.set = &none;
	mask.size = 8;
	raise(SIGUSR1);
	EXPECT_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &timeout, &mask), EINTR);
	EXPECT_EQ(signals_seen, 1);
	mask.size = 4;
	EXPECT_ERRNO(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &timeout, &mask), EINVAL);
}

CASE(epoll_create_errors)
{
	EXPECT_ERRNO(epoll_create(0), EINVAL);
	EXPECT_ERRNO(epoll_create1(1), EINVAL);
	EXPECT_EQ(fcntl(OK(epoll_create1(EPOLL_CLOEXEC)), F_GETFD), FD_CLOEXEC);
}

CASE(epoll_ctl_errors)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = OK(epoll_create1(0));

	OK(pipe(fds));
	write_file("file", "");
	OK(watch(epoll, fds[0], EPOLLIN));
	EXPECT_ERRNO(watch(epoll, fds[0], EPOLLIN), EEXIST);
	EXPECT_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, fds[1], &event), ENOENT);
	EXPECT_ERRNO(epoll_ctl(epoll, EPOLL_CTL_DEL, fds[1], NULL), ENOENT);
	EXPECT_ERRNO(watch(epoll, 77, EPOLLIN), EBADF);
	EXPECT_ERRNO(watch(77, fds[0], EPOLLIN), EBADF);
	EXPECT_ERRNO(watch(fds[1], fds[0], EPOLLIN), EINVAL);
	EXPECT_ERRNO(watch(epoll, epoll, EPOLLIN), EINVAL);
	EXPECT_ERRNO(watch(epoll, OK(open("file", O_RDONLY)), EPOLLIN), EPERM);
	EXPECT_ERRNO(epoll_ctl(epoll, 99, fds[0], &event), EINVAL);
	EXPECT_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], NULL), EFAULT);
	EXPECT_ERRNO(epoll_wait(epoll, &event, 0, 0), EINVAL);
	EXPECT_ERRNO(epoll_wait(fds[0], &event, 1, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_epoll_wait, epoll, 8, 1, 0) == 0 ? (errno = EFAULT, -1) : -1, EFAULT);
}

CASE(epoll_level_triggered_repeats)
{
	int epoll = OK(epoll_create1(0));
	char byte;

	OK(pipe(fds));
	OK(watch(epoll, fds[0], EPOLLIN));
	EXPECT_EQ(ready(epoll), 0);
	EXPECT_EQ(write(fds[1], "ab", 2), 2);
	EXPECT_EQ(ready(epoll), EPOLLIN);
	EXPECT_EQ(read(fds[0], &byte, 1), 1);
	EXPECT_EQ(ready(epoll), EPOLLIN);
	EXPECT_EQ(read(fds[0], &byte, 1), 1);
	EXPECT_EQ(ready(epoll), 0);
	OK(close(fds[1]));
	EXPECT_EQ(ready(epoll), EPOLLHUP);
}

CASE(epoll_edge_triggered_reports_changes)
{
	int epoll = OK(epoll_create1(0));

	OK(pipe(fds));
	OK(watch(epoll, fds[0], EPOLLIN | EPOLLET));
	EXPECT_EQ(write(fds[1], "ab", 2), 2);
	EXPECT_EQ(ready(epoll), EPOLLIN);
	EXPECT_EQ(ready(epoll), 0);
	EXPECT_EQ(write(fds[1], "c", 1), 1);
	EXPECT_EQ(ready(epoll), EPOLLIN);
	EXPECT_EQ(ready(epoll), 0);
}

CASE(epoll_oneshot_is_disarmed)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};
	int epoll = OK(epoll_create1(0));

	OK(pipe(fds));
	OK(watch(epoll, fds[0], EPOLLIN | EPOLLONESHOT));
	EXPECT_EQ(write(fds[1], "ab", 2), 2);
	EXPECT_EQ(ready(epoll), EPOLLIN);
	EXPECT_EQ(ready(epoll), 0);
	OK(epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &event));
	EXPECT_EQ(ready(epoll), EPOLLIN);
}

CASE(epoll_mod_reports_what_holds_already)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = OK(epoll_create1(0));

	OK(pipe(fds));
	EXPECT_EQ(write(fds[1], "ab", 2), 2);
	OK(watch(epoll, fds[0], 0));
	EXPECT_EQ(ready(epoll), 0);
	OK(epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &event));
	EXPECT_EQ(ready(epoll), EPOLLIN);
	OK(epoll_ctl(epoll, EPOLL_CTL_DEL, fds[0], NULL));
	EXPECT_EQ(ready(epoll), 0);
}

CASE(epoll_exclusive_rules)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
	int epoll = OK(epoll_create1(0)), inner = OK(epoll_create1(0));

	OK(pipe(fds));
	OK(watch(epoll, fds[0], EPOLLIN | EPOLLEXCLUSIVE));
	EXPECT_ERRNO(epoll_ctl(epoll, EPOLL_CTL_MOD, fds[0], &event), EINVAL);
	EXPECT_ERRNO(watch(epoll, fds[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
	EXPECT_ERRNO(watch(epoll, inner, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
}

CASE(epoll_forgets_closed_files_but_not_duplicates)
{
	int epoll = OK(epoll_create1(0)), copy;

	OK(pipe(fds));
	OK(watch(epoll, fds[0], EPOLLIN));
	copy = OK(dup(fds[0]));
	EXPECT_EQ(write(fds[1], "a", 1), 1);
	OK(close(fds[0]));
	EXPECT_EQ(ready(epoll), EPOLLIN);
	OK(close(copy));
	EXPECT_EQ(ready(epoll), 0);
}

CASE(epoll_in_epoll)
{
	int outer = OK(epoll_create1(0)), inner = OK(epoll_create1(0));
	struct pollfd polled;

	OK(pipe(fds));
	OK(watch(inner, fds[0], EPOLLIN));
	OK(watch(outer, inner, EPOLLIN));
	EXPECT_ERRNO(watch(inner, outer, EPOLLIN), ELOOP);
	EXPECT_EQ(ready(outer), 0);
	EXPECT_EQ(write(fds[1], "a", 1), 1);
	EXPECT_EQ(ready(outer), EPOLLIN);
	polled = (struct pollfd){outer, POLLIN, 0};
	EXPECT_EQ(poll(&polled, 1, 0), 1);
}

CASE(epoll_is_fair_with_few_slots)
{
	struct epoll_event event;
	int epoll = OK(epoll_create1(0)), one = OK(eventfd(1, 0)), two = OK(eventfd(1, 0)), first;

	OK(watch(epoll, one, EPOLLIN));
	OK(watch(epoll, two, EPOLLIN));
	EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 1);
	first = event.data.fd;
	EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 1);
	EXPECT(event.data.fd != first);
}

CASE(epoll_wakes_a_sleeper_and_times_out)
{
	struct epoll_event event;
	int epoll = OK(epoll_create1(0));
	long long before = now_ms();
	pid_t pid;

	OK(pipe(fds));
	OK(watch(epoll, fds[0], EPOLLIN));
	EXPECT_EQ(epoll_wait(epoll, &event, 1, 20), 0);
	EXPECT(now_ms() - before >= 20);
	CHILD(pid) {
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fds[1], "x", 1), 1);
	}
	EXPECT_EQ(epoll_wait(epoll, &event, 1, 5000), 1);
	EXPECT_EQ(event.data.fd, fds[0]);
	EXPECT_EXIT(pid, 0);
}

CASE(epoll_pwait2_takes_nanoseconds)
{
	struct timespec timeout = {0, 5000000};
	struct epoll_event event;
	int epoll = OK(epoll_create1(0));
	long long before = now_ms();

	EXPECT_EQ(syscall(SYS_epoll_pwait2, epoll, &event, 1, &timeout, NULL, 8), 0);
	EXPECT(now_ms() - before >= 5);
	timeout.tv_nsec = -1;
	EXPECT_ERRNO(syscall(SYS_epoll_pwait2, epoll, &event, 1, &timeout, NULL, 8), EINVAL);
}

CASE(epoll_rdhup_of_sockets)
{
	int epoll = OK(epoll_create1(0));

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(watch(epoll, fds[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP));
	EXPECT_EQ(ready(epoll), EPOLLOUT);
	OK(shutdown(fds[1], SHUT_WR));
	EXPECT_EQ(ready(epoll), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	OK(close(fds[1]));
	EXPECT_EQ(ready(epoll), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
}

CASE(eventfd_adds_and_reads)
{
	struct pollfd polled;
	uint64_t value = 3;
	int fd = OK(eventfd(2, EFD_NONBLOCK | EFD_CLOEXEC));

	EXPECT_EQ(write(fd, &value, 8), 8);
	EXPECT_EQ(read(fd, &value, 8), 8);
	EXPECT_EQ(value, 5);
	EXPECT_ERRNO(read(fd, &value, 8), EAGAIN);
	polled = (struct pollfd){fd, POLLIN | POLLOUT, 0};
	EXPECT_EQ(poll(&polled, 1, 0), 1);
	EXPECT_EQ(polled.revents, POLLOUT);
	value = UINT64_MAX - 1;
	EXPECT_EQ(write(fd, &value, 8), 8);
	EXPECT_EQ(poll(&polled, 1, 0), 1);
	EXPECT_EQ(polled.revents, POLLIN);
	value = 1;
	EXPECT_ERRNO(write(fd, &value, 8), EAGAIN);
	value = UINT64_MAX;
	EXPECT_ERRNO(write(fd, &value, 8), EINVAL);
	EXPECT_ERRNO(write(fd, &value, 7), EINVAL);
	EXPECT_ERRNO(read(fd, &value, 7), EINVAL);
	EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	EXPECT_ERRNO(eventfd(0, 2), EINVAL);
}

CASE(eventfd_semaphore)
{
	uint64_t value;
	int fd = OK(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));

	EXPECT_EQ(read(fd, &value, 8), 8);
	EXPECT_EQ(value, 1);
	EXPECT_EQ(read(fd, &value, 8), 8);
	EXPECT_EQ(value, 1);
	EXPECT_ERRNO(read(fd, &value, 8), EAGAIN);
}

CASE(eventfd_blocks_until_written)
{
	uint64_t value = 7;
	int fd = OK(eventfd(0, 0));
	pid_t pid;

	CHILD(pid) {
		wait_until_asleep(getppid());
		EXPECT_EQ(write(fd, &value, 8), 8);
	}
	EXPECT_EQ(read(fd, &value, 8), 8);
	EXPECT_EQ(value, 7);
	EXPECT_EXIT(pid, 0);
}

CASE(inotify_reports_a_new_file)
{
	char buffer[512] __attribute__((aligned(8)));
	struct inotify_event *event = (void *)buffer;
	int fd = OK(inotify_init1(IN_NONBLOCK)), watched = OK(inotify_add_watch(fd, ".", IN_CREATE | IN_CLOSE_WRITE));

	EXPECT_ERRNO(read(fd, buffer, sizeof(buffer)), EAGAIN);
	write_file("file", "abc");
	EXPECT(OK(read(fd, buffer, sizeof(buffer))) > 0);
	EXPECT_EQ(event->wd, watched);
	EXPECT_EQ(event->mask, IN_CREATE);
	EXPECT_STR(event->name, "file");
}
