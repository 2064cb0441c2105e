/* sigaction(2), sigprocmask(2), kill(2), sigqueue(3), sigsuspend(2), sigtimedwait(2), signalfd(2). */
#include "guest.h"

#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

static siginfo_t seen;
static volatile int order[32], count;

static void note_info(int sig, siginfo_t *info, __attribute__((unused)) void *context)
{
	seen = *info;
	if (count < 32)
		order[count++] = sig;
	last_signal = sig;
	signals_seen++;
}

static void handle_info(int sig, int flags)
{
	struct sigaction action = {.sa_sigaction = note_info, .sa_flags = SA_SIGINFO | flags};

	OK(sigaction(sig, &action, NULL));
}

static void block(int sig)
{
	sigset_t set = one_signal(sig);

	OK(sigprocmask(SIG_BLOCK, &set, NULL));
}

static void unblock(int sig)
{
	sigset_t set = one_signal(sig);

	OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

static int is_pending(int sig)
{
	sigset_t set;

	OK(sigpending(&set));
	return sigismember(&set, sig);
}

CASE(sigaction_errors)
{
	struct sigaction action = {.sa_handler = count_signal};

	EXPECT_ERRNO(sigaction(SIGKILL, &action, NULL), EINVAL);
	EXPECT_ERRNO(sigaction(SIGSTOP, &action, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, 8, NULL, 8), EFAULT);
	OK(syscall(SYS_rt_sigaction, SIGKILL, NULL, &action, 8));
}

CASE(sigaction_returns_the_old_one)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART}, old;

	sigaddset(&action.sa_mask, SIGUSR2);
	OK(sigaction(SIGUSR1, &action, &old));
	EXPECT(old.sa_handler == SIG_DFL);
	OK(sigaction(SIGUSR1, NULL, &old));
	EXPECT(old.sa_handler == count_signal);
	EXPECT(old.sa_flags & SA_RESTART);
	EXPECT(sigismember(&old.sa_mask, SIGUSR2));
	EXPECT(!sigismember(&old.sa_mask, SIGUSR1));
}

CASE(kill_tells_the_sender)
{
	handle_info(SIGUSR1, 0);
	OK(kill(getpid(), SIGUSR1));
	EXPECT_EQ(seen.si_signo, SIGUSR1);
	EXPECT_EQ(seen.si_code, SI_USER);
	EXPECT_EQ(seen.si_pid, getpid());
	EXPECT_EQ(seen.si_uid, 0);
	OK(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));
	EXPECT_EQ(seen.si_code, SI_TKILL);
}

CASE(sigqueue_carries_a_value)
{
	union sigval value = {.sival_int = 1234};

	handle_info(SIGUSR1, 0);
	OK(sigqueue(getpid(), SIGUSR1, value));
	EXPECT_EQ(seen.si_code, SI_QUEUE);
	EXPECT_EQ(seen.si_value.sival_int, 1234);
	EXPECT_EQ(seen.si_pid, getpid());
}

CASE(sigqueueinfo_cannot_forge)
{
	siginfo_t info = {.si_code = SI_USER};
	pid_t pid;

	CHILD(pid)
		pause();
	EXPECT_ERRNO(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info), EPERM);
	info.si_code = SI_TKILL;
	EXPECT_ERRNO(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info), EPERM);
	info.si_code = SI_QUEUE;
	OK(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info));
	EXPECT_KILLED(pid, SIGUSR1);
}

CASE(kill_errors)
{
	pid_t pid;

	EXPECT_ERRNO(kill(getpid(), 65), EINVAL);
	EXPECT_ERRNO(kill(getpid(), -1), EINVAL);
	EXPECT_ERRNO(kill(30000, 0), ESRCH);
	EXPECT_ERRNO(kill(-30000, 0), ESRCH);
	EXPECT_ERRNO(kill(INT_MIN, 0), ESRCH);
	EXPECT_ERRNO(syscall(SYS_tgkill, getpid(), 30000, 0), ESRCH);
	EXPECT_ERRNO(syscall(SYS_tgkill, 1, getpid(), 0), ESRCH);
	EXPECT_ERRNO(syscall(SYS_tgkill, -1, getpid(), 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_tkill, 0, 0), EINVAL);
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(kill(getppid(), 0), EPERM);
		EXPECT_ERRNO(kill(1, SIGTERM), EPERM);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(kill_of_a_zombie_succeeds)
{
	pid_t pid;

	CHILD(pid)
		_exit(0);
	EXPECT_SOON(state_of(pid) == 'Z');
	OK(kill(pid, SIGTERM));
	OK(kill(pid, 0));
	EXPECT_EXIT(pid, 0);
	EXPECT_ERRNO(kill(pid, 0), ESRCH);
}

CASE(kill_of_the_process_group)
{
	pid_t one, two;

	signal(SIGUSR1, SIG_IGN);
	CHILD(one) {
		signal(SIGUSR1, SIG_DFL);
		OK(raise(SIGSTOP));
		pause();
	}
	OK(waitpid(one, NULL, WUNTRACED));
	CHILD(two) {
		setpgid(0, 0);
		sleep_ms(50);
	}
	setpgid(two, two);
	OK(kill(0, SIGUSR1));
	OK(kill(one, SIGCONT));
	EXPECT_KILLED(one, SIGUSR1);
	EXPECT_EXIT(two, 0);
}

CASE(init_ignores_signals_without_handlers)
{
	OK(kill(1, SIGTERM));
	OK(kill(1, SIGKILL));
	OK(kill(1, SIGUSR1));
	sleep_ms(10);
	OK(kill(1, 0));
}

CASE(handler_blocks_its_signal_unless_nodefer)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_NODEFER};
	sigset_t set;

	void deferred(int sig)
	{
		sigprocmask(SIG_BLOCK, NULL, &set);
		count_signal(sig);
	}
	handle(SIGUSR1, deferred);
	raise(SIGUSR1);
	EXPECT(sigismember(&set, SIGUSR1));
	action.sa_handler = deferred;
	sigaddset(&action.sa_mask, SIGUSR2);
	OK(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	EXPECT(!sigismember(&set, SIGUSR1));
	EXPECT(sigismember(&set, SIGUSR2));
	sigprocmask(SIG_BLOCK, NULL, &set);
	EXPECT(!sigismember(&set, SIGUSR2));
}

CASE(resethand_is_for_one_signal)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESETHAND};

	OK(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	OK(sigaction(SIGUSR1, NULL, &action));
	EXPECT(action.sa_handler == SIG_DFL);
	EXPECT_EQ(signals_seen, 1);
}

CASE(standard_signals_are_not_queued)
{
	handle_info(SIGUSR1, 0);
	block(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	EXPECT(is_pending(SIGUSR1));
	unblock(SIGUSR1);
	EXPECT_EQ(signals_seen, 1);
	EXPECT(!is_pending(SIGUSR1));
}

CASE(realtime_signals_are_queued_in_order)
{
	sigset_t set;

	for (int i = 0; i < 3; i++) {
		handle_info(SIGRTMIN + i, 0);
		block(SIGRTMIN + i);
	}
	for (int i = 0; i < 3; i++) {
		union sigval value = {.sival_int = i};

		OK(sigqueue(getpid(), SIGRTMIN + 1, value));
	}
	OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 9}));
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGRTMIN + 1);
	EXPECT_EQ(sigwaitinfo(&set, &seen), SIGRTMIN);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(sigwaitinfo(&set, &seen), SIGRTMIN + 1);
		EXPECT_EQ(seen.si_value.sival_int, i);
	}
}

CASE(pending_signals_are_delivered_lowest_number_first)
{
	static const int signals[] = {34 + 2, SIGUSR2, SIGUSR1};

	for (int i = 0; i < 3; i++) {
		handle_info(signals[i], 0);
		block(signals[i]);
	}
	for (int i = 0; i < 3; i++)
		raise(signals[i]);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	EXPECT_EQ(count, 3);
	/* The frames nest: the one that was pushed last runs first. */
	EXPECT_EQ(order[0], 34 + 2);
	EXPECT_EQ(order[1], SIGUSR2);
	EXPECT_EQ(order[2], SIGUSR1);
}

CASE(sigqueue_over_the_limit_is_eagain)
{
	struct rlimit limit = {2, 2};
	pid_t pid;

	CHILD(pid) {
		/* The limit counts what is queued for the user: one that nobody else is. */
		become(43210);
		block(SIGRTMIN);
		OK(setrlimit(RLIMIT_SIGPENDING, &limit));
		OK(sigqueue(getpid(), SIGRTMIN, (union sigval){0}));
		OK(sigqueue(getpid(), SIGRTMIN, (union sigval){0}));
		EXPECT_ERRNO(sigqueue(getpid(), SIGRTMIN, (union sigval){0}), EAGAIN);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(ignoring_discards_what_is_pending)
{
	block(SIGUSR1);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	EXPECT(!is_pending(SIGUSR1));
	block(SIGCHLD);
	raise(SIGCHLD);
	EXPECT(is_pending(SIGCHLD));
	signal(SIGCHLD, SIG_DFL);
	EXPECT(!is_pending(SIGCHLD));
}

CASE(sigprocmask_errors)
{
	sigset_t set = one_signal(SIGKILL);

	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(sigprocmask(SIG_BLOCK, NULL, &set));
	EXPECT(!sigismember(&set, SIGKILL));
	EXPECT_ERRNO(sigprocmask(99, &set, NULL), EINVAL);
	EXPECT_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, 8, NULL, 8), EFAULT);
	EXPECT_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16), EINVAL);
}

CASE(sigsuspend_waits_with_its_mask)
{
	sigset_t none, now;

	handle_info(SIGUSR1, 0);
	block(SIGUSR1);
	raise(SIGUSR1);
	sigemptyset(&none);
	EXPECT_ERRNO(sigsuspend(&none), EINTR);
	EXPECT_EQ(signals_seen, 1);
	sigprocmask(SIG_BLOCK, NULL, &now);
	EXPECT(sigismember(&now, SIGUSR1));
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(sigsuspend(&none), EINTR);
	EXPECT_EQ(signals_seen, 2);
}

CASE(sigtimedwait_times_out)
{
	sigset_t set = one_signal(SIGUSR1);
	struct timespec timeout = {0, 20000000};
	long long before = now_ms();

	block(SIGUSR1);
	EXPECT_ERRNO(sigtimedwait(&set, NULL, &timeout), EAGAIN);
	EXPECT(now_ms() - before >= 20);
	timeout.tv_nsec = 0;
	EXPECT_ERRNO(sigtimedwait(&set, NULL, &timeout), EAGAIN);
	timeout.tv_nsec = 2000000000;
	EXPECT_ERRNO(sigtimedwait(&set, NULL, &timeout), EINVAL);
}

CASE(sigwaitinfo_takes_a_fatal_signal_that_comes_later)
{
	sigset_t set = one_signal(SIGTERM);

	block(SIGTERM);
	signal_when_asleep(getpid(), SIGTERM);
	EXPECT_EQ(sigwaitinfo(&set, &seen), SIGTERM);
	EXPECT_EQ(seen.si_code, SI_USER);
}

CASE(sigwaitinfo_takes_a_signal_that_is_ignored_by_default)
{
	sigset_t set = one_signal(SIGCHLD);
	pid_t pid;

	block(SIGCHLD);
	CHILD(pid)
		sleep_ms(20);
	EXPECT_EQ(sigwaitinfo(&set, &seen), SIGCHLD);
	EXPECT_EQ(seen.si_pid, pid);
}

CASE(sigwaitinfo_is_interrupted_by_another_signal)
{
	sigset_t set = one_signal(SIGUSR2);

	block(SIGUSR2);
	handle(SIGUSR1, count_signal);
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(sigwaitinfo(&set, NULL), EINTR);
}

CASE(sigchld_tells_how_the_child_ended)
{
	pid_t pid;

	handle_info(SIGCHLD, 0);
	CHILD(pid)
		_exit(9);
	EXPECT_SOON(signals_seen == 1);
	EXPECT_EQ(seen.si_code, CLD_EXITED);
	EXPECT_EQ(seen.si_status, 9);
	EXPECT_EQ(seen.si_pid, pid);
	CHILD(pid)
		raise(SIGKILL);
	EXPECT_SOON(signals_seen == 2);
	EXPECT_EQ(seen.si_code, CLD_KILLED);
	EXPECT_EQ(seen.si_status, SIGKILL);
}

CASE(sigchld_for_stops_unless_nocldstop)
{
	pid_t pid;

	handle_info(SIGCHLD, 0);
	CHILD(pid)
		for (;;)
			pause();
	OK(kill(pid, SIGSTOP));
	EXPECT_SOON(signals_seen == 1);
	EXPECT_EQ(seen.si_code, CLD_STOPPED);
	EXPECT_EQ(seen.si_status, SIGSTOP);
	OK(kill(pid, SIGCONT));
	EXPECT_SOON(signals_seen == 2);
	EXPECT_EQ(seen.si_code, CLD_CONTINUED);
	handle_info(SIGCHLD, SA_NOCLDSTOP);
	OK(kill(pid, SIGSTOP));
	EXPECT_EQ(waitpid(pid, NULL, WUNTRACED), pid);
	EXPECT_EQ(signals_seen, 2);
}

CASE(stopped_process_can_be_killed)
{
	pid_t pid;

	CHILD(pid)
		pause();
	OK(kill(pid, SIGSTOP));
	EXPECT_EQ(waitpid(pid, NULL, WUNTRACED), pid);
	OK(kill(pid, SIGTERM));
	sleep_ms(10);
	EXPECT_EQ(state_of(pid), 'T');
	OK(kill(pid, SIGKILL));
	EXPECT_KILLED(pid, SIGKILL);
}

CASE(sigcont_discards_stops_and_the_other_way_round)
{
	block(SIGTSTP);
	block(SIGCONT);
	raise(SIGTSTP);
	EXPECT(is_pending(SIGTSTP));
	raise(SIGCONT);
	EXPECT(!is_pending(SIGTSTP));
	EXPECT(is_pending(SIGCONT));
	raise(SIGTSTP);
	EXPECT(!is_pending(SIGCONT));
}

CASE(terminal_stops_do_nothing_to_orphaned_groups)
{
	raise(SIGTSTP);
	raise(SIGTTIN);
}

CASE(read_restarts_with_sa_restart)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	int fds[2];
	char byte;
	pid_t pid, parent = getpid();

	OK(sigaction(SIGUSR1, &action, NULL));
	OK(pipe(fds));
	CHILD(pid) {
		wait_until_asleep(parent);
		OK(kill(parent, SIGUSR1));
		sleep_ms(20);
		wait_until_asleep(parent);
		EXPECT_EQ(write(fds[1], "x", 1), 1);
	}
	EXPECT_EQ(read(fds[0], &byte, 1), 1);
	EXPECT_EQ(signals_seen, 1);
}

CASE(poll_and_pause_never_restart)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	struct timespec time = {5, 0};

	OK(sigaction(SIGUSR1, &action, NULL));
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(poll(NULL, 0, 5000), EINTR);
	EXPECT_EQ(wait_status(-1), 0);
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(pause(), EINTR);
	EXPECT_EQ(wait_status(-1), 0);
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(nanosleep(&time, &time), EINTR);
	EXPECT(time.tv_sec == 4 || time.tv_sec == 5);
}

CASE(wait_restarts_with_sa_restart)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	pid_t pid, sender;

	OK(sigaction(SIGUSR1, &action, NULL));
	CHILD(pid)
		EXPECT_SOON(signals_seen == 1);
	sender = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_EXIT(sender, 0);
	EXPECT_EQ(signals_seen, 1);
	OK(kill(pid, SIGUSR1));
	EXPECT_EXIT(pid, 0);
}

CASE(recv_timeout_makes_restart_eintr)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	struct timeval timeout = {5, 0};
	int fds[2];
	char byte;

	OK(sigaction(SIGUSR1, &action, NULL));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	OK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(read(fds[0], &byte, 1), EINTR);
}

CASE(stop_and_continue_do_not_interrupt_a_read)
{
	int fds[2];
	char byte;
	pid_t pid;

	OK(pipe(fds));
	CHILD(pid)
		EXPECT_EQ(read(fds[0], &byte, 1), 1);
	wait_until_asleep(pid);
	OK(kill(pid, SIGSTOP));
	EXPECT_EQ(waitpid(pid, NULL, WUNTRACED), pid);
	OK(kill(pid, SIGCONT));
	wait_until_asleep(pid);
	EXPECT_EQ(write(fds[1], "x", 1), 1);
	EXPECT_EXIT(pid, 0);
}

CASE(signalfd_reads_signals)
{
	struct signalfd_siginfo info[2];
	sigset_t set = one_signal(SIGUSR1);
	struct pollfd polled;
	int fd;

	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = OK(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
	EXPECT_ERRNO(read(fd, info, sizeof(info)), EAGAIN);
	polled = (struct pollfd){fd, POLLIN, 0};
	EXPECT_EQ(poll(&polled, 1, 0), 0);
	raise(SIGUSR1);
	OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5}));
	EXPECT_EQ(poll(&polled, 1, 0), 1);
	EXPECT_ERRNO(read(fd, info, 100), EINVAL);
	EXPECT_EQ(read(fd, info, sizeof(info)), 2 * 128);
	EXPECT_EQ(info[0].ssi_signo, SIGUSR1);
	EXPECT_EQ(info[0].ssi_pid, getpid());
	EXPECT_EQ(info[1].ssi_int, 5);
	EXPECT(!is_pending(SIGUSR1));
	EXPECT_ERRNO(signalfd(0, &set, 0), EINVAL);
	EXPECT_ERRNO(signalfd(77, &set, 0), EBADF);
	EXPECT_ERRNO(signalfd(-1, &set, 1), EINVAL);
}

CASE(signal_to_a_thread_of_many)
{
	sigset_t set = one_signal(SIGUSR1);
	pthread_t thread;

	void *waiter(void *argument)
	{
		int got;

		sigwait(&set, &got);
		*(int *)argument = got;
		return NULL;
	}
	int got = 0;

	sigprocmask(SIG_BLOCK, &set, NULL);
	EXPECT_EQ(pthread_create(&thread, NULL, waiter, &got), 0);
	OK(kill(getpid(), SIGUSR1));
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT_EQ(got, SIGUSR1);
}
