/* kcmp(2): whether two tasks share something. */
#include "guest.h"

#include <linux/kcmp.h>
#include <pthread.h>
#include <sys/epoll.h>

static int compare(pid_t one, pid_t other, int kind, unsigned long first, unsigned long second)
{
	return syscall(SYS_kcmp, one, other, kind, first, second);
}

static pid_t sleeper(void)
{
	pid_t pid;

	CHILD(pid) {
		pause();
	}
	wait_until_asleep(pid);
	return pid;
}

static void end(pid_t pid)
{
	OK(kill(pid, SIGKILL));
	EXPECT_KILLED(pid, SIGKILL);
}

CASE(files)
{
	int ends[2], copy, one, other;
	pid_t self = getpid(), pid;

	OK(pipe(ends));
	copy = OK(dup(ends[0]));
	pid = sleeper();
	EXPECT_EQ(compare(self, self, KCMP_FILE, ends[0], copy), 0);
	EXPECT_EQ(compare(self, pid, KCMP_FILE, ends[0], copy), 0);
	one = compare(self, self, KCMP_FILE, ends[0], ends[1]);
	other = compare(pid, self, KCMP_FILE, ends[1], ends[0]);
	EXPECT((one == 1 && other == 2) || (one == 2 && other == 1));
	EXPECT_ERRNO(compare(self, self, KCMP_FILE, ends[0], 99), EBADF);
	EXPECT_ERRNO(compare(self, self, KCMP_FILE, -1, ends[0]), EBADF);
	end(pid);
}

CASE(processes)
{
	pid_t self = getpid(), pid = sleeper();

	for (int kind = KCMP_VM; kind <= KCMP_SIGHAND; kind++) {
		EXPECT_EQ(compare(self, self, kind, 0, 0), 0);
		EXPECT(compare(self, pid, kind, 0, 0) > 0);
	}
	EXPECT_ERRNO(compare(self, pid, 99, 0, 0), EINVAL);
	EXPECT_ERRNO(compare(self, pid, -1, 0, 0), EINVAL);
	EXPECT_ERRNO(compare(self, 99999, KCMP_VM, 0, 0), ESRCH);
	EXPECT_ERRNO(compare(0, self, KCMP_VM, 0, 0), ESRCH);
	end(pid);
}

static volatile pid_t thread_id;

static void *tell_and_wait(void *unused)
{
	thread_id = gettid();
	pause();
	return unused;
}

CASE(threads)
{
	pthread_t thread;

	EXPECT_EQ(pthread_create(&thread, NULL, tell_and_wait, NULL), 0);
	EXPECT_SOON(thread_id != 0);
	for (int kind = KCMP_VM; kind <= KCMP_SIGHAND; kind++)
		EXPECT_EQ(compare(getpid(), thread_id, kind, 0, 0), 0);
}

CASE(files_in_epoll_instances)
{
	int epoll = OK(epoll_create1(0)), ends[2];
	struct epoll_event event = {.events = EPOLLIN};
	struct kcmp_epoll_slot slot;
	pid_t self = getpid();

	OK(pipe(ends));
	OK(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event));
	slot = (struct kcmp_epoll_slot){.efd = epoll, .tfd = ends[0], .toff = 0};
	EXPECT_EQ(compare(self, self, KCMP_EPOLL_TFD, ends[0], (unsigned long)&slot), 0);
	EXPECT(compare(self, self, KCMP_EPOLL_TFD, ends[1], (unsigned long)&slot) > 0);
	EXPECT_ERRNO(compare(self, self, KCMP_EPOLL_TFD, 99, (unsigned long)&slot), EBADF);
	EXPECT_ERRNO(compare(self, self, KCMP_EPOLL_TFD, ends[0], 0), EFAULT);
	slot.toff = 1;
	EXPECT_ERRNO(compare(self, self, KCMP_EPOLL_TFD, ends[0], (unsigned long)&slot), ENOENT);
	slot = (struct kcmp_epoll_slot){.efd = epoll, .tfd = ends[1], .toff = 0};
	EXPECT_ERRNO(compare(self, self, KCMP_EPOLL_TFD, ends[0], (unsigned long)&slot), ENOENT);
	slot.efd = ends[0];
	EXPECT_ERRNO(compare(self, self, KCMP_EPOLL_TFD, ends[0], (unsigned long)&slot), EINVAL);
	slot.efd = 99;
	EXPECT_ERRNO(compare(self, self, KCMP_EPOLL_TFD, ends[0], (unsigned long)&slot), EBADF);
}

CASE(others_are_not_for_users)
{
	pid_t init = getpid(), pid;

	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(compare(getpid(), init, KCMP_VM, 0, 0), EPERM);
		EXPECT_ERRNO(compare(init, getpid(), KCMP_FILE, 0, 0), EPERM);
	}
	EXPECT_EXIT(pid, 0);
}
