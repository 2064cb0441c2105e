// Ways in which a process is born or becomes another: none may run unwatched.
// Each ends with a look at its own pid, which only the sandbox knows.

#include "attack.h"

#include <linux/sched.h>

extern char **environ;
static char self[] = "/bin/untraced";

static int checked(void)
{
    // The pid as the sandbox has it and as the libc's fork was told it.
    return getppid() >= 0 && raw(SYS_getpid, 0, 0, 0, 0, 0, 0) < 1000 && raw(2000, 0, 0, 0, 0, 0, 0) == -ENOSYS;
}

static void cloned(const char *name, ul flags)
{
    fflush(stdout);
    long pid = raw(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0, 0);
    if (pid == 0) {
        long grandchild = raw(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0, 0);
        if (grandchild == 0)
            raw(SYS_exit_group, checked() ? 21 : 22, 0, 0, 0, 0, 0);
        int status = 0;
        raw(SYS_wait4, grandchild, (ul)&status, __WALL, 0, 0, 0);
        raw(SYS_exit_group, checked() ? WEXITSTATUS(status) : 23, 0, 0, 0, 0, 0);
    }
    int status = -1;
    if (pid < 0) {
        printf("%s: %s\n", name, error_of(pid));
        return;
    }
    waitpid(pid, &status, __WALL);
    printf("%s: %d\n", name, WEXITSTATUS(status));
}

static void with_clone3(const char *name, ul flags)
{
    struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
    fflush(stdout);
    long pid = raw(SYS_clone3, (ul)&args, sizeof args, 0, 0, 0, 0);
    if (pid == 0)
        raw(SYS_exit_group, checked() ? 21 : 22, 0, 0, 0, 0, 0);
    int status = -1;
    if (pid < 0) {
        printf("%s: %s\n", name, error_of(pid));
        return;
    }
    waitpid(pid, &status, __WALL);
    printf("%s: %d\n", name, WEXITSTATUS(status));
}

static volatile int ready;

static void *compute(void *unused)
{
    ready++;
    for (;;)
        ;
}

static void *block(void *unused)
{
    int fds[2];
    char byte;
    pipe(fds);
    ready++;
    read(fds[0], &byte, 1);
    return NULL;
}

static void *call_much(void *unused)
{
    ready++;
    for (;;) {
        void *at = mmap(NULL, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        *(volatile char *)at = 1;
        munmap(at, 8192);
        close(open("/proc/self/status", O_RDONLY));
    }
}

static void *execute(void *unused)
{
    char *args[] = {self, "executed", NULL};
    execve(self, args, environ);
    _exit(31);
}

static void exec_among_threads(void)
{
    pthread_t thread;
    void *(*const kinds[])(void *) = {compute, block, call_much, compute, block, call_much};
    for (int i = 0; i < 6; i++)
        pthread_create(&thread, NULL, kinds[i], NULL);
    while (ready < 6)
        sched_yield();
    pthread_create(&thread, NULL, execute, NULL);
    for (;;)
        call_much(NULL);
}

static void exec_after_the_leader(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, call_much, NULL);
    pthread_create(&thread, NULL, execute, NULL);
    raw(SYS_exit, 0, 0, 0, 0, 0, 0);
}

static void exec_in_vfork(void)
{
    char *args[] = {self, "executed", NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        execve(self, args, environ);
        _exit(31);
    }
    int status;
    waitpid(pid, &status, 0);
    _exit(WEXITSTATUS(status));
}

// A vfork(2) parent is held where its child was made; its sibling executes.
static void *hold_in_vfork(void *unused)
{
    ready++;
    if (vfork() == 0)
        for (;;)
            ;
    return NULL;
}

static void exec_beside_a_held_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, hold_in_vfork, NULL);
    while (!ready)
        sched_yield();
    usleep(20000);
    execute(NULL);
}

static void exec_while_the_leader_is_held(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, execute, NULL);
    if (vfork() == 0)
        for (;;)
            ;
}

static volatile int ticks;

static void on_tick(int number) { ticks++; }

// Signals at every moment of forks, threads and mappings.
static void under_signals(void)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 500}, {0, 500}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    for (int i = 0; i < 60; i++) {
        long at = raw(SYS_mmap, 0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at < 0 && at > -4096)
            _exit(41);
        long pid = raw(i % 2 ? SYS_fork : SYS_clone, i % 2 ? 0 : SIGCHLD, 0, 0, 0, 0, 0);
        if (pid == 0)
            raw(SYS_exit_group, 21, 0, 0, 0, 0, 0);
        if (pid < 0)
            _exit(42);
        int status;
        if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 21)
            _exit(43);
        if (raw(SYS_munmap, at, 65536, 0, 0, 0, 0) != 0)
            _exit(44);
        if (raw(SYS_mprotect, (ul)self & -4096UL, 4096, 3, 0, 0, 0) != 0)
            _exit(45);
    }
    while (ticks < 5)
        ;
    _exit(21);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return checked() ? 21 : 22;
    cloned("fork", 0);
    cloned("untraced", CLONE_UNTRACED);
    cloned("traced", CLONE_PTRACE);
    cloned("both", CLONE_UNTRACED | CLONE_PTRACE);
    cloned("files and names", CLONE_FILES | CLONE_FS | CLONE_UNTRACED);
    with_clone3("clone3 untraced", CLONE_UNTRACED);
    with_clone3("clone3 traced", CLONE_PTRACE);
    with_clone3("clone3 clear handlers", CLONE_CLEAR_SIGHAND | CLONE_UNTRACED);
    in_child("exec among threads", exec_among_threads);
    in_child("exec after the leader", exec_after_the_leader);
    in_child("exec in vfork", exec_in_vfork);
    in_child("exec beside a held thread", exec_beside_a_held_thread);
    in_child("exec while the leader is held", exec_while_the_leader_is_held);
    in_child("under signals", under_signals);
    return 0;
}
