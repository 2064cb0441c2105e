/* getrlimit(2), uname(2), sysinfo(2), getrandom(2), getcpu(2), sched_*(2), getpriority(2), /proc/PID. */
#include "guest.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

struct attributes { /* struct sched_attr, which the C library's headers exclude */
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

CASE(rlimits_are_set_and_lowered_for_good)
{
	struct rlimit limit = {100, 200}, got;

	OK(setrlimit(RLIMIT_NOFILE, &limit));
	OK(getrlimit(RLIMIT_NOFILE, &got));
	EXPECT(got.rlim_cur == 100 && got.rlim_max == 200);
	limit.rlim_cur = 300;
	EXPECT_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
	limit = (struct rlimit){100, 300};
	EXPECT_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
	EXPECT_ERRNO(getrlimit(99, &got), EINVAL);
	EXPECT_ERRNO(syscall(SYS_getrlimit, RLIMIT_NOFILE, 8), EFAULT);
}

CASE(prlimit_of_another_process)
{
	struct rlimit limit = {50, 60}, old;
	pid_t pid;

	CHILD(pid)
		pause();
	OK(prlimit(pid, RLIMIT_CORE, &limit, &old));
	OK(prlimit(pid, RLIMIT_CORE, NULL, &old));
	EXPECT(old.rlim_cur == 50 && old.rlim_max == 60);
	EXPECT_ERRNO(prlimit(30000, RLIMIT_CORE, NULL, &old), ESRCH);
}

CASE(uname_and_hostname)
{
	struct utsname names;
	char text[65];

	OK(uname(&names));
	EXPECT_STR(names.sysname, "Linux");
	EXPECT_STR(names.machine, "x86_64");
	EXPECT_STR(names.nodename, "runsc-test");
	OK(gethostname(text, sizeof(text)));
	EXPECT_STR(text, names.nodename);
	EXPECT_ERRNO(sethostname("x", 1), EPERM);
	EXPECT_ERRNO(syscall(SYS_uname, 8), EFAULT);
}

CASE(sysinfo_makes_sense)
{
	struct sysinfo info;

	OK(sysinfo(&info));
	EXPECT(info.totalram > 0 && info.freeram <= info.totalram);
	EXPECT(info.mem_unit > 0);
	EXPECT(info.procs >= 2);
	EXPECT(info.uptime >= 0);
}

CASE(getrandom_fills)
{
	static unsigned char bytes[256], zeros[256];

	EXPECT_EQ(getrandom(bytes, 256, 0), 256);
	EXPECT(memcmp(bytes, zeros, 256) != 0);
	EXPECT_EQ(getrandom(bytes, 16, GRND_NONBLOCK | GRND_RANDOM), 16);
	EXPECT_ERRNO(getrandom(bytes, 16, 64), EINVAL);
	EXPECT_ERRNO(getrandom(bytes, 16, GRND_RANDOM | GRND_INSECURE), EINVAL);
	EXPECT_ERRNO(getrandom((void *)8, 16, 0), EFAULT);
	EXPECT_EQ(getrandom(bytes, 0, 0), 0);
}

CASE(getcpu_is_one_of_those_allowed)
{
	unsigned cpu = 999, node = 999;
	cpu_set_t set;

	OK(syscall(SYS_getcpu, &cpu, &node, NULL));
	EXPECT_EQ(node, 0);
	OK(sched_getaffinity(0, sizeof(set), &set));
	EXPECT(CPU_ISSET(cpu, &set));
	EXPECT_EQ(CPU_COUNT(&set), sysconf(_SC_NPROCESSORS_ONLN));
	OK(syscall(SYS_getcpu, NULL, NULL, NULL));
}

CASE(affinity_can_be_set)
{
	cpu_set_t set, got;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	OK(sched_setaffinity(0, sizeof(set), &set));
	OK(sched_getaffinity(0, sizeof(got), &got));
	EXPECT_EQ(CPU_COUNT(&got), 1);
	EXPECT(CPU_ISSET(0, &got));
	CPU_ZERO(&set);
	EXPECT_ERRNO(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	EXPECT_ERRNO(syscall(SYS_sched_getaffinity, 0, 1, &got), EINVAL);
	EXPECT_ERRNO(sched_getaffinity(30000, sizeof(got), &got), ESRCH);
}

CASE(scheduling_policies)
{
	struct sched_param param = {.sched_priority = 0};

	EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
	OK(sched_getparam(0, &param));
	EXPECT_EQ(param.sched_priority, 0);
	EXPECT_EQ(sched_get_priority_max(SCHED_FIFO), 99);
	EXPECT_EQ(sched_get_priority_min(SCHED_FIFO), 1);
	EXPECT_EQ(sched_get_priority_max(SCHED_OTHER), 0);
	EXPECT_ERRNO(sched_get_priority_max(99), EINVAL);
	param.sched_priority = 1;
	EXPECT_ERRNO(sched_setscheduler(0, SCHED_FIFO, &param), EPERM);
	EXPECT_ERRNO(sched_setscheduler(0, SCHED_OTHER, &param), EINVAL);
	EXPECT_ERRNO(sched_setscheduler(0, 99, &param), EINVAL);
	EXPECT_ERRNO(sched_getscheduler(-1), EINVAL);
	EXPECT_ERRNO(sched_getscheduler(30000), ESRCH);
	param.sched_priority = 0;
	OK(sched_setscheduler(0, SCHED_BATCH, &param));
	EXPECT_EQ(sched_getscheduler(0), SCHED_BATCH);
	OK(sched_yield());
}

CASE(sched_attributes)
{
	struct attributes attributes = {.size = sizeof(attributes)};

	OK(syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0));
	EXPECT_EQ(attributes.policy, SCHED_OTHER);
	EXPECT_EQ(attributes.nice, 0);
	attributes.nice = 5;
	OK(syscall(SYS_sched_setattr, 0, &attributes, 0));
	EXPECT_EQ(getpriority(PRIO_PROCESS, 0), 5);
	EXPECT_ERRNO(syscall(SYS_sched_getattr, 0, &attributes, 4, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_sched_getattr, 30000, &attributes, sizeof(attributes), 0), ESRCH);
}

CASE(nice_values)
{
	EXPECT_EQ(getpriority(PRIO_PROCESS, 0), 0);
	OK(setpriority(PRIO_PROCESS, 0, 5));
	EXPECT_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 15);
	EXPECT_ERRNO(setpriority(PRIO_PROCESS, 0, 0), EACCES);
	OK(setpriority(PRIO_PROCESS, 0, 100));
	EXPECT_EQ(getpriority(PRIO_PROCESS, 0), 19);
	errno = 0;
	EXPECT_ERRNO(syscall(SYS_getpriority, 99, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_getpriority, PRIO_PROCESS, 30000), ESRCH);
}

CASE(proc_self_links)
{
	char text[PATH_MAX], expected[PATH_MAX];
	int size;

	size = OK(readlink("/proc/self", text, sizeof(text) - 1));
	text[size] = 0;
	EXPECT_EQ(atoi(text), getpid());
	size = OK(readlink("/proc/self/exe", text, sizeof(text) - 1));
	text[size] = 0;
	EXPECT_STR(text, guest_program);
	size = OK(readlink("/proc/self/cwd", text, sizeof(text) - 1));
	text[size] = 0;
	EXPECT_STR(text, getcwd(expected, sizeof(expected)));
	size = OK(readlink("/proc/self/root", text, sizeof(text) - 1));
	text[size] = 0;
	EXPECT_STR(text, "/");
	size = OK(readlink("/proc/self/fd/0", text, sizeof(text) - 1));
	text[size] = 0;
	EXPECT_STR(text, "/dev/null");
	EXPECT_ERRNO(readlink("/proc/self/fd/77", text, sizeof(text)), ENOENT);
}

CASE(proc_self_fd_opens_again)
{
	char path[32], bytes[4];
	int fd, again;

	write_file("file", "abc");
	fd = OK(open("file", O_RDONLY));
	OK(lseek(fd, 2, SEEK_SET));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = OK(open(path, O_RDWR));
	EXPECT_EQ(read(again, bytes, 4), 3);
	OK(unlink("file"));
	EXPECT_EQ(read(OK(open(path, O_RDONLY)), bytes, 4), 3);
}

CASE(proc_cmdline_and_environ)
{
	int fd = OK(open("/proc/self/cmdline", O_RDONLY));
	char text[65536];
	int size = OK(read(fd, text, sizeof(text)));

	EXPECT_STR(text, guest_program);
	EXPECT(memmem(text, size, "\0proc_cmdline_and_environ\0", 26) != NULL);
	fd = OK(open("/proc/self/environ", O_RDONLY));
	size = OK(read(fd, text, sizeof(text)));
	EXPECT(memmem(text, size, "HOME=/root\0", 11) != NULL);
}

static const char *after(const char *name)
{
	const char *text = read_file("/proc/self/status"), *at = strstr(text, name);

	if (!at)
		fail("no %s in /proc/self/status", name);
	return at + strlen(name);
}

static long field(const char *name)
{
	return strtol(after(name), NULL, 0);
}

/* A line of sixteen hexadecimal digits, and nothing after them. */
static uint64_t signals(const char *name)
{
	char *end;
	const char *text = after(name);
	uint64_t set = strtoull(text, &end, 16);

	EXPECT_EQ(end - text, 17);
	EXPECT_EQ(*end, '\n');
	return set;
}

CASE(proc_status_tells_ids_and_signals)
{
	sigset_t set = one_signal(SIGUSR1);
	const char *text;

	/* What runs natively inherits what its caller ignores: glibc's own signals, too. */
	signal(SIGHUP, SIG_DFL);
	uint64_t ignored = signals("\nSigIgn:");

	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	handle(SIGUSR2, count_signal);
	signal(SIGHUP, SIG_IGN);
	EXPECT_EQ(signals("\nSigIgn:"), ignored | 1);
	EXPECT_EQ(field("\nPid:"), getpid());
	EXPECT_EQ(field("\nPPid:"), getppid());
	EXPECT_EQ(field("\nThreads:"), 1);
	EXPECT_EQ(field("\nUid:"), 0);
	EXPECT(field("\nVmRSS:") > 0);
	text = read_file("/proc/self/status");
	EXPECT(strstr(text, "SigBlk:\t0000000000000200\n") != NULL);
	EXPECT(strstr(text, "SigCgt:\t0000000000000800\n") != NULL);
	EXPECT(strstr(text, "ShdPnd:\t0000000000000200\n") != NULL || strstr(text, "SigPnd:\t0000000000000200\n") != NULL);
	EXPECT(strstr(text, "CapEff:\t00000000a80425fb\n") != NULL || strstr(text, "CapEff:\t00000000a00425fb\n") != NULL);
	EXPECT(strstr(text, "NoNewPrivs:\t0\n") != NULL);
}

CASE(proc_stat_has_its_fields)
{
	int pid, ppid, pgrp, session;
	char comm[32], state, *text;

	OK(prctl(PR_SET_NAME, "a) b"));
	text = (char *)read_file("/proc/self/stat");
	EXPECT_EQ(sscanf(text, "%d (%4[^\n]) %c %d %d %d", &pid, comm, &state, &ppid, &pgrp, &session), 6);
	EXPECT_STR(comm, "a) b");
	EXPECT_EQ(pid, getpid());
	EXPECT_EQ(state, 'R');
	EXPECT_EQ(ppid, getppid());
	EXPECT_EQ(pgrp, getpgrp());
	EXPECT_EQ(session, getsid(0));
	int spaces = 0;

	for (char *at = strrchr(text, ')'); *at; at++)
		spaces += *at == ' ';
	EXPECT_EQ(spaces, 50);
}

CASE(proc_maps_shows_a_mapping)
{
	char line[128];
	int fd;
	char *at;

	write_file("mapped", "abc");
	fd = OK(open("mapped", O_RDONLY));
	at = OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	snprintf(line, sizeof(line), "%lx-%lx r--p 00000000 ", (long)at, (long)at + 4096);
	EXPECT(strstr(read_file("/proc/self/maps"), line) != NULL);
	EXPECT(strstr(read_file("/proc/self/maps"), "/case.proc_maps_shows_a_mapping/mapped\n") != NULL);
	EXPECT(strstr(read_file("/proc/self/maps"), "[stack]\n") != NULL);
}

CASE(proc_mountinfo_has_the_mounts)
{
	const char *text = read_file("/proc/self/mountinfo");

	EXPECT(strstr(text, " /proc ") != NULL);
	EXPECT(strstr(text, " / ") != NULL);
	EXPECT(strstr(text, " - tmpfs ") != NULL);
	EXPECT(strstr(text, " - proc ") != NULL);
}

CASE(proc_fdinfo_tells_position_and_flags)
{
	char path[64];
	int fd;

	write_file("file", "abc");
	fd = OK(open("file", O_RDWR | O_APPEND | O_CLOEXEC));
	OK(lseek(fd, 2, SEEK_SET));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	EXPECT(strstr(read_file(path), "pos:\t2\n") != NULL);
	EXPECT(strstr(read_file(path), "flags:\t02102002\n") != NULL);
}

CASE(proc_of_a_dead_process_is_gone)
{
	char path[64], byte;
	int fd;
	pid_t pid;

	CHILD(pid)
		pause();
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = OK(open(path, O_RDONLY));
	OK(kill(pid, SIGKILL));
	EXPECT_KILLED(pid, SIGKILL);
	EXPECT_ERRNO(read(fd, &byte, 1), ESRCH);
	EXPECT_ERRNO(open(path, O_RDONLY), ENOENT);
}

CASE(proc_is_not_writable)
{
	EXPECT_ERRNO(mkdir("/proc/x", 0700), ENOENT);
	EXPECT_ERRNO(unlink("/proc/self/stat"), EPERM);
	EXPECT_ERRNO(open("/proc/x", O_WRONLY | O_CREAT, 0600), ENOENT);
}

CASE(personality_is_kept)
{
	EXPECT_EQ(syscall(SYS_personality, 0xffffffff), 0);
	EXPECT_EQ(syscall(SYS_personality, 0x0040000), 0);
	EXPECT_EQ(syscall(SYS_personality, 0xffffffff), 0x0040000);
}

CASE(syslog_needs_privilege)
{
	char text[64];

	EXPECT_ERRNO(syscall(SYS_syslog, 5, text, sizeof(text)), EPERM);
	EXPECT_ERRNO(syscall(SYS_syslog, 99, text, sizeof(text)), EPERM);
}
