/* Handlers with siginfo, alternate stacks, masks, timers and restarted calls. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t alarms, code, on_stack;
static char *volatile fault_address;
static sigjmp_buf back;
static char stack[65536];

static void on_alarm(int number)
{
	(void)number;
	alarms++;
}

static void on_info(int number, siginfo_t *info, void *context)
{
	char here;

	(void)context;
	code = info->si_code;
	fault_address = info->si_addr;
	on_stack = &here >= stack && &here < stack + sizeof stack;
	if (number == SIGSEGV)
		siglongjmp(back, 1);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	sigaction(number, &action, NULL);
}

int main(void)
{
	struct itimerval every = {{0, 20000}, {0, 20000}}, never = {{0, 0}, {0, 0}};
	struct timespec nap = {5, 0};
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
	sigset_t set, pending;
	char *guard, byte;
	int ends[2];

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &every, NULL);
	while (alarms < 3)
		pause();
	printf("nanosleep %d\n", nanosleep(&nap, NULL) == -1 && errno == EINTR);
	pipe(ends);
	if (fork() == 0) {
		setitimer(ITIMER_REAL, &never, NULL);
		usleep(100000);
		write(ends[1], "x", 1);
		_exit(0);
	}
	printf("read restarted %zd\n", read(ends[0], &byte, 1));
	setitimer(ITIMER_REAL, &never, NULL);

	sigaltstack(&alternate, NULL);
	handle(SIGUSR1, on_info, SA_ONSTACK);
	kill(getpid(), SIGUSR1);
	printf("user %d, alternate stack %d\n", code == SI_USER, on_stack);
	raise(SIGUSR1);
	printf("thread %d\n", code == SI_TKILL);

	guard = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handle(SIGSEGV, on_info, SA_ONSTACK);
	if (sigsetjmp(back, 1) == 0)
		guard[100] = 1;
	printf("fault %d %d\n", code == SEGV_ACCERR, fault_address == guard + 100);
	if (sigsetjmp(back, 1) == 0)
		*(volatile int *)16 = 1;
	printf("fault %d %d\n", code == SEGV_MAPERR, fault_address == (char *)16);

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 1; i <= 3; i++)
		sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
	sigpending(&pending);
	printf("pending %d:", sigismember(&pending, SIGRTMIN));
	for (int i = 1; i <= 3; i++) {
		siginfo_t info;

		sigwaitinfo(&set, &info);
		printf(" %d", info.si_value.sival_int);
	}
	printf("\n");
	fflush(stdout);
	abort();
}
