// Calls that name a process: every number is one of the sandbox's own pids, or nobody's.

#include "attack.h"

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>

enum { LAST = 400 };

static int child;
static volatile int other_thread;

static int is_ours(int pid) { return pid == 1 || pid == getpid() || pid == child || pid == other_thread; }

static void *sleeper(void *unused)
{
    (void)unused;
    other_thread = gettid();
    for (;;)
        pause();
}

// Makes `call` with every number but our own, and prints the errors that came.
static void sweep(const char *name, long (*call)(int pid), int allowed)
{
    int strange = 0, done = 0;
    const int more[] = {-2, -100, 1 << 22, 0x7fffffff, -0x7fffffff - 1};
    for (int pid = 2; pid < LAST + 5; pid++) {
        int which = pid < LAST ? pid : more[pid - LAST];
        if (is_ours(which) || is_ours(-which))
            continue;
        long result = call(which);
        done += result >= 0;
        strange += result < 0 && -result != allowed && -result != ENOSYS && -result != EINVAL;
        if (result < 0 && -result != allowed && -result != ENOSYS && -result != EINVAL && strange < 3)
            printf("%s(%d): %s\n", name, which, error_of(result));
    }
    printf("%s: %d done, %d strange\n", name, done, strange);
}

static char canary[64] = "canary";

static long do_attach(int pid) { return raw(SYS_ptrace, PTRACE_ATTACH, pid, 0, 0, 0, 0); }
static long do_seize(int pid) { return raw(SYS_ptrace, PTRACE_SEIZE, pid, 0, 0, 0, 0); }
static long do_cont(int pid) { return raw(SYS_ptrace, PTRACE_CONT, pid, 0, 0, 0, 0); }
static long do_writev(int pid)
{
    struct iovec local = {canary, 8}, remote = {(void *)0x400000, 8};
    return raw(SYS_process_vm_writev, pid, (ul)&local, 1, (ul)&remote, 1, 0);
}
static long do_readv(int pid)
{
    struct iovec local = {canary, 8}, remote = {(void *)0x400000, 8};
    return raw(SYS_process_vm_readv, pid, (ul)&local, 1, (ul)&remote, 1, 0);
}
static long do_kcmp(int pid) { return raw(SYS_kcmp, pid, 1, 0, 0, 0, 0); }
static long do_kill(int pid) { return pid < 0 && pid > -LAST ? -ESRCH : raw(SYS_kill, pid, SIGKILL, 0, 0, 0, 0); }
static long do_tkill(int pid) { return raw(SYS_tkill, pid, SIGKILL, 0, 0, 0, 0); }
static long do_tgkill(int pid) { return raw(SYS_tgkill, pid, pid, SIGKILL, 0, 0, 0); }
static long do_setpgid(int pid) { return raw(SYS_setpgid, pid, 0, 0, 0, 0, 0); }
static long do_getpgid(int pid) { return raw(SYS_getpgid, pid, 0, 0, 0, 0, 0); }
static long do_getsid(int pid) { return raw(SYS_getsid, pid, 0, 0, 0, 0, 0); }
static long do_affinity(int pid)
{
    ul mask = 1;
    return raw(SYS_sched_setaffinity, pid, 8, (ul)&mask, 0, 0, 0);
}
static long do_scheduler(int pid)
{
    struct sched_param param = {0};
    return raw(SYS_sched_setscheduler, pid, SCHED_OTHER, (ul)&param, 0, 0, 0);
}
static long do_priority(int pid) { return raw(SYS_setpriority, PRIO_PROCESS, pid, 19, 0, 0, 0); }
static long do_limit(int pid)
{
    struct rlimit limit = {3, 3};
    return raw(SYS_prlimit64, pid, RLIMIT_NOFILE, (ul)&limit, 0, 0, 0);
}
static long do_pidfd(int pid) { return raw(SYS_pidfd_open, pid, 0, 0, 0, 0, 0); }
static long do_robust(int pid)
{
    ul head, size;
    return raw(SYS_get_robust_list, pid, (ul)&head, (ul)&size, 0, 0, 0);
}

static void steal_descriptors(void)
{
    int taken = 0;
    int self = raw(SYS_pidfd_open, getpid(), 0, 0, 0, 0, 0);
    for (int fd = 3; fd < 64; fd++)
        if (fd != self && raw(SYS_pidfd_getfd, self, fd, 0, 0, 0, 0) >= 0)
            taken++;
    printf("pidfd_getfd: %d taken\n", taken);
    int known = 0;
    for (int fd = 3; fd < 4096; fd++)
        known += fd != self && fcntl(fd, F_GETFD) >= 0;
    printf("descriptors: %d\n", known);
    char text[8];
    int read_some = 0;
    for (int fd = 3; fd < 4096; fd++)
        read_some += fd != self && raw(SYS_read, fd, (ul)text, 8, 0, 0, 0) != -EBADF;
    printf("read: %d\n", read_some);
    int mapped = 0;
    for (int fd = 3; fd < 4096; fd++)
        mapped += fd != self && mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED;
    printf("mapped: %d\n", mapped);
}

int main(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, sleeper, NULL);
    child = fork();
    if (child == 0)
        for (;;)
            pause();
    while (!other_thread)
        sched_yield();
    sweep("attach", do_attach, ESRCH);
    sweep("seize", do_seize, ESRCH);
    sweep("cont", do_cont, ESRCH);
    sweep("process_vm_writev", do_writev, ESRCH);
    sweep("process_vm_readv", do_readv, ESRCH);
    sweep("kcmp", do_kcmp, ESRCH);
    sweep("kill", do_kill, ESRCH);
    sweep("tkill", do_tkill, ESRCH);
    sweep("tgkill", do_tgkill, ESRCH);
    sweep("setpgid", do_setpgid, ESRCH);
    sweep("getpgid", do_getpgid, ESRCH);
    sweep("getsid", do_getsid, ESRCH);
    sweep("sched_setaffinity", do_affinity, ESRCH);
    sweep("sched_setscheduler", do_scheduler, ESRCH);
    sweep("setpriority", do_priority, ESRCH);
    sweep("prlimit", do_limit, ESRCH);
    sweep("pidfd_open", do_pidfd, ESRCH);
    sweep("get_robust_list", do_robust, ESRCH);
    steal_descriptors();
    prctl(PR_SET_PTRACER, -1UL, 0, 0, 0);
    printf("canary: %s\n", canary);
    printf("child: %d\n", kill(child, 0));
    printf("everybody: %ld\n", raw(SYS_kill, -1, SIGTERM, 0, 0, 0, 0));
    int status;
    waitpid(child, &status, 0);
    printf("child ended by %d\n", WTERMSIG(status));
    return 0;
}
