/* mq_overview(7): POSIX message queues. */
#include "guest.h"

#include <mqueue.h>
#include <poll.h>
#include <sys/resource.h>

static mqd_t queue;
static char text[10000];

static void start(int flags)
{
	struct mq_attr attributes = {.mq_maxmsg = 3, .mq_msgsize = 100};

	mq_unlink("/queue");
	queue = OK(mq_open("/queue", O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attributes));
}

static void leave(void)
{
	OK(mq_close(queue));
	OK(mq_unlink("/queue"));
}

static int send_text(const char *what, unsigned priority)
{
	return mq_send(queue, what, strlen(what), priority);
}

static void expect(const char *what, unsigned priority)
{
	unsigned got = 99;

	memset(text, 0, sizeof(text));
	EXPECT_EQ(mq_receive(queue, text, sizeof(text), &got), strlen(what));
	EXPECT_STR(text, what);
	EXPECT_EQ(got, priority);
}

static int events(void)
{
	struct pollfd one = {.fd = queue, .events = POLLIN | POLLOUT};

	OK(poll(&one, 1, 0));
	return one.revents;
}

static struct timespec in_ms(int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_nsec += ms * 1000000L;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

CASE(priorities_come_first)
{
	start(0);
	OK(send_text("low", 1));
	OK(send_text("high", 9));
	OK(send_text("low too", 1));
	expect("high", 9);
	expect("low", 1);
	expect("low too", 1);
	leave();
}

CASE(full_and_empty)
{
	start(O_NONBLOCK);
	EXPECT_EQ(events(), POLLOUT);
	EXPECT_ERRNO(mq_receive(queue, text, 100, NULL), EAGAIN);
	for (int i = 0; i < 3; i++)
		OK(send_text("", 0));
	EXPECT_EQ(events(), POLLIN);
	EXPECT_ERRNO(send_text("", 0), EAGAIN);
	expect("", 0);
	EXPECT_EQ(events(), POLLIN | POLLOUT);
	leave();
}

CASE(names)
{
	char longest[300] = "/";

	start(0);
	EXPECT_ERRNO(mq_open("/queue", O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
	EXPECT_ERRNO(mq_open("/nothing", O_RDWR), ENOENT);
	EXPECT_ERRNO(mq_unlink("/nothing"), ENOENT);
	EXPECT_ERRNO(syscall(SYS_mq_open, "a/b", O_CREAT | O_RDWR, 0600, NULL), EACCES);
	EXPECT_ERRNO(syscall(SYS_mq_open, "", O_CREAT | O_RDWR, 0600, NULL), ENOENT);
	EXPECT_ERRNO(syscall(SYS_mq_open, (void *)8, O_CREAT | O_RDWR, 0600, NULL), EFAULT);
	memset(longest + 1, 'x', 256);
	EXPECT_ERRNO(mq_open(longest, O_CREAT | O_RDWR, 0600, NULL), ENAMETOOLONG);
	/* Without its name a queue lives on for who has it. */
	OK(mq_unlink("/queue"));
	EXPECT_ERRNO(mq_open("/queue", O_RDWR), ENOENT);
	OK(send_text("still there", 0));
	expect("still there", 0);
	OK(mq_close(queue));
}

CASE(attributes)
{
	struct mq_attr found, wanted = {.mq_flags = O_NONBLOCK, .mq_maxmsg = 77};

	start(0);
	OK(send_text("x", 0));
	OK(mq_getattr(queue, &found));
	EXPECT_EQ(found.mq_flags, 0);
	EXPECT_EQ(found.mq_maxmsg, 3);
	EXPECT_EQ(found.mq_msgsize, 100);
	EXPECT_EQ(found.mq_curmsgs, 1);
	OK(mq_setattr(queue, &wanted, &found));
	EXPECT_EQ(found.mq_flags, 0);
	OK(mq_getattr(queue, &found));
	EXPECT_EQ(found.mq_flags, O_NONBLOCK);
	EXPECT_EQ(found.mq_maxmsg, 3);
	wanted.mq_flags = O_APPEND;
	EXPECT_ERRNO(mq_setattr(queue, &wanted, NULL), EINVAL);
	EXPECT_ERRNO(mq_getattr(0, &found), EBADF);
	leave();
	queue = OK(mq_open("/queue", O_CREAT | O_RDONLY, 0600, NULL));
	OK(mq_getattr(queue, &found));
	EXPECT_EQ(found.mq_maxmsg, 10);
	EXPECT_EQ(found.mq_msgsize, 8192);
	leave();
}

CASE(bounds)
{
	struct mq_attr wanted = {.mq_maxmsg = 11, .mq_msgsize = 10};
	struct rlimit limit;

	EXPECT_ERRNO(mq_open("/bounds", O_CREAT | O_RDWR, 0600, &wanted), EINVAL);
	wanted = (struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = 8193};
	EXPECT_ERRNO(mq_open("/bounds", O_CREAT | O_RDWR, 0600, &wanted), EINVAL);
	wanted = (struct mq_attr){.mq_maxmsg = 0, .mq_msgsize = 10};
	EXPECT_ERRNO(mq_open("/bounds", O_CREAT | O_RDWR, 0600, &wanted), EINVAL);
	OK(getrlimit(RLIMIT_MSGQUEUE, &limit));
	limit.rlim_cur = 1000;
	OK(setrlimit(RLIMIT_MSGQUEUE, &limit));
	EXPECT_ERRNO(mq_open("/bounds", O_CREAT | O_RDWR, 0600, NULL), EMFILE);
	start(0);
	EXPECT_ERRNO(mq_send(queue, text, 101, 0), EMSGSIZE);
	EXPECT_ERRNO(mq_send(queue, text, 1, 32768), EINVAL);
	OK(mq_send(queue, text, 100, 32767));
	EXPECT_ERRNO(mq_receive(queue, text, 99, NULL), EMSGSIZE);
	EXPECT_ERRNO(mq_send(queue, (void *)8, 1, 0), EFAULT);
	EXPECT_ERRNO(mq_send(0, text, 1, 0), EBADF);
	leave();
}

CASE(who_may_do_what)
{
	mqd_t other;
	pid_t pid;

	start(0);
	other = OK(mq_open("/queue", O_RDONLY));
	EXPECT_ERRNO(mq_send(other, "x", 1, 0), EBADF);
	OK(mq_close(other));
	other = OK(mq_open("/queue", O_WRONLY));
	EXPECT_ERRNO(mq_receive(other, text, 100, NULL), EBADF);
	OK(fchmod(queue, 0604));
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(mq_open("/queue", O_RDWR), EACCES);
		OK(mq_open("/queue", O_RDONLY));
		/* EPERM of the kernel, which the C library calls so. */
		EXPECT_ERRNO(syscall(SYS_mq_unlink, "queue"), EPERM);
	}
	EXPECT_EXIT(pid, 0);
	leave();
}

CASE(waiting)
{
	struct timespec at;
	pid_t pid, helper;

	start(0);
	CHILD(pid)
		expect("for the child", 3);
	wait_until_asleep(pid);
	OK(send_text("for the child", 3));
	EXPECT_EXIT(pid, 0);
	at = in_ms(30);
	EXPECT_ERRNO(mq_timedreceive(queue, text, 100, NULL, &at), ETIMEDOUT);
	at = (struct timespec){1, 0};
	EXPECT_ERRNO(mq_timedreceive(queue, text, 100, NULL, &at), ETIMEDOUT);
	at.tv_nsec = 1000000000;
	EXPECT_ERRNO(mq_timedreceive(queue, text, 100, NULL, &at), EINVAL);
	handle(SIGUSR1, count_signal);
	helper = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(mq_receive(queue, text, 100, NULL), EINTR);
	EXPECT_EXIT(helper, 0);
	for (int i = 0; i < 3; i++)
		OK(send_text("x", 0));
	at = in_ms(30);
	EXPECT_ERRNO(mq_timedsend(queue, "x", 1, 0, &at), ETIMEDOUT);
	CHILD(pid)
		OK(send_text("y", 0));
	wait_until_asleep(pid);
	expect("x", 0);
	EXPECT_EXIT(pid, 0);
	leave();
}

static volatile int code, value;

static void note(int sig, siginfo_t *info, void *context)
{
	(void)context;
	last_signal = sig;
	signals_seen++;
	code = info->si_code;
	value = info->si_value.sival_int;
}

CASE(signals_tell_of_messages)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
	pid_t pid;

	start(0);
	event.sigev_value.sival_int = 42;
	OK(sigaction(SIGUSR1, &action, NULL));
	OK(mq_notify(queue, &event));
	EXPECT_ERRNO(mq_notify(queue, &event), EBUSY);
	CHILD(pid) {
		EXPECT_ERRNO(mq_notify(queue, &event), EBUSY);
		OK(mq_notify(queue, NULL));
	}
	EXPECT_EXIT(pid, 0);
	OK(send_text("one", 0));
	EXPECT_EQ(signals_seen, 1);
	EXPECT_EQ(code, SI_MESGQ);
	EXPECT_EQ(value, 42);
	/* It tells once, and only of a message that comes to an empty queue. */
	expect("one", 0);
	OK(send_text("two", 0));
	OK(mq_notify(queue, &event));
	OK(send_text("three", 0));
	EXPECT_EQ(signals_seen, 1);
	expect("two", 0);
	expect("three", 0);
	OK(mq_notify(queue, NULL));
	OK(send_text("four", 0));
	EXPECT_EQ(signals_seen, 1);
	expect("four", 0);
	OK(mq_notify(queue, &event));
	CHILD(pid)
		expect("five", 0);
	wait_until_asleep(pid);
	OK(send_text("five", 0));
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(signals_seen, 1);
	event.sigev_signo = 99;
	EXPECT_ERRNO(mq_notify(queue, &event), EINVAL);
	leave();
}

CASE(closing_ends_the_wish_to_be_told)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	mqd_t other;

	start(0);
	other = OK(mq_open("/queue", O_RDWR));
	OK(mq_notify(queue, &event));
	OK(mq_close(other));
	OK(mq_notify(queue, &event));
	leave();
}
