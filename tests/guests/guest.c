/* The main program of every guest: lists and runs cases, and reports one line for each. */
#include "guest.h"

#include <linux/capability.h>
#include <stdarg.h>
#include <sys/prctl.h>

#define LIMIT_MS 10000
#define REPORT_FD 100

extern const struct guest_case *const __start_guest_cases[], *const __stop_guest_cases[];
extern const struct guest_helper *const __start_guest_helpers[] __attribute__((weak));
extern const struct guest_helper *const __stop_guest_helpers[] __attribute__((weak));

char *guest_program;
volatile sig_atomic_t signals_seen, last_signal;

/* What a container engine leaves to root; both worlds get the same. */
static const int CAPABILITIES[] = {
	CAP_AUDIT_WRITE, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL, CAP_MKNOD,
	CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_SETFCAP, CAP_SETGID, CAP_SETPCAP, CAP_SETUID,
	CAP_SYS_CHROOT,
};

const char *strerrorname(int number)
{
	const char *name = strerrorname_np(number);

	return name ? name : "errno 0";
}

void fail(const char *format, ...)
{
	char text[512];
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (size >= (int)sizeof(text))
		size = sizeof(text) - 1;
	if (write(REPORT_FD, text, size) != size)
		abort();
	_exit(125);
}

int wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid: %s", strerrorname(errno));
	return status;
}

long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

long long now_ms(void)
{
	return now_ns() / 1000000;
}

void sleep_ms(int ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * 1000000L};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

char state_of(pid_t pid)
{
	char path[64], text[512], *end;
	int fd, size;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 0)
		return 0;
	text[size] = 0;
	end = strrchr(text, ')');
	return end ? end[2] : 0;
}

void wait_until_asleep(pid_t tid)
{
	EXPECT_SOON(state_of(tid) == 'S');
}

void become(uid_t uid)
{
	OK(syscall(SYS_setgroups, 0, NULL));
	OK(syscall(SYS_setresgid, uid, uid, uid));
	OK(syscall(SYS_setresuid, uid, uid, uid));
}

void write_file(const char *path, const char *text)
{
	int fd = OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));

	EXPECT_EQ(write(fd, text, strlen(text)), strlen(text));
	OK(close(fd));
}

const char *read_file(const char *path)
{
	static char text[16384];
	int fd = OK(open(path, O_RDONLY)), done = 0, step;

	while ((step = OK(read(fd, text + done, sizeof(text) - 1 - done))) > 0)
		done += step;
	text[done] = 0;
	OK(close(fd));
	return text;
}

void handle(int sig, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};

	OK(sigaction(sig, &action, NULL));
}

void count_signal(int sig)
{
	signals_seen++;
	last_signal = sig;
}

sigset_t one_signal(int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	return set;
}

pid_t signal_when_asleep(pid_t pid, int sig)
{
	pid_t sender;

	CHILD(sender) {
		wait_until_asleep(pid);
		OK(kill(pid, sig));
	}
	return sender;
}

static void limit_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {0};
	unsigned long long wanted = 0;

	for (unsigned i = 0; i < LENGTH(CAPABILITIES); i++)
		wanted |= 1ULL << CAPABILITIES[i];
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(wanted >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			perror("PR_CAPBSET_DROP"), exit(2);
	data[0].effective = data[0].permitted = (unsigned)wanted;
	data[1].effective = data[1].permitted = wanted >> 32;
	if (syscall(SYS_capset, &header, data) < 0)
		perror("capset"), exit(2);
}

static void close_others(void)
{
	for (int fd = 3; fd < 256; fd++)
		if (fd != REPORT_FD)
			close(fd);
}

/* The process of a case: what it finds is the same in every world. */
static void enter_case(const struct guest_case *chosen)
{
	sigset_t none;
	char name[128];

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	setsid();
	close(0);
	if (open("/dev/null", O_RDWR) != 0)
		_exit(124);
	dup2(2, 1);
	close_others();
	umask(022);
	snprintf(name, sizeof(name), "case.%s", chosen->name);
	if (mkdir(name, 0755) < 0 || chdir(name) < 0)
		_exit(124);
	chosen->run();
	_exit(0);
}

/* Wait until the case's process ends; 0 if it does not in time. */
static int wait_for_case(pid_t pid, int *status)
{
	sigset_t child = one_signal(SIGCHLD);
	long long deadline = now_ms() + LIMIT_MS, left;
	struct timespec rest;
	pid_t got;

	for (;;) {
		while ((got = waitpid(-1, status, WNOHANG)) > 0)
			if (got == pid)
				return 1;
		left = deadline - now_ms();
		if (left <= 0)
			return 0;
		rest = (struct timespec){left / 1000, left % 1000 * 1000000L};
		sigtimedwait(&child, NULL, &rest);
	}
}

/* End whatever a case left running: everything else, where we are the init of a pid namespace. */
static void end_the_rest(pid_t pid)
{
	if (getpid() == 1)
		kill(-1, SIGKILL);
	kill(-pid, SIGKILL);
	while (waitpid(-1, NULL, getpid() == 1 ? 0 : WNOHANG) > 0)
		;
}

static void run_case(const struct guest_case *chosen)
{
	char text[512] = "";
	int fds[2], status = 0, ended, size;
	pid_t pid;

	fflush(stdout);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		perror("pipe2"), exit(2);
	if (dup3(fds[1], REPORT_FD, O_CLOEXEC) < 0 || close(fds[1]) < 0)
		perror("dup3"), exit(2);
	pid = fork();
	if (pid == 0)
		enter_case(chosen);
	ended = wait_for_case(pid, &status);
	end_the_rest(pid);
	size = read(fds[0], text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = 0;
	for (char *at = text; *at; at++)
		if (*at == '\n')
			*at = ' ';
	if (size > 0)
		printf("FAIL %s %s\n", chosen->name, text);
	else if (!ended)
		printf("FAIL %s not done after %d ms\n", chosen->name, LIMIT_MS);
	else if (status)
		printf("FAIL %s ended with status %#x\n", chosen->name, status);
	else
		printf("ok %s\n", chosen->name);
	close(fds[0]);
	close(REPORT_FD);
}

static int run_helper(int argc, char **argv)
{
	for (const struct guest_helper *const *at = __start_guest_helpers;
	     at < __stop_guest_helpers; at++)
		if (argc > 0 && strcmp((*at)->name, argv[0]) == 0)
			return (*at)->run(argc - 1, argv + 1);
	return 123;
}

static void run_named(const char *name)
{
	for (const struct guest_case *const *at = __start_guest_cases; at < __stop_guest_cases; at++)
		if (strcmp((*at)->name, name) == 0) {
			run_case(*at);
			return;
		}
	printf("FAIL %s there is no such case\n", name);
}

int main(int argc, char **argv)
{
	sigset_t child = one_signal(SIGCHLD);

	guest_program = argc > 0 ? argv[0] : "";
	if (argc > 1 && strcmp(argv[1], "--helper") == 0)
		return run_helper(argc - 2, argv + 2);
	if (argc == 1) {
		for (const struct guest_case *const *at = __start_guest_cases;
		     at < __stop_guest_cases; at++)
			puts((*at)->name);
		return 0;
	}
	limit_capabilities();
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &child, NULL);
	for (int i = 1; i < argc; i++)
		run_named(argv[i]);
	return 0;
}
