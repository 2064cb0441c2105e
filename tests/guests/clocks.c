/* nanosleep(2), clock_gettime(2), clock_nanosleep(2), setitimer(2), timer_create(2), timerfd_create(2), times(2). */
#include "guest.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>

#define MS 1000000L

static long clock_sleep(clockid_t clock, int flags, struct timespec *request, struct timespec *left)
{
	return syscall(SYS_clock_nanosleep, clock, flags, request, left);
}

CASE(nanosleep_sleeps_and_checks)
{
	struct timespec time = {0, 10 * MS};
	long long before = now_ns();

	OK(nanosleep(&time, NULL));
	EXPECT(now_ns() - before >= 10 * MS);
	time.tv_nsec = 1000000000;
	EXPECT_ERRNO(nanosleep(&time, NULL), EINVAL);
	time = (struct timespec){-1, 0};
	EXPECT_ERRNO(nanosleep(&time, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_nanosleep, 8, NULL), EFAULT);
}

CASE(clock_nanosleep_until_a_time)
{
	struct timespec time;
	long long before = now_ns();

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_nsec += 15 * MS;
	if (time.tv_nsec >= 1000000000)
		time.tv_nsec -= 1000000000, time.tv_sec++;
	OK(clock_sleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL));
	EXPECT(now_ns() - before >= 15 * MS);
	before = now_ns();
	OK(clock_sleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL));
	EXPECT(now_ns() - before < 2000 * MS);
	clock_gettime(CLOCK_REALTIME, &time);
	OK(clock_sleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL));
}

CASE(clock_nanosleep_errors)
{
	struct timespec time = {0, 1};

	EXPECT_ERRNO(clock_sleep(99, 0, &time, NULL), EINVAL);
	EXPECT_ERRNO(clock_sleep(CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL), EOPNOTSUPP);
	EXPECT_ERRNO(clock_sleep(CLOCK_REALTIME_COARSE, 0, &time, NULL), EOPNOTSUPP);
	EXPECT_ERRNO(clock_sleep(CLOCK_MONOTONIC_RAW, 0, &time, NULL), EOPNOTSUPP);
	OK(clock_sleep(CLOCK_BOOTTIME, 0, &time, NULL));
	OK(clock_sleep(CLOCK_TAI, 0, &time, NULL));
}

CASE(interrupted_absolute_sleep_leaves_the_rest_alone)
{
	struct timespec time, left = {77, 77};

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += 5;
	handle(SIGUSR1, count_signal);
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(clock_sleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, &left), EINTR);
	EXPECT_EQ(left.tv_sec, 77);
}

CASE(clocks_go_forward_and_have_resolutions)
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
					   CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_TAI};
	struct timespec one, two;

	for (unsigned i = 0; i < LENGTH(clocks); i++) {
		OK(syscall(SYS_clock_gettime, clocks[i], &one));
		OK(syscall(SYS_clock_gettime, clocks[i], &two));
		EXPECT(two.tv_sec > one.tv_sec || (two.tv_sec == one.tv_sec && two.tv_nsec >= one.tv_nsec));
		OK(syscall(SYS_clock_getres, clocks[i], &one));
		EXPECT_EQ(one.tv_sec, 0);
		EXPECT_EQ(one.tv_nsec, 1);
	}
	OK(clock_getres(CLOCK_REALTIME_COARSE, &one));
	EXPECT(one.tv_nsec >= MS);
	EXPECT_ERRNO(syscall(SYS_clock_gettime, 99, &one), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clock_getres, 99, &one), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clock_gettime, CLOCK_REALTIME, 8), EFAULT);
	OK(syscall(SYS_clock_getres, CLOCK_REALTIME, NULL));
}

CASE(processor_clocks_count_work_only)
{
	struct timespec before, after;
	long long until = now_ms() + 30;

	OK(syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &before));
	while (now_ms() < until)
		;
	OK(syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &after));
	EXPECT((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec > 2 * MS);
	sleep_ms(30);
	OK(syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &before));
	EXPECT((before.tv_sec - after.tv_sec) * 1000000000 + before.tv_nsec - after.tv_nsec < 25 * MS);
}

CASE(clock_settime_needs_privilege)
{
	struct timespec time = {1, 0};

	EXPECT_ERRNO(clock_settime(CLOCK_REALTIME, &time), EPERM);
	EXPECT_ERRNO(clock_settime(CLOCK_MONOTONIC, &time), EINVAL);
	EXPECT_ERRNO(syscall(SYS_settimeofday, &(struct timeval){1, 0}, NULL), EPERM);
}

CASE(adjtimex_reads_without_privilege)
{
	struct timex state = {.modes = 0};

	EXPECT(OK(syscall(SYS_adjtimex, &state)) >= 0);
	EXPECT(state.tick >= 9000 && state.tick <= 11000);
	state.modes = ADJ_OFFSET;
	EXPECT_ERRNO(syscall(SYS_adjtimex, &state), EPERM);
}

CASE(itimer_real_sends_sigalrm)
{
	struct itimerval timer = {{0, 10000}, {0, 10000}}, left;

	handle(SIGALRM, count_signal);
	OK(setitimer(ITIMER_REAL, &timer, NULL));
	EXPECT_SOON(signals_seen >= 3);
	memset(&timer, 0, sizeof(timer));
	OK(setitimer(ITIMER_REAL, &timer, &left));
	EXPECT_EQ(left.it_interval.tv_usec, 10000);
	OK(getitimer(ITIMER_REAL, &left));
	EXPECT_EQ(left.it_value.tv_usec + left.it_value.tv_sec, 0);
	EXPECT_ERRNO(setitimer(99, &timer, NULL), EINVAL);
	timer.it_value.tv_usec = 1000000;
	EXPECT_ERRNO(setitimer(ITIMER_REAL, &timer, NULL), EINVAL);
}

static void work_until(int count)
{
	long long until = now_ms() + 5000;

	while (signals_seen < count && now_ms() < until)
		;
}

CASE(itimer_virtual_and_prof_count_processor_time)
{
	struct itimerval timer = {{0, 0}, {0, 20000}};

	handle(SIGVTALRM, count_signal);
	handle(SIGPROF, count_signal);
	OK(setitimer(ITIMER_VIRTUAL, &timer, NULL));
	work_until(1);
	EXPECT_EQ(last_signal, SIGVTALRM);
	OK(setitimer(ITIMER_PROF, &timer, NULL));
	work_until(2);
	EXPECT_EQ(last_signal, SIGPROF);
}

CASE(alarm_returns_what_was_left)
{
	EXPECT_EQ(alarm(100), 0);
	EXPECT_EQ(alarm(0), 100);
	EXPECT_EQ(alarm(0), 0);
}

CASE(alarm_is_not_inherited_by_fork_but_kept_by_exec)
{
	pid_t pid;

	alarm(100);
	CHILD(pid)
		EXPECT_EQ(alarm(0), 0);
	EXPECT_EXIT(pid, 0);
}

CASE(posix_timer_sends_its_signal)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 55};
	struct itimerspec setting = {{0, 0}, {0, 5 * MS}}, left;
	sigset_t set = one_signal(SIGRTMIN);
	siginfo_t info;
	timer_t timer;

	sigprocmask(SIG_BLOCK, &set, NULL);
	OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
	OK(timer_settime(timer, 0, &setting, NULL));
	EXPECT_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
	EXPECT_EQ(info.si_code, SI_TIMER);
	EXPECT_EQ(info.si_value.sival_int, 55);
	OK(timer_gettime(timer, &left));
	EXPECT_EQ(left.it_value.tv_nsec, 0);
	OK(timer_delete(timer));
	EXPECT_ERRNO(timer_delete(timer), EINVAL);
}

CASE(posix_timer_counts_overruns)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	struct itimerspec setting = {{0, MS}, {0, MS}};
	sigset_t set = one_signal(SIGRTMIN);
	siginfo_t info;
	timer_t timer;

	sigprocmask(SIG_BLOCK, &set, NULL);
	OK(timer_create(CLOCK_REALTIME, &event, &timer));
	OK(timer_settime(timer, 0, &setting, NULL));
	sleep_ms(30);
	EXPECT_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
	EXPECT(info.si_overrun >= 10);
	EXPECT_EQ(timer_getoverrun(timer), info.si_overrun);
	sleep_ms(5); /* the next signal waits, and counts for itself */
	EXPECT_EQ(timer_getoverrun(timer), info.si_overrun);
}

CASE(posix_timer_errors)
{
	struct sigevent event = {.sigev_notify = 99};
	struct itimerspec setting = {{0, 0}, {0, 1000000000}};
	int timer;

	EXPECT_ERRNO(syscall(SYS_timer_create, 99, NULL, &timer), EINVAL);
	EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
	event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 100};
	EXPECT_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
	OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &timer));
	EXPECT_ERRNO(syscall(SYS_timer_settime, timer, 0, &setting, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_timer_settime, 1234, 0, &setting, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_timer_getoverrun, 1234), EINVAL);
}

CASE(posix_timer_of_processor_time)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec setting = {{0, 0}, {0, 20 * MS}};
	timer_t timer;

	handle(SIGUSR1, count_signal);
	OK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer));
	OK(timer_settime(timer, 0, &setting, NULL));
	work_until(1);
	EXPECT_EQ(signals_seen, 1);
}

CASE(timerfd_counts_expirations)
{
	struct itimerspec setting = {{0, 2 * MS}, {0, 2 * MS}}, now;
	struct pollfd polled;
	uint64_t count;
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));

	EXPECT_ERRNO(read(fd, &count, 8), EAGAIN);
	OK(timerfd_settime(fd, 0, &setting, NULL));
	polled = (struct pollfd){fd, POLLIN, 0};
	EXPECT_EQ(poll(&polled, 1, 5000), 1);
	sleep_ms(20);
	EXPECT_EQ(read(fd, &count, 8), 8);
	EXPECT(count >= 5);
	OK(timerfd_gettime(fd, &now));
	EXPECT_EQ(now.it_interval.tv_nsec, 2 * MS);
	EXPECT_ERRNO(read(fd, &count, 7), EINVAL);
	EXPECT_ERRNO(write(fd, &count, 8), EINVAL);
}

CASE(timerfd_absolute_and_blocking)
{
	struct itimerspec setting = {{0, 0}, {0, 0}};
	uint64_t count;
	int fd = OK(timerfd_create(CLOCK_REALTIME, 0));

	clock_gettime(CLOCK_REALTIME, &setting.it_value);
	setting.it_value.tv_nsec += 10 * MS;
	if (setting.it_value.tv_nsec >= 1000000000)
		setting.it_value.tv_nsec -= 1000000000, setting.it_value.tv_sec++;
	OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &setting, NULL));
	EXPECT_EQ(read(fd, &count, 8), 8);
	EXPECT_EQ(count, 1);
}

CASE(timerfd_errors)
{
	struct itimerspec setting = {{0, 0}, {0, 1000000000}};
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, 0));

	EXPECT_ERRNO(timerfd_create(99, 0), EINVAL);
	EXPECT_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	EXPECT_ERRNO(timerfd_settime(fd, 0, &setting, NULL), EINVAL);
	setting.it_value.tv_nsec = 0;
	EXPECT_ERRNO(timerfd_settime(fd, 64, &setting, NULL), EINVAL);
	EXPECT_ERRNO(timerfd_settime(0, 0, &setting, NULL), EINVAL);
	EXPECT_ERRNO(timerfd_settime(77, 0, &setting, NULL), EBADF);
}

CASE(times_and_getrusage)
{
	struct rusage usage;
	struct tms tms;
	long one = OK(times(&tms));

	sleep_ms(30);
	EXPECT(times(NULL) - one >= 2);
	OK(getrusage(RUSAGE_SELF, &usage));
	EXPECT(usage.ru_maxrss > 0);
	OK(getrusage(RUSAGE_THREAD, &usage));
	OK(getrusage(RUSAGE_CHILDREN, &usage));
	EXPECT_ERRNO(getrusage(99, &usage), EINVAL);
	EXPECT_ERRNO(syscall(SYS_getrusage, RUSAGE_SELF, 8), EFAULT);
	EXPECT_ERRNO(syscall(SYS_times, 8), EFAULT);
}

CASE(rlimit_cpu_sends_sigxcpu_then_sigkill)
{
	struct rlimit limit = {1, 2};
	pid_t pid;

	CHILD(pid) {
		OK(setrlimit(RLIMIT_CPU, &limit));
		for (;;)
			;
	}
	EXPECT_KILLED(pid, SIGXCPU);
}

CASE(processor_clock_of_another_process)
{
	struct timespec time;
	clockid_t clock;
	pid_t pid;

	CHILD(pid)
		pause();
	EXPECT_EQ(clock_getcpuclockid(pid, &clock), 0);
	OK(clock_gettime(clock, &time));
	EXPECT_EQ(time.tv_sec, 0);
	OK(kill(pid, SIGKILL));
	EXPECT_KILLED(pid, SIGKILL);
	EXPECT_ERRNO(clock_gettime(clock, &time), EINVAL);
}
