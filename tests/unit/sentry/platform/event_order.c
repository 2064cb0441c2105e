// The extension's own waits over a host that reports events in the order of a
// script: what ptrace(2) and waitpid(2) answer here is only what they need.

#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <linux/ptrace.h>

enum { PARENT = 100, CHILD = 101, OTHER = 102 };

struct event {
    pid_t tid;
    int status;
};

static const struct event *script;
static int position;
static struct user_regs_struct registers[3];
static long clone_result;
static char resumed[256];

static pid_t scripted_waitpid(pid_t pid, int *status, int flags)
{
    (void)pid, (void)flags;
    if (script[position].tid == -1) {
        position++;
        errno = EINTR;
        return -1;
    }
    if (script[position].tid == 0) {
        errno = ECHILD;
        return -1;
    }
    *status = script[position].status;
    return script[position++].tid;
}

static long scripted_ptrace(int request, ...)
{
    va_list list;
    va_start(list, request);
    pid_t tid = va_arg(list, pid_t);
    void *address = va_arg(list, void *);
    void *data = va_arg(list, void *);
    va_end(list);
    struct user_regs_struct *regs = &registers[tid - PARENT];
    switch (request) {
    case PTRACE_GETREGS:
        *(struct user_regs_struct *)data = *regs;
        return 0;
    case PTRACE_SETREGS:
        *regs = *(struct user_regs_struct *)data;
        return 0;
    case PTRACE_PEEKUSER:
        return clone_result;
    case PTRACE_GETSIGINFO:
        memset(data, 0, 128);
        return 0;
    case PTRACE_GET_SYSCALL_INFO:
        memset(data, 0, 88);
        return 24;
    default:
        snprintf(resumed + strlen(resumed), sizeof resumed - strlen(resumed), "%d:%d ", tid, request);
        return 0;
    }
}

#define waitpid scripted_waitpid
#define ptrace scripted_ptrace
#include "stops.c"
#include "events.c"

#define STOPPED(signal, event) (0x7f | (signal) << 8 | (event) << 16)
#define AT_EXIT STOPPED(SIGTRAP | 0x80, 0)
#define STARTED STOPPED(SIGTRAP, PTRACE_EVENT_STOP)
#define AT_SECCOMP STOPPED(SIGTRAP, PTRACE_EVENT_SECCOMP)

static int orders;

static void fail(const char *what)
{
    printf("order %d: %s (resumed: %s)\n", orders, what, resumed);
    exit(1);
}

// Clones under a script; the copy must be found, with the registers of the
// call, and every event of others kept in its order.
static void try_order(const struct event *events, int kept, int other_kind)
{
    unsigned long saved[27];
    script = events;
    position = 0;
    queued_count = 0;
    resumed[0] = 0;
    memset(registers, 0, sizeof registers);
    registers[0].rdx = 0x1234;
    registers[0].rax = -ENOSYS;
    registers[0].orig_rax = SYS_clone3;
    clone_result = CHILD;
    if (pt_clone(PARENT, saved, 1, CLONE_PTRACE | CLONE_PARENT) != CHILD)
        fail("the copy was not found");
    if (registers[1].rdx != 0x1234 || registers[1].rax != 0 || registers[1].orig_rax != -1UL)
        fail("the copy has other registers");
    const struct user_regs_struct *back = (const struct user_regs_struct *)saved;
    if (back->orig_rax != SYS_clone3 || back->rdx != 0x1234)
        fail("the caller's registers are not kept");
    if (script[position].tid != 0)
        fail("not all events were taken");
    if ((int)queued_count != kept)
        fail("events were lost or invented");
    if (kept && pt_wait(0, 0, 0, 1) != other_kind)
        fail("the kept event is another one");
    orders++;
}

int main(void)
{
    const struct event usual[] = {{PARENT, AT_EXIT}, {CHILD, STARTED}, {0, 0}};
    const struct event early[] = {{CHILD, STARTED}, {PARENT, AT_EXIT}, {0, 0}};
    const struct event mixed[] = {{OTHER, AT_SECCOMP}, {-1, 0}, {CHILD, STARTED},
                                  {-1, 0}, {PARENT, AT_EXIT}, {0, 0}};
    const struct event between[] = {{PARENT, AT_EXIT}, {-1, 0}, {OTHER, 9}, {CHILD, STARTED}, {0, 0}};
    const struct event ended[] = {{OTHER, 9}, {CHILD, STARTED}, {PARENT, AT_EXIT}, {0, 0}};
    try_order(usual, 0, 0);
    try_order(early, 0, 0);
    try_order(mixed, 1, STOP_SYSCALL);
    try_order(between, 1, STOP_EXITED);
    try_order(ended, 1, STOP_EXITED);
    printf("%d orders\n", orders);
    return 0;
}
