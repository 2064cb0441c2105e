// Stops of traced threads: one call resumes a thread, waits for the next stop
// of any, and leaves what the kernel asks about in one flat structure.
// Mechanism only; every decision is in Python.  Used by one thread.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Kinds of stops; as in sentry/platform/interface.py, then our own.
enum {
    STOP_NONE = 0,
    STOP_SYSCALL = 1,
    STOP_SIGNAL = 2,
    STOP_INTERRUPTED = 3,
    STOP_EXITED = 4,
    STOP_HOST_EVENT = 5,
};

// What to do to the thread that is resumed.
enum { RESUME_PLAIN = 0, RESUME_WITH_RESULT = 1 };

// Segment selectors of user code.
#define USER_CS 0x33
#define USER_DS 0x2b

// The page of the vsyscalls, and what is above.
#define VSYSCALL_START 0xffffffffff600000UL

// What pt_rewrite says when it cannot; no result of a call.
#define NOT_REWRITTEN (-0x8000L)

// Errors of this layer, beside the results of calls: far below -4095.
#define OWN_ERROR(e) (-(long)(0x10000 + (e)))

// As unpacked by sentry/platform/ptrace/platform.py.
struct pt_stop {
    int32_t kind;
    int32_t tid;
    uint64_t number;
    uint64_t arguments[6];
    uint64_t ip;
    uint64_t sp;
    unsigned char siginfo[128];
};

static struct pt_stop current_stop;

// Events of other threads that were seen while waiting for one.
struct pt_event {
    pid_t tid;
    int status;
};

static struct pt_event *queued;
static size_t queued_count, queued_room;

static int host_event_is_due(void);
static int wait_idle(void);
static void set_waiting(int waiting);
static void note_resumed(int resumed);

#define STOP_OF(status) ((status) >> 8)
#define STOP_SECCOMP (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8))
#define STOP_CALL_EXIT (SIGTRAP | 0x80)
#define IS_EVENT_STOP(status) (((status) >> 16) == PTRACE_EVENT_STOP)

struct pt_stop *pt_stop_buffer(void) { return &current_stop; }

static int queue_event(pid_t tid, int status)
{
    if (queued_count == queued_room) {
        size_t room = queued_room ? 2 * queued_room : 64;
        struct pt_event *more = realloc(queued, room * sizeof *more);
        if (!more)
            abort();  // an event that is lost is a thread that hangs
        queued = more;
        queued_room = room;
    }
    queued[queued_count++] = (struct pt_event){tid, status};
    return 0;
}

static struct pt_event take_event(size_t index)
{
    struct pt_event event = queued[index];
    memmove(queued + index, queued + index + 1, (--queued_count - index) * sizeof event);
    return event;
}

// Waits for an event of `tid` and keeps those of others for pt_wait.
static int wait_for(pid_t tid, int *status)
{
    for (size_t i = 0; i < queued_count; i++)
        if (queued[i].tid == tid) {
            *status = take_event(i).status;
            return 0;
        }
    for (;;) {
        // Not waitpid(tid): the leader of a group that was killed is not
        // reported before its threads were, and those are ours to reap.
        pid_t pid = waitpid(-1, status, __WALL);
        if (pid == tid)
            return 0;
        if (pid >= 0)
            queue_event(pid, *status);
        else if (errno != EINTR)
            return -errno;
    }
}

// As wait_for; an end of the thread is kept for pt_wait and is -ESRCH here.
static int wait_for_stop(pid_t tid, int *status)
{
    int error = wait_for(tid, status);
    if (error)
        return error;
    if (WIFSTOPPED(*status))
        return 0;
    queue_event(tid, *status);
    return -ESRCH;
}

static int get_call_info(pid_t tid)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) < 0)
        return -errno;
    current_stop.ip = info.instruction_pointer;
    current_stop.sp = info.stack_pointer;
    if (info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
        current_stop.number = info.seccomp.nr;
        memcpy(current_stop.arguments, info.seccomp.args, sizeof info.seccomp.args);
    }
    return 0;
}

static int is_fault(const siginfo_t *info)
{
    switch (info->si_signo) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
        return info->si_code > 0;  // else somebody sent it
    default:
        return 0;
    }
}

// Fills current_stop from a wait status; returns its kind, STOP_NONE for a
// stop that means nothing to the kernel and was resumed.
static int decode_event(pid_t tid, int status)
{
    current_stop.tid = tid;
    current_stop.kind = STOP_NONE;
    if (!WIFSTOPPED(status)) {
        current_stop.number = (uint64_t)status;
        return STOP_EXITED;
    }
    if (STOP_OF(status) == STOP_SECCOMP)
        return get_call_info(tid) ? STOP_NONE : STOP_SYSCALL;
    if (IS_EVENT_STOP(status))
        return get_call_info(tid) ? STOP_NONE : STOP_INTERRUPTED;
    if (STOP_OF(status) != STOP_CALL_EXIT) {
        siginfo_t info;
        if (ptrace(PTRACE_GETSIGINFO, tid, 0, &info) < 0)
            return STOP_NONE;  // killed meanwhile: its end will be reported
        if (is_fault(&info)) {
            memcpy(current_stop.siginfo, &info, sizeof current_stop.siginfo);
            current_stop.number = (uint64_t)info.si_signo;
            return get_call_info(tid) ? STOP_NONE : STOP_SIGNAL;
        }
    }
    // A signal from outside the sandbox is none of the guest's business.
    ptrace(PTRACE_CONT, tid, 0, 0);
    return STOP_NONE;
}

// A call without arguments and effects that returns 0 in every stub, or -1: getuid(2) of root.
// To be made instead of the guest's it takes one request; to skip that and to
// set its result take two.
static long zero_call = -1;

static void find_zero_call(void) { zero_call = getuid() == 0 ? SYS_getuid : -1; }

// Only at the stop of a call that is still to be made; and from the vsyscall
// page the host lets no other call be made.
static int can_become_zero_call(pid_t tid)
{
    return current_stop.tid == tid && current_stop.kind == STOP_SYSCALL &&
           current_stop.ip < VSYSCALL_START && zero_call >= 0;
}

// Lets a stopped thread run.  Errors are those of a thread that was killed;
// its end is reported by pt_wait.
void pt_resume(int tid, int action, long result)
{
    if (action == RESUME_WITH_RESULT && result == 0 && can_become_zero_call(tid)) {
        ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, orig_rax), zero_call);
    } else if (action == RESUME_WITH_RESULT) {
        ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, orig_rax), -1L);
        ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rax), result);
    }
    ptrace(PTRACE_CONT, tid, 0, 0);
}

// Resumes `tid` (unless 0) and waits for the next event; `running` says
// whether any guest thread runs once that is done.
int pt_wait(int tid, int action, long result, int running)
{
    if (tid) {
        pt_resume(tid, action, result);
        note_resumed(1);
    }
    for (;;) {
        int status, kind;
        pid_t pid;
        if (queued_count) {
            struct pt_event event = take_event(0);
            pid = event.tid;
            status = event.status;
        } else if (!running) {
            pid = waitpid(-1, &status, __WALL | WNOHANG);
            if (pid <= 0)
                return wait_idle();
        } else {
            set_waiting(1);
            if (host_event_is_due()) {
                set_waiting(0);
                return STOP_HOST_EVENT;
            }
            pid = waitpid(-1, &status, __WALL);
            set_waiting(0);
            if (pid < 0) {
                if (errno == EINTR && host_event_is_due())
                    return STOP_HOST_EVENT;
                return STOP_NONE;  // a signal for Python, or nobody is left
            }
        }
        kind = decode_event(pid, status);
        if (kind != STOP_NONE) {
            current_stop.kind = kind;
            note_resumed(0);
            return kind;
        }
    }
}

static int is_restart(long result) { return result <= -512 && result >= -516; }

int pt_get_registers(int tid, unsigned long *regs)
{
    return ptrace(PTRACE_GETREGS, tid, 0, regs) < 0 ? -errno : 0;
}

// The registers as the guest may see them.  A call that was passed on may have
// been interrupted: its result is the host's own then (ERESTARTSYS and its kin,
// linux/errno.h), and the thread is about to make the call again.
int pt_get_guest_registers(int tid, unsigned long *regs)
{
    struct user_regs_struct *r = (struct user_regs_struct *)regs;
    if (ptrace(PTRACE_GETREGS, tid, 0, r) < 0)
        return -errno;
    if ((long)r->orig_rax >= 0 && is_restart((long)r->rax)) {
        r->rip -= 2;
        r->rax = r->orig_rax;
        r->orig_rax = -1UL;
    }
    return 0;
}

int pt_set_registers(int tid, const unsigned long *regs)
{
    return ptrace(PTRACE_SETREGS, tid, 0, regs) < 0 ? -errno : 0;
}

int pt_interrupt(int tid) { return ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 ? -errno : 0; }

int pt_kill_group(int tgid) { return kill(tgid, SIGKILL) < 0 ? -errno : 0; }

// Lets a thread that is stopped in the vsyscall page return from there with
// `result`, and stops it at its next instruction: the host kills it should it
// leave that page in any other way (linux: emulate_vsyscall).
int pt_leave_vsyscall(int tid, long result)
{
    int status, error;

    if (ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0)
        return -errno;
    pt_resume(tid, RESUME_WITH_RESULT, result);
    for (;;) {
        error = wait_for_stop(tid, &status);
        if (error)
            return error;
        if (IS_EVENT_STOP(status))
            return 0;
        // Signals from outside are dropped.
        if (ptrace(PTRACE_CONT, tid, 0, 0) < 0)
            return -errno;
    }
}

// Ends one thread that is stopped at a system call: the call becomes exit(2).
int pt_exit_thread(int tid)
{
    if (ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rdi), 0L) < 0 ||
        ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, orig_rax), (long)SYS_exit) < 0 ||
        ptrace(PTRACE_CONT, tid, 0, 0) < 0)
        return -errno;
    return 0;
}

// Takes a thread that is stopped elsewhere back to a stop at the system call
// instruction before `saved`.  Exactly one instruction is run, by single
// step: whatever another guest thread has written there, it is traced.
static int step_into_call(pid_t tid, const struct user_regs_struct *saved)
{
    struct user_regs_struct regs = *saved;
    siginfo_t info;
    int status, error;

    regs.rip -= 2;
    regs.rax = saved->orig_rax;
    regs.orig_rax = -1UL;
    if (ptrace(PTRACE_SETREGS, tid, 0, &regs) < 0)
        return -errno;
    for (;;) {
        if (ptrace(PTRACE_SINGLESTEP, tid, 0, 0) < 0)
            return -errno;
        error = wait_for_stop(tid, &status);
        if (error)
            return error;
        if (STOP_OF(status) == STOP_SECCOMP)
            return 0;
        if (IS_EVENT_STOP(status))
            continue;
        if (ptrace(PTRACE_GETSIGINFO, tid, 0, &info) < 0)
            return -errno;
        if (is_fault(&info))
            return ptrace(PTRACE_SETREGS, tid, 0, saved) < 0 ? -errno : -EFAULT;
    }
}

// Ends one thread that was stopped at a system call, before an earlier call
// here.  Does not wait for its end: the leader of a process is not reported
// before its last thread is gone.
int pt_exit_past_call(int tid, unsigned long *saved)
{
    int error = step_into_call(tid, (struct user_regs_struct *)saved);
    return error ? error : pt_exit_thread(tid);
}

// Runs one call in a thread and leaves it at the call's exit stop, with the
// registers of the call.
static long run_call(pid_t tid, const struct user_regs_struct *saved, int at_call, const long *call)
{
    struct user_regs_struct regs;
    int status, error;

    if (current_stop.tid == tid)
        current_stop.kind = STOP_NONE;  // it is about to leave that stop
    for (;;) {
        if (!at_call) {
            error = step_into_call(tid, saved);
            if (error)
                return OWN_ERROR(-error);
        }
        regs = *saved;
        regs.orig_rax = (unsigned long)call[0];
        regs.rax = (unsigned long)-ENOSYS;
        regs.rdi = (unsigned long)call[1];
        regs.rsi = (unsigned long)call[2];
        regs.rdx = (unsigned long)call[3];
        regs.r10 = (unsigned long)call[4];
        regs.r8 = (unsigned long)call[5];
        regs.r9 = (unsigned long)call[6];
        if (ptrace(PTRACE_SETREGS, tid, 0, &regs) < 0 || ptrace(PTRACE_SYSCALL, tid, 0, 0) < 0)
            return OWN_ERROR(errno);
        error = wait_for_stop(tid, &status);
        if (error)
            return OWN_ERROR(-error);
        if (STOP_OF(status) != STOP_CALL_EXIT)
            return OWN_ERROR(EIO);
        errno = 0;
        long result = ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user_regs_struct, rax), 0);
        if (errno)
            return OWN_ERROR(errno);
        if (!is_restart(result))
            return result;
        // A pending interrupt made the host want to restart the call
        // (ERESTARTSYS and its kin, linux/errno.h): do so ourselves.
        at_call = 0;
    }
}

// Runs one host call in a thread that is stopped at a system call (`at_call`)
// or was, before an earlier call here.  `saved` gets the thread's registers
// at the first; the caller puts them back before the thread runs on.
// Returns the result or an OWN_ERROR.
long pt_execute(int tid, unsigned long *saved, int at_call, long number, long a0, long a1, long a2,
                long a3, long a4, long a5)
{
    struct user_regs_struct *regs = (struct user_regs_struct *)saved;
    const long call[7] = {number, a0, a1, a2, a3, a4, a5};

    if (at_call && ptrace(PTRACE_GETREGS, tid, 0, regs) < 0)
        return OWN_ERROR(errno);
    return run_call(tid, regs, at_call, call);
}

#define MAX_REWRITTEN 3

static const unsigned long argument_offsets[6] = {
    offsetof(struct user_regs_struct, rdi), offsetof(struct user_regs_struct, rsi),
    offsetof(struct user_regs_struct, rdx), offsetof(struct user_regs_struct, r10),
    offsetof(struct user_regs_struct, r8),  offsetof(struct user_regs_struct, r9),
};

// Pokes the arguments that differ from the guest's; `to` are their new values.
static int poke_differing(pid_t tid, const uint64_t *guest, const uint64_t *ours, const uint64_t *to)
{
    for (int i = 0; i < 6; i++)
        if (guest[i] != ours[i] &&
            ptrace(PTRACE_POKEUSER, tid, argument_offsets[i], to[i]) < 0)
            return -errno;
    return 0;
}

// Lets the host execute the call of the last stop, which is of `tid`, with
// other arguments; the guest's registers are as they were afterwards, but for
// RAX.  Returns the result, an OWN_ERROR, or NOT_REWRITTEN where pt_execute
// is to be used (the thread has not moved then, or is past a call that is to
// be made again: *moved).
long pt_rewrite(int tid, int *moved, long a0, long a1, long a2, long a3, long a4, long a5)
{
    const uint64_t ours[6] = {(uint64_t)a0, (uint64_t)a1, (uint64_t)a2,
                              (uint64_t)a3, (uint64_t)a4, (uint64_t)a5};
    uint64_t guest[6];
    int status, error, count = 0;

    *moved = 0;
    memcpy(guest, current_stop.arguments, sizeof guest);
    for (int i = 0; i < 6; i++)
        count += guest[i] != ours[i];
    if (current_stop.tid != tid || current_stop.kind != STOP_SYSCALL || count > MAX_REWRITTEN)
        return NOT_REWRITTEN;
    error = poke_differing(tid, guest, ours, ours);
    if (error)
        return OWN_ERROR(-error);
    if (ptrace(PTRACE_SYSCALL, tid, 0, 0) < 0)
        return OWN_ERROR(errno);
    *moved = 1;
    current_stop.kind = STOP_NONE;
    error = wait_for_stop(tid, &status);
    if (error)
        return OWN_ERROR(-error);
    if (STOP_OF(status) != STOP_CALL_EXIT)
        return OWN_ERROR(EIO);
    errno = 0;
    long result = ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user_regs_struct, rax), 0);
    if (!errno && poke_differing(tid, guest, ours, guest) == 0)
        return is_restart(result) ? NOT_REWRITTEN : result;
    return OWN_ERROR(errno);
}

// Copies a thread; returns the host tid of the copy, which is stopped and has
// the registers of the call with RAX 0.
long pt_clone(int tid, unsigned long *saved, int at_call, unsigned long flags)
{
    struct user_regs_struct regs;
    long child = pt_execute(tid, saved, at_call, SYS_clone, (long)flags, 0, 0, 0, 0, 0);
    int status, error;

    if (child < 0)
        return child;
    error = wait_for_stop((pid_t)child, &status);
    if (error)
        return OWN_ERROR(EAGAIN);
    memcpy(&regs, saved, sizeof regs);
    regs.rax = 0;
    regs.orig_rax = -1UL;
    // This fails only for a child that was killed, whose end is reported.
    ptrace(PTRACE_SETREGS, child, 0, &regs);
    return child;
}
