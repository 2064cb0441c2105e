/* fork(2), vfork(2), clone(2), execve(2), wait4(2), waitid(2), _exit(2), setpgid(2), setsid(2), prctl(2). */
#include "guest.h"

#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int helper(const char *name, const char *one, const char *two)
{
	char *argv[] = {guest_program, "--helper", (char *)name, (char *)one, (char *)two, NULL};
	char *envp[] = {"ONE=1", NULL};

	return execve("/proc/self/exe", argv, envp);
}

CASE(exit_status_has_eight_bits)
{
	pid_t pid;

	CHILD(pid)
		_exit(0x1234);
	EXPECT_EXIT(pid, 0x34);
}

CASE(wait_without_children_is_echild)
{
	EXPECT_ERRNO(wait(NULL), ECHILD);
	EXPECT_ERRNO(waitpid(getppid(), NULL, 0), ECHILD);
	EXPECT_ERRNO(waitpid(-1, NULL, 0x100), EINVAL);
	EXPECT_ERRNO(waitpid(-getpgrp() - 1000, NULL, 0), ECHILD);
	EXPECT_ERRNO(waitpid(INT_MIN, NULL, 0), ESRCH);
}

CASE(wait_nohang_of_a_living_child_is_zero)
{
	int status = 99;
	pid_t pid;

	CHILD(pid)
		pause();
	EXPECT_EQ(waitpid(pid, &status, WNOHANG), 0);
	EXPECT_EQ(status, 99);
	OK(kill(pid, SIGTERM));
	EXPECT_KILLED(pid, SIGTERM);
}

CASE(wait_by_process_group)
{
	pid_t one, two;
	int status;

	CHILD(one)
		_exit(1);
	CHILD(two) {
		setpgid(0, 0);
		_exit(2);
	}
	setpgid(two, two);
	EXPECT_EQ(waitpid(-two, &status, 0), two);
	EXPECT_EQ(waitpid(0, &status, 0), one);
}

CASE(wait4_gives_resources)
{
	struct rusage usage;
	int status;
	pid_t pid;

	CHILD(pid) {
		clock_t until = clock() + CLOCKS_PER_SEC / 50;

		while (clock() < until)
			;
	}
	EXPECT_EQ(wait4(pid, &status, 0, &usage), pid);
	EXPECT(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 10000);
	OK(getrusage(RUSAGE_CHILDREN, &usage));
	EXPECT(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 10000);
}

CASE(waitid_leaves_with_wnowait)
{
	siginfo_t info = {0};
	pid_t pid;

	CHILD(pid)
		_exit(3);
	OK(waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	EXPECT_EQ(info.si_pid, pid);
	EXPECT_EQ(info.si_code, CLD_EXITED);
	EXPECT_EQ(info.si_status, 3);
	EXPECT_EQ(info.si_signo, SIGCHLD);
	EXPECT_EQ(state_of(pid), 'Z');
	OK(waitid(P_ALL, 0, &info, WEXITED));
	EXPECT_ERRNO(waitid(P_PID, pid, &info, WEXITED), ECHILD);
}

CASE(waitid_errors_and_nohang)
{
	siginfo_t info;
	pid_t pid;

	memset(&info, 1, sizeof(info));
	CHILD(pid)
		pause();
	OK(waitid(P_PID, pid, &info, WEXITED | WNOHANG));
	EXPECT_EQ(info.si_pid, 0);
	EXPECT_EQ(info.si_signo, 0);
	EXPECT_ERRNO(waitid(P_PID, pid, &info, 0), EINVAL);
	EXPECT_ERRNO(waitid(P_PID, pid, &info, WEXITED | 0x100), EINVAL);
	EXPECT_ERRNO(waitid(77, pid, &info, WEXITED), EINVAL);
	EXPECT_ERRNO(waitid(P_PID, 0, &info, WEXITED), EINVAL);
}

CASE(waitid_of_a_killed_child)
{
	siginfo_t info;
	pid_t pid;

	CHILD(pid)
		pause();
	OK(kill(pid, SIGKILL));
	OK(waitid(P_PGID, getpgrp(), &info, WEXITED));
	EXPECT_EQ(info.si_code, CLD_KILLED);
	EXPECT_EQ(info.si_status, SIGKILL);
}

CASE(stopped_and_continued_children_are_reported)
{
	siginfo_t info;
	int status;
	pid_t pid;

	CHILD(pid)
		pause();
	OK(kill(pid, SIGSTOP));
	EXPECT_EQ(waitpid(pid, &status, WUNTRACED), pid);
	EXPECT(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	EXPECT_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
	EXPECT_EQ(state_of(pid), 'T');
	OK(kill(pid, SIGCONT));
	OK(waitid(P_PID, pid, &info, WCONTINUED | WNOWAIT));
	EXPECT_EQ(info.si_code, CLD_CONTINUED);
	EXPECT_EQ(waitpid(pid, &status, WCONTINUED), pid);
	EXPECT(WIFCONTINUED(status));
	EXPECT_EQ(waitpid(pid, &status, WCONTINUED | WNOHANG), 0);
}

CASE(ignored_sigchld_reaps)
{
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	CHILD(pid)
		_exit(3);
	EXPECT_ERRNO(waitpid(pid, NULL, 0), ECHILD);
}

CASE(nocldwait_reaps_and_signals)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_NOCLDWAIT | SA_RESTART};
	pid_t pid;

	OK(sigaction(SIGCHLD, &action, NULL));
	CHILD(pid)
		_exit(3);
	EXPECT_ERRNO(waitpid(pid, NULL, 0), ECHILD);
	EXPECT_EQ(signals_seen, 1);
}

CASE(orphans_go_to_init)
{
	int fds[2];
	pid_t pid, parent, grandchild;

	OK(pipe(fds));
	CHILD(pid) {
		pid_t own = getpid();

		CHILD(grandchild) {
			EXPECT_SOON(getppid() != own);
			parent = getppid();
			EXPECT_EQ(write(fds[1], &parent, sizeof(parent)), sizeof(parent));
		}
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(read(fds[0], &parent, sizeof(parent)), sizeof(parent));
	EXPECT_EQ(parent, 1);
}

CASE(orphans_go_to_a_subreaper)
{
	int value = 9, status;
	pid_t pid, grandchild = 0, *shared;

	shared = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	OK(prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0));
	EXPECT_EQ(value, 1);
	CHILD(pid) {
		CHILD(grandchild) {
			sleep_ms(30);
			_exit(7);
		}
		*shared = grandchild;
		OK(prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0));
		EXPECT_EQ(value, 0);
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(waitpid(-1, &status, 0), *shared);
	EXPECT_EQ(WEXITSTATUS(status), 7);
}

CASE(death_signal_of_the_parent)
{
	int fds[2];
	char byte;
	pid_t pid, grandchild;

	OK(pipe(fds));
	CHILD(pid) {
		pid_t own = getpid();

		CHILD(grandchild) {
			sigset_t set = one_signal(SIGUSR1);

			sigprocmask(SIG_BLOCK, &set, NULL);
			OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
			EXPECT_EQ(write(fds[1], "r", 1), 1);
			EXPECT_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
			EXPECT(getppid() != own);
			EXPECT_EQ(write(fds[1], "d", 1), 1);
		}
		EXPECT_EQ(read(fds[0], &byte, 1), 1);
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(read(fds[0], &byte, 1), 1);
	EXPECT_EQ(byte, 'd');
}

CASE(vfork_parent_waits_for_the_child)
{
	volatile int value = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		sleep_ms(20);
		value = 1;
		_exit(0);
	}
	EXPECT_EQ(value, 1);
	EXPECT_EXIT(pid, 0);
}

CASE(clone_errors)
{
	EXPECT_ERRNO(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0), EPERM);
}

CASE(clone3_checks_its_struct)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	char large[256] = {0};
	pid_t pid;

	EXPECT_ERRNO(syscall(SYS_clone3, &args, 8), EINVAL);
	EXPECT_ERRNO(syscall(SYS_clone3, 8, sizeof(args)), EFAULT);
	args.exit_signal = 100;
	EXPECT_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
	args.exit_signal = SIGCHLD;
	args.stack = 4096;
	EXPECT_ERRNO(syscall(SYS_clone3, &args, sizeof(args)), EINVAL);
	large[255] = 1;
	EXPECT_ERRNO(syscall(SYS_clone3, large, sizeof(large)), E2BIG);
	args.stack = 0;
	pid = OK(syscall(SYS_clone3, &args, sizeof(args)));
	if (pid == 0)
		_exit(5);
	EXPECT_EXIT(pid, 5);
}

CASE(clone_with_a_pidfd)
{
	int pidfd = -1;
	struct clone_args args = {.exit_signal = SIGCHLD, .flags = CLONE_PIDFD, .pidfd = (unsigned long)&pidfd};
	siginfo_t info;
	pid_t pid = OK(syscall(SYS_clone3, &args, sizeof(args)));

	if (pid == 0)
		_exit(5);
	EXPECT(pidfd > 2);
	EXPECT_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	OK(waitid(P_PIDFD, pidfd, &info, WEXITED));
	EXPECT_EQ(info.si_pid, pid);
}

CASE(exit_signal_of_clone)
{
	pid_t pid;
	int status;

	handle(SIGUSR1, count_signal);
	pid = OK(syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0));
	if (pid == 0)
		_exit(5);
	EXPECT_SOON(signals_seen == 1);
	EXPECT_ERRNO(waitpid(pid, &status, 0), ECHILD);
	EXPECT_EQ(waitpid(pid, &status, __WALL), pid);
}

CASE(cloned_files_and_directories_are_shared)
{
	pid_t pid;

	OK(mkdir("dir", 0700));
	pid = OK(syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, 0, 0, 0, 0));
	if (pid == 0) {
		OK(chdir("dir"));
		umask(0);
		OK(dup2(0, 50));
		_exit(0);
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(fcntl(50, F_GETFD), 0);
	OK(access("../dir", F_OK));
	EXPECT_EQ(umask(022), 0);
}

CASE(execve_errors)
{
	char *argv[] = {"x", NULL};

	write_file("text", "not a program");
	OK(chmod("text", 0755));
	write_file("closed", "#!/bin/sh\n");
	write_file("script", "#!/missing/interpreter\n");
	OK(chmod("script", 0755));
	EXPECT_ERRNO(execve("missing", argv, NULL), ENOENT);
	EXPECT_ERRNO(execve("closed", argv, NULL), EACCES);
	EXPECT_ERRNO(execve("text", argv, NULL), ENOEXEC);
	EXPECT_ERRNO(execve(".", argv, NULL), EACCES);
	EXPECT_ERRNO(execve("script", argv, NULL), ENOENT);
	EXPECT_ERRNO(execve("text/x", argv, NULL), ENOTDIR);
	EXPECT_ERRNO(execve("", argv, NULL), ENOENT);
	EXPECT_ERRNO(syscall(SYS_execve, 8, argv, NULL), EFAULT);
	EXPECT_ERRNO(syscall(SYS_execve, "/proc/self/exe", 8, NULL), EFAULT);
}

CASE(execve_of_too_much_is_e2big)
{
	char *large = malloc(200000), *argv[3] = {"x", large, NULL};

	memset(large, 'a', 199999);
	large[199999] = 0;
	EXPECT_ERRNO(execve("/proc/self/exe", argv, NULL), E2BIG);
}

HELPER(arguments)
{
	return argc == 2 && !strcmp(argv[0], "a b") && !strcmp(argv[1], "") && getenv("ONE") ? 40 : 1;
}

CASE(execve_hands_on_arguments_and_environment)
{
	pid_t pid;

	CHILD(pid)
		helper("arguments", "a b", "");
	EXPECT_EXIT(pid, 40);
}

HELPER(state)
{
	sigset_t set;
	struct sigaction action;

	if (fcntl(50, F_GETFD) != -1 || fcntl(51, F_GETFD) != 0)
		return 1;
	sigprocmask(SIG_BLOCK, NULL, &set);
	if (!sigismember(&set, SIGUSR1))
		return 2;
	sigaction(SIGUSR2, NULL, &action);
	if (action.sa_handler != SIG_DFL)
		return 3;
	sigaction(SIGHUP, NULL, &action);
	if (action.sa_handler != SIG_IGN)
		return 4;
	sigpending(&set);
	if (!sigismember(&set, SIGUSR1))
		return 5;
	if (umask(0) != 077 || getpid() != atoi(argv[0]))
		return 6;
	return 41;
}

CASE(execve_keeps_and_resets)
{
	sigset_t set = one_signal(SIGUSR1);
	char pid_text[16];
	pid_t pid;

	CHILD(pid) {
		OK(dup3(0, 50, O_CLOEXEC));
		OK(dup2(0, 51));
		sigprocmask(SIG_BLOCK, &set, NULL);
		handle(SIGUSR2, count_signal);
		signal(SIGHUP, SIG_IGN);
		OK(kill(getpid(), SIGUSR1));
		umask(077);
		snprintf(pid_text, sizeof(pid_text), "%d", getpid());
		helper("state", pid_text, NULL);
	}
	EXPECT_EXIT(pid, 41);
}

CASE(execveat_by_descriptor)
{
	char *argv[] = {guest_program, "--helper", "arguments", "a b", "", NULL};
	char *envp[] = {"ONE=1", NULL};
	int fd = OK(open("/proc/self/exe", O_PATH));
	pid_t pid;

	CHILD(pid)
		execveat(fd, "", argv, envp, AT_EMPTY_PATH);
	EXPECT_EXIT(pid, 40);
	EXPECT_ERRNO(execveat(fd, "", argv, envp, 0), ENOENT);
	EXPECT_ERRNO(execveat(77, "", argv, envp, AT_EMPTY_PATH), EBADF);
	EXPECT_ERRNO(execveat(fd, "x", argv, envp, 0), ENOTDIR);
	EXPECT_ERRNO(execveat(AT_FDCWD, "/proc/self/exe", argv, envp, 1), EINVAL);
	OK(symlink("/proc/self/exe", "link"));
	EXPECT_ERRNO(execveat(AT_FDCWD, "link", argv, envp, AT_SYMLINK_NOFOLLOW), ELOOP);
}

CASE(running_program_cannot_be_written)
{
	EXPECT_ERRNO(open("/proc/self/exe", O_WRONLY), ETXTBSY);
}

CASE(setpgid_rules)
{
	int fds[2];
	char byte;
	pid_t pid, other;

	OK(pipe(fds));
	EXPECT_ERRNO(setpgid(0, 0), EPERM);
	EXPECT_ERRNO(setpgid(30000, 0), ESRCH);
	EXPECT_ERRNO(setpgid(0, -1), EINVAL);
	CHILD(pid) {
		close(fds[1]);
		EXPECT_EQ(read(fds[0], &byte, 1), 0);
	}
	OK(setpgid(pid, pid));
	EXPECT_EQ(getpgid(pid), pid);
	EXPECT_ERRNO(setpgid(pid, 30000), EPERM);
	CHILD(other) {
		OK(setpgid(0, pid));
		EXPECT_EQ(getpgrp(), pid);
		EXPECT_ERRNO(setpgid(getppid(), 0), ESRCH);
	}
	EXPECT_EXIT(other, 0);
	close(fds[1]);
	EXPECT_EXIT(pid, 0);
}

CASE(setpgid_after_execve_is_eacces)
{
	char *argv[] = {"sleep", "5", NULL};
	char path[64];
	pid_t pid;

	CHILD(pid)
		execve("/bin/sleep", argv, NULL);
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	EXPECT_SOON(strcmp(read_file(path), "sleep\n") == 0);
	EXPECT_ERRNO(setpgid(pid, pid), EACCES);
}

CASE(setsid_makes_a_session)
{
	pid_t pid;

	EXPECT_ERRNO(setsid(), EPERM);
	CHILD(pid) {
		EXPECT_EQ(setsid(), getpid());
		EXPECT_EQ(getsid(0), getpid());
		EXPECT_EQ(getpgrp(), getpid());
		EXPECT_ERRNO(setpgid(0, 0), EPERM);
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_ERRNO(getsid(30000), ESRCH);
	EXPECT_ERRNO(getpgid(30000), ESRCH);
}

CASE(prctl_name_and_others)
{
	char name[17] = {0};
	int value = 77;

	OK(prctl(PR_SET_NAME, "a-name-that-is-too-long"));
	OK(prctl(PR_GET_NAME, name));
	EXPECT_STR(name, "a-name-that-is-");
	EXPECT_STR(read_file("/proc/self/comm"), "a-name-that-is-\n");
	EXPECT_EQ(prctl(PR_GET_DUMPABLE), 1);
	OK(prctl(PR_SET_DUMPABLE, 0));
	EXPECT_EQ(prctl(PR_GET_DUMPABLE), 0);
	EXPECT_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	OK(prctl(PR_GET_PDEATHSIG, &value));
	EXPECT_EQ(value, 0);
	EXPECT_ERRNO(prctl(PR_SET_PDEATHSIG, 100), EINVAL);
	EXPECT_ERRNO(prctl(12345), EINVAL);
	EXPECT_EQ(prctl(PR_GET_KEEPCAPS), 0);
	EXPECT_EQ(prctl(PR_GET_TIMERSLACK), 50000);
	EXPECT_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	EXPECT_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	EXPECT_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	EXPECT_EQ(prctl(PR_GET_SECCOMP), 0);
}

CASE(pidfd_becomes_readable_at_the_end)
{
	struct { int fd; short events, revents; } polled;
	int fd;
	pid_t pid;

	CHILD(pid)
		pause();
	fd = OK(syscall(SYS_pidfd_open, pid, 0));
	polled.fd = fd;
	polled.events = 1;
	EXPECT_EQ(syscall(SYS_poll, &polled, 1, 0), 0);
	OK(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
	EXPECT_EQ(syscall(SYS_poll, &polled, 1, 5000), 1);
	EXPECT_EQ(polled.revents, 1);
	EXPECT_KILLED(pid, SIGTERM);
	EXPECT_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
	EXPECT_ERRNO(syscall(SYS_pidfd_open, 30000, 0), ESRCH);
	EXPECT_ERRNO(syscall(SYS_pidfd_open, -1, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_pidfd_open, getpid(), 1), EINVAL);
}

CASE(unknown_calls_are_enosys)
{
	EXPECT_ERRNO(syscall(9999), ENOSYS);
	EXPECT_ERRNO(syscall(-1), ENOSYS);
	EXPECT_ERRNO(syscall(400), ENOSYS);
	EXPECT_ERRNO(syscall(180), ENOSYS);
	EXPECT_ERRNO(syscall(0x40000000 + SYS_getpid), ENOSYS);
}
