/* Filters of system calls: seccomp(2), prctl(PR_SET_SECCOMP). */
#include "guest.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <ucontext.h>

#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

static int seccomp(unsigned operation, unsigned flags, void *argument)
{
	return syscall(SYS_seccomp, operation, flags, argument);
}

static int put_up(struct sock_filter *code, int count, unsigned flags)
{
	struct sock_fprog program = {.len = count, .filter = code};

	return seccomp(SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* Say `action` of the call `number`, and nothing of others. */
static int answer(unsigned number, unsigned action, unsigned flags)
{
	struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		RETURN(action),
		ALLOW,
	};

	return put_up(code, LENGTH(code), flags);
}

/* The call that most filters here are about; the C library's returns no errors. */
static int ask(void)
{
	return syscall(SYS_getppid);
}

static void no_new_privs(void)
{
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* Whether the verifier takes a program. */
static int takes(struct sock_filter *code, int count)
{
	pid_t pid;
	int status;

	CHILD(pid) {
		no_new_privs();
		if (put_up(code, count, 0) == 0)
			_exit(1);
		_exit(errno == EINVAL ? 2 : 3);
	}
	status = wait_status(pid);
	EXPECT(WIFEXITED(status));
	EXPECT(WEXITSTATUS(status) == 1 || WEXITSTATUS(status) == 2);
	return WEXITSTATUS(status) == 1;
}

#define TAKES(...)                                                               \
	takes((struct sock_filter[]){__VA_ARGS__},                               \
	      LENGTH(((struct sock_filter[]){__VA_ARGS__})))

/* The number after a name in /proc/self/status. */
static int status_line(const char *name)
{
	const char *found = strstr(read_file("/proc/self/status"), name);

	EXPECT(found != NULL);
	return atoi(found + strlen(name));
}

CASE(filters_answer_with_errors)
{
	EXPECT_EQ(prctl(PR_GET_SECCOMP), 0);
	EXPECT_EQ(status_line("\nSeccomp:\t"), 0);
	no_new_privs();
	OK(answer(SYS_getppid, SECCOMP_RET_ERRNO | EBUSY, 0));
	EXPECT_EQ(prctl(PR_GET_SECCOMP), 2);
	EXPECT_ERRNO(ask(), EBUSY);
	EXPECT(getpid() > 0);
	EXPECT_EQ(status_line("\nSeccomp:\t"), 2);
	EXPECT_EQ(status_line("\nSeccomp_filters:\t"), 1);
	/* The later filter, of two that say alike. */
	OK(answer(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV, 0));
	EXPECT_ERRNO(ask(), EXDEV);
	/* The stricter one, of two that differ. */
	OK(answer(SYS_getppid, SECCOMP_RET_TRACE, 0));
	EXPECT_ERRNO(ask(), EXDEV);
	EXPECT_EQ(status_line("\nSeccomp_filters:\t"), 3);
	/* An error of none. */
	OK(answer(SYS_getuid, SECCOMP_RET_ERRNO, 0));
	become(NOBODY);
	EXPECT_EQ(getuid(), 0);
	/* Errors end at 4095. */
	OK(answer(SYS_getgid, SECCOMP_RET_ERRNO | 0xffff, 0));
	EXPECT_ERRNO(syscall(SYS_getgid), 4095);
	/* A call that is not there. */
	OK(answer(3000, SECCOMP_RET_ERRNO | EBUSY, 0));
	EXPECT_ERRNO(syscall(3000), EBUSY);
	EXPECT_ERRNO(syscall(3001), ENOSYS);
}

CASE(filters_see_the_arguments)
{
	struct sock_filter code[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 8),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4),
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_STMT(BPF_LDX | BPF_MEM, 3),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_A, 0),
		ALLOW,
	};

	no_new_privs();
	OK(put_up(code, LENGTH(code), 0));
	OK(syscall(SYS_getppid));
	EXPECT_ERRNO(syscall(SYS_getpriority, 3, 0x500000000, 0), 8);
	EXPECT_ERRNO(syscall(SYS_getpriority, 3, 0x400000000, 0), 7);
	EXPECT_ERRNO(syscall(SYS_getpriority, 0x100000003, 0x5ffffffff, 0), 8);
	OK(syscall(SYS_getppid));
}

CASE(arithmetic_of_filters)
{
	struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
		ALLOW,
		BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), /* 64 */
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_ALU | BPF_NEG, 0), /* -64 */
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8), /* 0xffffff */
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 3), /* 0x2fffffd */
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), /* 0xbffff */
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 0xbff00), /* 0xff */
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0), /* 0xbf */
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0xbf, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, 0, 1),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | 1000),
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 3), /* 0x5f8 */
		BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};

	no_new_privs();
	OK(put_up(code, LENGTH(code), 0));
	EXPECT_ERRNO(ask(), 0x5f8);
}

CASE(division_by_a_register_of_zero_kills)
{
	struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
		ALLOW,
		BPF_STMT(BPF_LDX | BPF_IMM, 0),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
		ALLOW,
	};
	pid_t pid;

	CHILD(pid) {
		no_new_privs();
		OK(put_up(code, LENGTH(code), 0));
		ask();
	}
	EXPECT_KILLED(pid, SIGSYS);
}

CASE(programs_are_verified)
{
	EXPECT(TAKES(ALLOW));
	EXPECT(!TAKES(LOAD(nr)));
	EXPECT(!TAKES(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW));
	EXPECT(!TAKES(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW));
	EXPECT(TAKES(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60), ALLOW));
	EXPECT(!TAKES(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), ALLOW));
	EXPECT(!TAKES(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), ALLOW));
	EXPECT(!TAKES(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), ALLOW));
	EXPECT(!TAKES(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 5), ALLOW));
	EXPECT(!TAKES(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW));
	EXPECT(!TAKES(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ALLOW));
	EXPECT(TAKES(BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0), ALLOW));
	EXPECT(!TAKES(BPF_STMT(BPF_LD | BPF_MEM, 1), ALLOW));
	EXPECT(!TAKES(BPF_STMT(BPF_ST, 16), ALLOW));
	EXPECT(TAKES(BPF_STMT(BPF_STX, 15), BPF_STMT(BPF_LD | BPF_MEM, 15), ALLOW));
	/* Stored on one of two ways only. */
	EXPECT(!TAKES(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_ST, 2),
		      BPF_STMT(BPF_LD | BPF_MEM, 2), ALLOW));
	EXPECT(!TAKES(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), ALLOW));
	EXPECT(TAKES(BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0), ALLOW));
	EXPECT(!TAKES(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), ALLOW));
	EXPECT(!TAKES(BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0), ALLOW));
	EXPECT(!TAKES(BPF_STMT(0xff00, 0), ALLOW));
}

CASE(wrong_arguments)
{
	struct sock_filter code[] = {ALLOW};
	struct sock_fprog program = {.len = 1, .filter = code};
	struct sock_fprog nothing = {.len = 0, .filter = code};
	struct sock_fprog nowhere = {.len = 1, .filter = NULL};

	no_new_privs();
	EXPECT_ERRNO(seccomp(9, 0, NULL), EINVAL);
	EXPECT_ERRNO(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
	EXPECT_ERRNO(seccomp(SECCOMP_SET_MODE_STRICT, 0, &program), EINVAL);
	EXPECT_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 1 << 20, &program), EINVAL);
	EXPECT_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, NULL), EFAULT);
	EXPECT_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, &nothing), EINVAL);
	EXPECT_ERRNO(seccomp(SECCOMP_SET_MODE_FILTER, 0, &nowhere), EINVAL);
	EXPECT_ERRNO(prctl(PR_SET_SECCOMP, 0, 0), EINVAL);
	EXPECT_ERRNO(prctl(PR_SET_SECCOMP, 3, 0), EINVAL);
	EXPECT_EQ(prctl(PR_GET_SECCOMP), 0);
	OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	EXPECT_EQ(prctl(PR_GET_SECCOMP), 2);
	EXPECT_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0), EINVAL);
	EXPECT_ERRNO(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL), EINVAL);
}

CASE(actions_that_are_there)
{
	unsigned actions[] = {
		SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
		SECCOMP_RET_ERRNO,	  SECCOMP_RET_TRACE,	   SECCOMP_RET_LOG,
		SECCOMP_RET_ALLOW,
	};
	unsigned unknown = 0x12340000;

	for (unsigned i = 0; i < LENGTH(actions); i++)
		OK(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]));
	EXPECT_ERRNO(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &unknown), EOPNOTSUPP);
	EXPECT_ERRNO(seccomp(SECCOMP_GET_ACTION_AVAIL, 1, &unknown), EINVAL);
	EXPECT_ERRNO(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, NULL), EFAULT);
}

CASE(users_give_up_new_privileges_first)
{
	become(NOBODY);
	EXPECT_ERRNO(answer(SYS_getppid, SECCOMP_RET_ERRNO | EBUSY, 0), EACCES);
	no_new_privs();
	OK(answer(SYS_getppid, SECCOMP_RET_ERRNO | EBUSY, 0));
	EXPECT_ERRNO(ask(), EBUSY);
}

CASE(strict_mode)
{
	int ends[2];
	pid_t pid;
	char byte;

	OK(pipe(ends));
	CHILD(pid) {
		OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		EXPECT_EQ(write(ends[1], "x", 1), 1);
		EXPECT_EQ(read(ends[0], &byte, 1), 1);
		syscall(SYS_exit, 7);
	}
	EXPECT_EXIT(pid, 7);
	CHILD(pid) {
		OK(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL));
		ask();
		syscall(SYS_exit, 7);
	}
	EXPECT_KILLED(pid, SIGKILL);
	CHILD(pid) {
		OK(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL));
		_exit(7); /* exit_group(2) */
	}
	EXPECT_KILLED(pid, SIGKILL);
}

static volatile sig_atomic_t seen_errno, seen_code, seen_call, seen_arch, seen_rax;
static void *volatile seen_address;

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	seen_errno = info->si_errno;
	seen_code = info->si_code;
	seen_call = info->si_syscall;
	seen_arch = info->si_arch;
	seen_address = info->si_call_addr;
	EXPECT(info->si_call_addr == (void *)uc->uc_mcontext.gregs[REG_RIP]);
	seen_rax = uc->uc_mcontext.gregs[REG_RAX];
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

static void handle_trap(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER, .sa_sigaction = on_trap};

	OK(sigaction(SIGSYS, &action, NULL));
}

CASE(traps_are_signals)
{
	long result;

	handle_trap();
	no_new_privs();
	OK(answer(SYS_getppid, SECCOMP_RET_TRAP | 123, 0));
	for (int i = 0; i < 3; i++) {
		seen_code = 0;
		__asm__ volatile("syscall"
				 : "=a"(result)
				 : "a"(SYS_getppid)
				 : "rcx", "r11", "memory");
		EXPECT_EQ(result, 4711);
		EXPECT_EQ(seen_code, 1); /* SYS_SECCOMP */
		EXPECT_EQ(seen_errno, 123);
		EXPECT_EQ(seen_call, SYS_getppid);
		EXPECT_EQ((unsigned)seen_arch, AUDIT_ARCH_X86_64);
		EXPECT_EQ(seen_rax, SYS_getppid);
	}
}

CASE(traps_kill_who_does_not_handle_them)
{
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		CHILD(pid) {
			sigset_t set = one_signal(SIGSYS);

			no_new_privs();
			OK(answer(SYS_getppid, SECCOMP_RET_TRAP, 0));
			handle_trap();
			if (i == 0)
				signal(SIGSYS, SIG_DFL);
			else if (i == 1)
				signal(SIGSYS, SIG_IGN);
			else
				OK(sigprocmask(SIG_BLOCK, &set, NULL));
			ask();
		}
		EXPECT_KILLED(pid, SIGSYS);
	}
}

CASE(kills)
{
	unsigned actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, 0x12340000};
	pid_t pid;

	for (unsigned i = 0; i < LENGTH(actions); i++) {
		CHILD(pid) {
			signal(SIGSYS, SIG_IGN);
			no_new_privs();
			OK(answer(SYS_getppid, actions[i], 0));
			ask();
		}
		EXPECT_KILLED(pid, SIGSYS);
	}
}

static void *call_getppid(void *unused)
{
	(void)unused;
	ask();
	return (void *)1;
}

CASE(kills_of_one_thread)
{
	pthread_t thread;
	pid_t pid;

	CHILD(pid) {
		no_new_privs();
		OK(answer(SYS_getppid, SECCOMP_RET_KILL_THREAD, 0));
		EXPECT_EQ(pthread_create(&thread, NULL, call_getppid, NULL), 0);
		EXPECT_EQ(pthread_join(thread, NULL), 0);
		_exit(5);
	}
	EXPECT_EXIT(pid, 5);
	CHILD(pid) {
		no_new_privs();
		OK(answer(SYS_getppid, SECCOMP_RET_KILL_PROCESS, 0));
		EXPECT_EQ(pthread_create(&thread, NULL, call_getppid, NULL), 0);
		pause();
	}
	EXPECT_KILLED(pid, SIGSYS);
}

CASE(nobody_to_ask)
{
	no_new_privs();
	OK(answer(SYS_getppid, SECCOMP_RET_TRACE | 1, 0));
	EXPECT_ERRNO(ask(), ENOSYS);
	OK(answer(SYS_getuid, SECCOMP_RET_LOG, SECCOMP_FILTER_FLAG_LOG));
	EXPECT_EQ(getuid(), 0);
}

HELPER(asks)
{
	(void)argc;
	(void)argv;
	return ask() == -1 && errno == EBUSY && prctl(PR_GET_SECCOMP) == 2 ? 3 : 4;
}

CASE(filters_are_inherited)
{
	pid_t pid;

	no_new_privs();
	OK(answer(SYS_getppid, SECCOMP_RET_ERRNO | EBUSY, 0));
	CHILD(pid) {
		EXPECT_ERRNO(ask(), EBUSY);
		/* The child's own are not the parent's. */
		OK(answer(SYS_getuid, SECCOMP_RET_ERRNO | EBUSY, 0));
		execl(guest_program, guest_program, "--helper", "asks", NULL);
	}
	EXPECT_EXIT(pid, 3);
	EXPECT_EQ(getuid(), 0);
}

static volatile int stage;

static void *in_steps(void *own)
{
	if (own)
		OK(answer(SYS_getuid, SECCOMP_RET_ERRNO | EBUSY, 0));
	stage = 1;
	while (stage == 1)
		usleep(500);
	return (void *)(long)(ask() == -1 && errno == EBUSY &&
			      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

CASE(filters_for_all_threads)
{
	pthread_t thread;
	void *result;

	EXPECT_EQ(pthread_create(&thread, NULL, in_steps, NULL), 0);
	EXPECT_SOON(stage == 1);
	no_new_privs();
	OK(answer(SYS_getppid, SECCOMP_RET_ERRNO | EBUSY, SECCOMP_FILTER_FLAG_TSYNC));
	stage = 2;
	EXPECT_EQ(pthread_join(thread, &result), 0);
	EXPECT_EQ((long)result, 1);
}

CASE(threads_with_filters_of_their_own)
{
	pthread_t thread;
	void *result;

	no_new_privs();
	EXPECT_EQ(pthread_create(&thread, NULL, in_steps, (void *)1), 0);
	EXPECT_SOON(stage == 1);
	EXPECT(answer(SYS_getppid, SECCOMP_RET_ERRNO | EBUSY, SECCOMP_FILTER_FLAG_TSYNC) > 0);
	EXPECT_ERRNO(answer(SYS_getppid, SECCOMP_RET_ERRNO | EBUSY,
			    SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH),
		     ESRCH);
	EXPECT_EQ(prctl(PR_GET_SECCOMP), 0);
	OK(answer(SYS_getppid, SECCOMP_RET_ERRNO | EBUSY, 0));
	stage = 2;
	EXPECT_EQ(pthread_join(thread, &result), 0);
	EXPECT_EQ((long)result, 0);
}

CASE(filters_are_bounded)
{
	struct sock_filter code[BPF_MAXINSNS];
	int count;

	for (unsigned i = 0; i < LENGTH(code); i++)
		code[i] = (struct sock_filter)ALLOW;
	no_new_privs();
	EXPECT_ERRNO(put_up(code, BPF_MAXINSNS + 1, 0), EINVAL);
	for (count = 0; put_up(code, BPF_MAXINSNS, 0) == 0; count++)
		EXPECT(count < 10);
	EXPECT_EQ(errno, ENOMEM);
	EXPECT(count >= 3); /* by the instructions they are translated to */
}

CASE(waiting_calls_are_judged_once)
{
	int ends[2];
	char byte;
	pid_t pid;

	OK(pipe(ends));
	no_new_privs();
	OK(answer(SYS_getppid, SECCOMP_RET_ERRNO | EBUSY, 0));
	pid_t self = getpid();
	CHILD(pid) {
		wait_until_asleep(self);
		EXPECT_EQ(write(ends[1], "x", 1), 1);
	}
	EXPECT_EQ(read(ends[0], &byte, 1), 1);
	EXPECT_EXIT(pid, 0);
}
