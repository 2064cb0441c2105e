/* Faults, sigaltstack(2), sigreturn(2): what handlers see and may change. */
#include "guest.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

static siginfo_t seen;

static void note_info(int sig, siginfo_t *info, __attribute__((unused)) void *context)
{
	seen = *info;
	count_signal(sig);
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

static sigjmp_buf jump;
static volatile long handler_stack;

static void fault(int sig, siginfo_t *info, void *context)
{
	char local;

	note_info(sig, info, context);
	handler_stack = (long)&local;
	siglongjmp(jump, 1);
}

static void handle_fault(int sig, int flags)
{
	struct sigaction action = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO | flags};

	OK(sigaction(sig, &action, NULL));
}

CASE(division_by_zero_is_sigfpe)
{
	handle_fault(SIGFPE, 0);
	if (sigsetjmp(jump, 1) == 0)
		__asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" ::: "eax", "ecx", "edx");
	EXPECT_EQ(seen.si_signo, SIGFPE);
	EXPECT_EQ(seen.si_code, FPE_INTDIV);
}

CASE(illegal_instruction_is_sigill)
{
	handle_fault(SIGILL, 0);
	if (sigsetjmp(jump, 1) == 0)
		__asm__ volatile("ud2");
	EXPECT_EQ(seen.si_signo, SIGILL);
	EXPECT_EQ(seen.si_code, ILL_ILLOPN);
}

CASE(breakpoint_is_sigtrap)
{
	handle_info(SIGTRAP, 0);
	__asm__ volatile("int3");
	EXPECT_EQ(seen.si_signo, SIGTRAP);
	EXPECT_EQ(seen.si_code, SI_KERNEL);
}

CASE(privileged_instruction_is_sigsegv)
{
	handle_fault(SIGSEGV, 0);
	if (sigsetjmp(jump, 1) == 0)
		__asm__ volatile("hlt");
	EXPECT_EQ(seen.si_signo, SIGSEGV);
	EXPECT_EQ(seen.si_code, SI_KERNEL);
}

CASE(blocked_fault_kills)
{
	pid_t pid;

	CHILD(pid) {
		handle_fault(SIGSEGV, 0);
		block(SIGSEGV);
		*(volatile int *)8 = 1;
	}
	EXPECT_KILLED(pid, SIGSEGV);
	CHILD(pid) {
		signal(SIGSEGV, SIG_IGN);
		*(volatile int *)8 = 1;
	}
	EXPECT_KILLED(pid, SIGSEGV);
}

CASE(handler_runs_on_the_alternate_stack)
{
	static char stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)}, now;

	OK(sigaltstack(NULL, &now));
	EXPECT_EQ(now.ss_flags, SS_DISABLE);
	OK(sigaltstack(&alternate, NULL));
	handle_fault(SIGUSR1, SA_ONSTACK);
	if (sigsetjmp(jump, 1) == 0)
		raise(SIGUSR1);
	EXPECT(handler_stack > (long)stack && handler_stack < (long)(stack + sizeof(stack)));
	handle_fault(SIGUSR2, 0);
	if (sigsetjmp(jump, 1) == 0)
		raise(SIGUSR2);
	EXPECT(handler_stack < (long)stack || handler_stack > (long)(stack + sizeof(stack)));
}

CASE(sigaltstack_errors)
{
	static char stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = 100}, old;

	void inside(int sig)
	{
		stack_t now;

		count_signal(sig);
		OK(sigaltstack(NULL, &now));
		EXPECT_EQ(now.ss_flags, SS_ONSTACK);
		EXPECT_ERRNO(sigaltstack(&alternate, NULL), EPERM);
	}
	struct sigaction action = {.sa_handler = inside, .sa_flags = SA_ONSTACK};

	EXPECT_ERRNO(sigaltstack(&alternate, NULL), ENOMEM);
	alternate.ss_size = sizeof(stack);
	alternate.ss_flags = 99;
	EXPECT_ERRNO(sigaltstack(&alternate, NULL), EINVAL);
	alternate.ss_flags = 0;
	OK(sigaltstack(&alternate, NULL));
	OK(sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	EXPECT_EQ(signals_seen, 1);
	alternate.ss_flags = SS_DISABLE;
	OK(sigaltstack(&alternate, &old));
	EXPECT_EQ((long)old.ss_sp, (long)stack);
}

CASE(stack_overflow_is_handled_on_the_alternate_stack)
{
	static char stack[65536];
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct rlimit limit = {1 << 20, RLIM_INFINITY};

	void overflow(volatile char *above)
	{
		volatile char page[4096];

		page[0] = above[0];
		overflow(page);
		above[0] = page[1];
	}
	setrlimit(RLIMIT_STACK, &limit);
	OK(sigaltstack(&alternate, NULL));
	handle_fault(SIGSEGV, SA_ONSTACK);
	if (sigsetjmp(jump, 1) == 0)
		overflow(stack);
	EXPECT_EQ(seen.si_signo, SIGSEGV);
}

CASE(handler_may_change_registers)
{
	void skip(__attribute__((unused)) int sig, __attribute__((unused)) siginfo_t *info, void *context)
	{
		ucontext_t *state = context;

		state->uc_mcontext.gregs[REG_RIP] += 2;
		state->uc_mcontext.gregs[REG_RAX] = 77;
	}
	struct sigaction action = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO};
	long value = 1;

	OK(sigaction(SIGILL, &action, NULL));
	__asm__ volatile("ud2" : "+a"(value));
	EXPECT_EQ(value, 77);
}

CASE(handler_keeps_vector_registers)
{
	double one = 1.5, two = 2.25;

	void spoil(int sig)
	{
		count_signal(sig);
		__asm__ volatile("xorps %%xmm0, %%xmm0; xorps %%xmm7, %%xmm7" ::: "xmm0", "xmm7");
	}
	handle(SIGUSR1, spoil);
	__asm__ volatile("movsd %0, %%xmm7; mov $62, %%eax; mov %2, %%edi; mov $10, %%esi; syscall; movsd %%xmm7, %1"
			 : "+m"(one), "=m"(two)
			 : "r"(getpid())
			 : "rax", "rdi", "rsi", "rcx", "r11", "xmm7", "memory");
	EXPECT_EQ(signals_seen, 1);
	EXPECT(two == 1.5);
}

CASE(abort_kills_with_sigabrt)
{
	pid_t pid;

	CHILD(pid)
		abort();
	EXPECT_KILLED(pid, SIGABRT);
}
