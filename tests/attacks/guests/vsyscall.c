// The vsyscall page: three calls at fixed addresses, which the kernel emulates.

#include "attack.h"

#define PAGE 0xffffffffff600000UL

static sigjmp_buf out;

static void on_fault(int number) { siglongjmp(out, number); }

static volatile int ticks;

static void on_tick(int number)
{
    (void)number;
    ticks++;
}

static void attempt(const char *name, long (*call)(void *, void *, void *), void *a, void *b)
{
    int number = sigsetjmp(out, 1);
    if (number) {
        printf("%s: signal %d\n", name, number);
        return;
    }
    long result = call(a, b, NULL);
    printf("%s: %s\n", name, result >= 0 ? "done" : "refused");
}

int main(void)
{
    struct timeval tv = {0, 0};
    unsigned cpu = -1U, node = -1U;
    time_t now = 0;
    long (*gettimeofday_there)(void *, void *, void *) = (void *)PAGE;
    long (*time_there)(void *, void *, void *) = (void *)(PAGE + 0x400);
    long (*getcpu_there)(void *, void *, void *) = (void *)(PAGE + 0x800);
    struct sigaction fault = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    struct sigaction tick = {.sa_handler = on_tick};
    sigaction(SIGSEGV, &fault, NULL);
    sigaction(SIGALRM, &tick, NULL);

    attempt("gettimeofday", gettimeofday_there, &tv, NULL);
    attempt("time", time_there, &now, NULL);
    attempt("getcpu", getcpu_there, &cpu, &node);
    printf("clock: %d, cpu: %d\n", labs(tv.tv_sec - time(NULL)) < 3 && labs(now - time(NULL)) < 3,
           cpu < 4096);
    attempt("time(NULL)", time_there, NULL, NULL);
    attempt("kernel pointer", time_there, (void *)0xffffffff81000000UL, NULL);
    attempt("bad pointer", gettimeofday_there, (void *)8, NULL);
    attempt("middle", (void *)(PAGE + 1), NULL, NULL);
    attempt("second instruction", (void *)(PAGE + 7), NULL, NULL);
    attempt("between", (void *)(PAGE + 0xc00), NULL, NULL);
    attempt("behind", (void *)(PAGE + 0x1000), NULL, NULL);
    if (sigsetjmp(out, 1) == 0)
        printf("read: %d\n", *(volatile char *)PAGE);
    else
        printf("read: signal\n");
    printf("munmap: %s\n", munmap((void *)PAGE, 4096) ? strerrorname_np(errno) : "done");
    printf("mprotect: %s\n", mprotect((void *)PAGE, 4096, 7) ? strerrorname_np(errno) : "done");

    // A handler that is entered from within such a call.
    struct itimerval every = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &every, NULL);
    long calls = 0;
    while (ticks < 50) {
        if (time_there(NULL, NULL, NULL) <= 0)
            return 3;
        calls++;
    }
    printf("under signals: done\n");
    return calls ? 0 : 4;
}
