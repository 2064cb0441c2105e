// What processes tell each other: ends, stops, signals.  Prints the same everywhere.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t count, code, value, on_altstack;
static char altstack[65536];
static sigjmp_buf after_fault;
static void *fault_address;

static void note(int number, siginfo_t *info, void *context)
{
    char here;
    (void)number, (void)context;
    count++;
    code = info->si_code;
    value = info->si_value.sival_int;
    on_altstack = &here > altstack && &here < altstack + sizeof altstack;
    __asm__ volatile("xorps %%xmm3, %%xmm3" ::: "xmm3");
}

static void leave_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    code = info->si_code;
    fault_address = info->si_addr;
    siglongjmp(after_fault, 1);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};
    sigaction(number, &action, NULL);
}

static void *sleep_long(void *unused)
{
    for (;;)
        sleep(1000);
    return unused;
}

static void *spin(void *unused)
{
    for (;;)
        ;
    return unused;
}

static void reap(const char *what, pid_t pid, int options)
{
    int status = -1;
    int found = waitpid(pid, &status, options) == pid;
    printf("%s: %s %x\n", what, found ? "reaped" : "not found", status);
    fflush(stdout);
}

static void handlers(void)
{
    stack_t stack = {.ss_sp = altstack, .ss_size = sizeof altstack};
    double in = 3.25, out;
    handle(SIGUSR2, note, SA_ONSTACK);
    sigaltstack(&stack, NULL);
    long pid = getpid(), result;
    __asm__ volatile("movsd %2, %%xmm3\n syscall\n movsd %%xmm3, %1"
                     : "=a"(result), "=m"(out)
                     : "m"(in), "a"(SYS_kill), "D"(pid), "S"(SIGUSR2)
                     : "rcx", "r11", "xmm3", "memory");
    printf("xmm kept %d, alternate stack %d, code %d\n", in == out, on_altstack, code);

    sigset_t blocked, old;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN + 3);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, &old);
    handle(SIGRTMIN + 3, note, 0);
    count = 0;
    for (int i = 0; i < 3; i++)
        sigqueue(pid, SIGRTMIN + 3, (union sigval){.sival_int = i});
    raise(SIGUSR2);
    raise(SIGUSR2);
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("delivered %d, last value %d\n", count, value);
}

static void faults(void)
{
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    handle(SIGSEGV, leave_fault, 0);
    handle(SIGFPE, leave_fault, 0);
    handle(SIGILL, leave_fault, 0);
    if (!sigsetjmp(after_fault, 1))
        *(volatile int *)0x1234 = 1;
    printf("unmapped: %p code %d\n", fault_address, code);
    if (!sigsetjmp(after_fault, 1))
        *page = 1;
    printf("read-only: %d code %d\n", fault_address == page, code);
    volatile int zero = 0;
    if (!sigsetjmp(after_fault, 1))
        zero = 7 / zero;
    printf("division: code %d\n", code);
    if (!sigsetjmp(after_fault, 1))
        __asm__ volatile("ud2");
    printf("opcode: code %d\n", code);
    signal(SIGSEGV, SIG_DFL);
}

static void ends(void)
{
    pthread_t thread;
    pid_t pid;
    fflush(stdout);
    if (!(pid = fork()))
        _exit(42);
    reap("exit", pid, 0);
    if (!(pid = fork()))
        spin(NULL);
    kill(pid, SIGSTOP);
    reap("stopped", pid, WUNTRACED);
    kill(pid, SIGCONT);
    reap("continued", pid, WCONTINUED);
    kill(pid, SIGTERM);
    reap("terminated", pid, 0);
    if (!(pid = fork())) {
        pthread_create(&thread, NULL, sleep_long, NULL);
        pthread_create(&thread, NULL, spin, NULL);
        usleep(1000);
        _exit(7);
    }
    reap("exit with threads", pid, 0);
    if (!(pid = fork())) {
        pthread_create(&thread, NULL, sleep_long, NULL);
        syscall(SYS_exit, 3);
    }
    usleep(20000);
    reap("leader gone", pid, WNOHANG);
    kill(pid, SIGKILL);
    reap("then killed", pid, 0);
    signal(SIGCHLD, SIG_IGN);
    if (!(pid = fork()))
        _exit(0);
    reap("nobody asks", pid, 0);
    signal(SIGCHLD, SIG_DFL);
    if (!(pid = fork())) {
        // No frame of rt_sigreturn(2) is there.
        __asm__ volatile("mov $0x1000, %%rsp\n mov $15, %%eax\n syscall" ::: "memory");
        _exit(1);
    }
    reap("bad frame", pid, 0);
}

static void interruptions(void)
{
    struct itimerspec soon = {{0, 0}, {0, 20000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct timespec second = {1, 0}, left;
    timer_t timer;
    int pipes[2];
    char byte;
    sigset_t none, alarm_only, old;
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    pipe(pipes);
    handle(SIGALRM, note, 0);
    timer_settime(timer, 0, &soon, NULL);
    printf("read %zd", read(pipes[0], &byte, 1));
    printf(" %s\n", strerror(errno));
    timer_settime(timer, 0, &soon, NULL);
    printf("nanosleep %d", nanosleep(&second, &left));
    printf(" %s, some left %d\n", strerror(errno), left.tv_sec == 0 && left.tv_nsec > 500000000);
    handle(SIGALRM, note, SA_RESTART);
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        usleep(60000);
        write(pipes[1], "x", 1);
        _exit(0);
    }
    count = 0;
    timer_settime(timer, 0, &soon, NULL);
    printf("read again %zd", read(pipes[0], &byte, 1));
    printf(" after %d\n", count);
    reap("writer", pid, 0);
    sigemptyset(&none);
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm_only, &old);
    raise(SIGALRM);
    printf("ppoll %d", ppoll(NULL, 0, &second, &none));
    printf(" %s\n", strerror(errno));
    raise(SIGALRM);
    printf("sigtimedwait %d\n", sigtimedwait(&alarm_only, NULL, &second));
    sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
    handlers();
    faults();
    ends();
    interruptions();
    return 0;
}
