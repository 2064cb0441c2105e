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

static unsigned seen_mxcsr, seen_control;
static unsigned char seen_vector[32];

static unsigned mxcsr(void)
{
	unsigned value;

	__asm__ volatile("stmxcsr %0" : "=m"(value));
	return value;
}

static unsigned control_word(void)
{
	unsigned short value;

	__asm__ volatile("fnstcw %0" : "=m"(value));
	return value;
}

/* Raises SIGUSR1 with full vector registers and returns what is in one of them then. */
__attribute__((target("avx"), noinline)) static void raise_with_vector(const unsigned char *in, unsigned char *out)
{
	__asm__ volatile("vmovups (%0), %%ymm9; mov $62, %%eax; mov %2, %%edi; mov $10, %%esi; syscall; "
			 "vmovups %%ymm9, (%1); vzeroupper"
			 :
			 : "r"(in), "r"(out), "r"(getpid())
			 : "rax", "rdi", "rsi", "rcx", "r11", "xmm9", "memory");
}

__attribute__((target("avx"))) static void spoil_fp_state(int sig)
{
	unsigned spoilt = 0x1f80 | 0x2000;
	unsigned short control = 0x37f | 0x400;

	__asm__ volatile("vmovups %%ymm9, %0; vpcmpeqd %%xmm9, %%xmm9, %%xmm9; vzeroall"
			 : "=m"(seen_vector)
			 :
			 : "xmm9", "memory");
	count_signal(sig);
	seen_mxcsr = mxcsr();
	seen_control = control_word();
	__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(spoilt), "m"(control));
}

CASE(handler_has_a_first_fp_state_and_gives_the_old_back)
{
	unsigned rounding = 0x1f80 | 0x6000;
	unsigned short control = 0x37f & ~0x300;
	unsigned char in[32], out[32];

	if (!__builtin_cpu_supports("avx"))
		return;
	for (int i = 0; i < 32; i++)
		in[i] = (unsigned char)(i + 1);
	handle(SIGUSR1, spoil_fp_state);
	for (int round = 1; round <= 2; round++) {
		memset(out, 0, sizeof(out));
		memset(seen_vector, 1, sizeof(seen_vector));
		__asm__ volatile("ldmxcsr %0; fldcw %1" : : "m"(rounding), "m"(control));
		raise_with_vector(in, out);
		EXPECT_EQ(mxcsr(), rounding);
		EXPECT_EQ(control_word(), control);
		EXPECT_EQ(signals_seen, round);
		EXPECT_EQ(seen_mxcsr, 0x1f80);
		EXPECT_EQ(seen_control, 0x37f);
		for (int i = 0; i < 32; i++) {
			EXPECT_EQ(seen_vector[i], 0);
			EXPECT_EQ(out[i], in[i]);
		}
	}
}

/* In a handler all but the x87 and SSE state is as at first: the nested one finds no more to reset. */
CASE(sse_state_alone_is_reset_and_given_back)
{
	static unsigned in_first, after_nested;

	void nested(int sig)
	{
		seen_mxcsr = mxcsr();
		count_signal(sig);
	}
	void first(__attribute__((unused)) int sig)
	{
		unsigned rounding = 0x1f80 | 0x4000;
		long result = SYS_kill;

		in_first = mxcsr();
		__asm__ volatile("ldmxcsr %0" : : "m"(rounding));
		__asm__ volatile("syscall" : "+a"(result) : "D"(getpid()), "S"(SIGUSR2) : "rcx", "r11", "memory");
		after_nested = mxcsr();
	}
	handle(SIGUSR1, first);
	handle(SIGUSR2, nested);
	OK(kill(getpid(), SIGUSR1));
	EXPECT_EQ(signals_seen, 1);
	EXPECT_EQ(in_first, 0x1f80);
	EXPECT_EQ(seen_mxcsr, 0x1f80);
	EXPECT_EQ(after_nested, 0x1f80 | 0x4000);
}

/* What the return from a handler unblocks is delivered before the next instruction. */
CASE(return_delivers_what_the_frame_unblocks)
{
	static volatile int order[4], count;

	void second(int sig)
	{
		order[count++] = sig;
	}
	void first(int sig, __attribute__((unused)) siginfo_t *info, void *context)
	{
		ucontext_t *state = context;

		order[count++] = sig;
		if (count == 1)
			raise(SIGUSR2); /* blocked here, and after the return not */
		state->uc_mcontext.gregs[REG_R12] = 0x1234567;
		sigdelset(&state->uc_sigmask, SIGUSR2);
	}
	struct sigaction action = {.sa_sigaction = first, .sa_flags = SA_SIGINFO};
	long value = 0;

	sigaddset(&action.sa_mask, SIGUSR2);
	OK(sigaction(SIGUSR1, &action, NULL));
	handle(SIGUSR2, second);
	block(SIGUSR2);
	__asm__ volatile("mov $62, %%eax; mov %1, %%edi; mov $10, %%esi; syscall; mov %%r12, %0"
			 : "=m"(value)
			 : "r"(getpid())
			 : "rax", "rdi", "rsi", "rcx", "r11", "r12", "memory");
	EXPECT_EQ(value, 0x1234567);
	EXPECT_EQ(count, 2);
	EXPECT_EQ(order[0], SIGUSR1);
	EXPECT_EQ(order[1], SIGUSR2);
}

CASE(return_without_a_frame_kills_with_sigsegv)
{
	pid_t pid;

	CHILD(pid)
		__asm__ volatile("mov $15, %%eax; xor %%esp, %%esp; syscall" ::: "rax", "memory");
	EXPECT_KILLED(pid, SIGSEGV);
}

CASE(return_to_a_forged_frame_is_sigsegv)
{
	struct {
		unsigned long restorer;
		ucontext_t context;
	} frame;
	volatile int tries = 0;
	pid_t pid;

	/* No such selector, no such address, a state that cannot be loaded. */
	for (int way = 0; way < 3; way++) {
		CHILD(pid) {
			memset(&frame, 0, sizeof(frame));
			frame.context.uc_flags = 4;
			frame.context.uc_mcontext.gregs[REG_CSGSFS] = 0x33 | (way == 0 ? 0xfffdL << 48 : 0x2bL << 48);
			frame.context.uc_mcontext.gregs[REG_RIP] = way == 1 ? (long)(1UL << 63) : (long)abort;
			if (way == 2)
				frame.context.uc_mcontext.fpregs = (void *)0x10;
			__asm__ volatile("lea 8(%0), %%rsp; mov $15, %%eax; syscall" : : "r"(&frame) : "memory");
		}
		EXPECT_KILLED(pid, SIGSEGV);
		tries++;
	}
	EXPECT_EQ(tries, 3);
}

CASE(abort_kills_with_sigabrt)
{
	pid_t pid;

	CHILD(pid)
		abort();
	EXPECT_KILLED(pid, SIGABRT);
}
