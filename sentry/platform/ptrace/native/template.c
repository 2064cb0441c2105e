// The template of all guest processes: a child that shares the descriptor
// table, is traced, and has nothing of ours left but one page of code and one
// page with a list of system calls, which we write and it can only read.

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <sys/prctl.h>

#define STUB_CODE 0x10000UL
#define STUB_LIST 0x11000UL
#define STUB_END 0x12000UL

#define LIST_SLOTS 48
#define END_OF_LIST (~0UL)

// One entry is 64 bytes: number, six arguments, unused.
struct pt_list {
    uint64_t slots[LIST_SLOTS + 1][8];
    unsigned char data[4096 - (LIST_SLOTS + 1) * 64 - 8];  // what the calls point to
    int32_t child_state;                                   // 1: may be seized; negative: -errno
    int32_t parent_state;                                  // 1: is seized
};

_Static_assert(sizeof(struct pt_list) == 4096, "the list is one page");

static struct pt_list *call_list;

// Runs the list at RBX.  Every call of it is a seccomp stop like the guest's
// own: this page has no privilege, whoever may get to its address later.
__asm__(".pushsection .rodata\n"
        "stub_code:\n"
        "    int3\n"
        "stub_loop:\n"
        "    mov (%rbx), %rax\n"
        "    cmp $-1, %rax\n"
        "    je stub_done\n"
        "    mov 8(%rbx), %rdi\n"
        "    mov 16(%rbx), %rsi\n"
        "    mov 24(%rbx), %rdx\n"
        "    mov 32(%rbx), %r10\n"
        "    mov 40(%rbx), %r8\n"
        "    mov 48(%rbx), %r9\n"
        "    syscall\n"
        "stub_after_call:\n"
        "    cmp $-4095, %rax\n"
        "    jae stub_failed\n"
        "    add $64, %rbx\n"
        "    jmp stub_loop\n"
        "stub_done:\n"
        "    int3\n"
        "stub_failed:\n"
        "    int3\n"
        "stub_code_end:\n"
        ".popsection\n");

extern const char stub_code[], stub_loop[], stub_after_call[], stub_failed[], stub_code_end[];

unsigned char *pt_list_page(void) { return (unsigned char *)call_list; }

static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    for (int cap = 0; cap < 64; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    syscall(SYS_capset, &header, none);
}

static void reset_signals(void)
{
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } standard = {SIG_DFL, 0, NULL, 0};
    unsigned long none = 0;
    for (int number = 1; number <= 64; number++)
        syscall(SYS_rt_sigaction, number, &standard, NULL, 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
}

extern const unsigned int __rseq_size __attribute__((weak));
extern const ptrdiff_t __rseq_offset __attribute__((weak));

// The host would write to the registered area, which is about to go
// (rseq(2)): glibc registers 32 bytes, or what AT_RSEQ_FEATURE_SIZE asks for.
static void forget_rseq(void)
{
    if (!&__rseq_size || !__rseq_size)
        return;
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    for (unsigned size = 32; size <= 256; size += 4)
        if (syscall(SYS_rseq, area, size, 1 /* RSEQ_FLAG_UNREGISTER */, 0x53053053) == 0)
            break;
}

static void report_child(int state)
{
    STORE(call_list->child_state, state);
    futex(&call_list->child_state, FUTEX_WAKE, 1, NULL);
}

static void __attribute__((noreturn)) be_template(int list_fd)
{
    void *code, *list;

    syscall(SYS_setsid);  // no terminal's signals
    prctl(PR_SET_NAME, "stub", 0, 0, 0);
    reset_signals();
    forget_rseq();
    drop_capabilities();
    code = mmap((void *)STUB_CODE, 4096, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    list = mmap((void *)STUB_LIST, 4096, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, list_fd, 0);
    if (code != (void *)STUB_CODE || list != (void *)STUB_LIST) {
        report_child(-errno);
        syscall(SYS_exit, 1);
    }
    memcpy(code, stub_code, (size_t)(stub_code_end - stub_code));
    if (mprotect(code, 4096, PROT_READ | PROT_EXEC) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        // Last of all changes of credentials, which reset it (prctl(2)).
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0) {
        report_child(-errno);
        syscall(SYS_exit, 1);
    }
    report_child(1);
    while (!LOAD(call_list->parent_state))
        futex(&call_list->parent_state, FUTEX_WAIT, 0, NULL);
    ((void (*)(void))STUB_CODE)();
    __builtin_unreachable();
}

static int make_list_page(int *list_fd)
{
    int fd = memfd_create("calls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, sizeof *call_list) < 0)
        return -errno;
    void *page = mmap(NULL, sizeof *call_list, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    // Nobody maps it writable after us.
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return -errno;
    call_list = page;
    *list_fd = fd;
    return 0;
}

static int attach_template(pid_t child)
{
    const struct timespec second = {1, 0};
    int status, error;

    for (int tries = 0; tries < 10 && !LOAD(call_list->child_state); tries++)
        futex(&call_list->child_state, FUTEX_WAIT, 0, &second);
    if (LOAD(call_list->child_state) != 1)
        return LOAD(call_list->child_state) ? LOAD(call_list->child_state) : -ETIMEDOUT;
    if (ptrace(PTRACE_SEIZE, child, 0,
               PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD) < 0)
        return -errno;
    STORE(call_list->parent_state, 1);
    futex(&call_list->parent_state, FUTEX_WAKE, 1, NULL);
    error = wait_for_stop(child, &status);
    if (error)
        return error;
    return STOP_OF(status) == SIGTRAP ? 0 : -EIO;
}

// Returns the pid of the template, stopped in its stub page, or -errno.
int pt_make_template(void)
{
    int list_fd = -1;
    int error = make_list_page(&list_fd);
    if (error)
        return error;
    // No exit signal but SIGCHLD: copies made with CLONE_PARENT inherit it.
    long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        be_template(list_fd);
    error = child < 0 ? -errno : attach_template((pid_t)child);
    close(list_fd);
    if (error && child > 0)
        kill((pid_t)child, SIGKILL);
    return error ? error : (int)child;
}

static void set_list_registers(struct user_regs_struct *regs)
{
    memset(regs, 0, sizeof *regs);
    regs->rip = STUB_CODE + (unsigned long)(stub_loop - stub_code);
    regs->rbx = STUB_LIST;
    regs->orig_rax = -1UL;
    regs->cs = USER_CS;
    regs->ss = USER_DS;
    regs->eflags = 0x202;
}

static int is_in_stub(unsigned long ip) { return ip >= STUB_CODE && ip < STUB_LIST; }

// Whether a seccomp stop is that of a call of the list, made by the stub's own
// instruction: nothing else may pass, whatever got to run in this thread.  The
// registers say all of it: the filter lets no call of another architecture stop.
static int is_list_call(pid_t tid)
{
    struct user_regs_struct regs;
    if (ptrace(PTRACE_GETREGS, tid, 0, &regs) < 0)
        return 0;
    unsigned long slot = regs.rbx - STUB_LIST;
    if (regs.rip != STUB_CODE + (unsigned long)(stub_after_call - stub_code) ||
        slot % sizeof call_list->slots[0] || slot >= LIST_SLOTS * sizeof call_list->slots[0])
        return 0;
    const uint64_t made[7] = {regs.orig_rax, regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9};
    return memcmp(made, call_list->slots[slot / sizeof call_list->slots[0]], sizeof made) == 0;
}

// Judges the fault that ends a list.
static int end_of_list(pid_t tid, int is_last)
{
    struct user_regs_struct regs;
    siginfo_t info;
    if (ptrace(PTRACE_GETREGS, tid, 0, &regs) < 0 || ptrace(PTRACE_GETSIGINFO, tid, 0, &info) < 0)
        return -errno;
    if (info.si_signo == SIGSEGV)
        return is_last && is_in_stub(regs.rip) ? 0 : -EIO;
    if (info.si_signo != SIGTRAP || !is_in_stub(regs.rip))
        return -EIO;
    if (regs.rip != STUB_CODE + (unsigned long)(stub_failed - stub_code) + 1)
        return is_last ? -EIO : 0;
    return (int)(long)regs.rax;
}

// Runs the list in a thread that is stopped in the stub page.  `is_last`: the
// list takes the stub page away, so it ends in a SIGSEGV.
// Returns 0 or the -errno of the first call that failed.
int pt_run_list(int tid, int is_last)
{
    struct user_regs_struct regs;
    siginfo_t info;
    int status, error;

    set_list_registers(&regs);
    if (ptrace(PTRACE_SETREGS, tid, 0, &regs) < 0)
        return -errno;
    for (;;) {
        if (ptrace(PTRACE_CONT, tid, 0, 0) < 0)
            return -errno;
        error = wait_for_stop(tid, &status);
        if (error)
            return error;
        if (STOP_OF(status) == STOP_SECCOMP) {
            if (!is_list_call(tid))
                return -EIO;
            continue;
        }
        if (IS_EVENT_STOP(status))
            continue;
        if (ptrace(PTRACE_GETSIGINFO, tid, 0, &info) < 0)
            return -errno;
        if (is_fault(&info))
            return end_of_list(tid, is_last);
        // Signals from outside are dropped.
    }
}

// Waits for the first stop of a copy; returns its tid, or -errno.
static int wait_for_copy(pid_t child)
{
    int status;
    int error = wait_for_stop(child, &status);
    return error ? error : (int)child;
}

// Copies the template by the clone(2) that is the first entry of the list.
// Returns the tid of a thread that is stopped in the stub page, or -errno.
int pt_spawn(int template)
{
    struct user_regs_struct regs;
    int status, error;

    set_list_registers(&regs);
    if (ptrace(PTRACE_SETREGS, template, 0, &regs) < 0)
        return -errno;
    int resume = PTRACE_CONT;
    for (;;) {
        if (ptrace(resume, template, 0, 0) < 0)
            return -errno;
        error = wait_for_stop(template, &status);
        if (error)
            return error;
        if (STOP_OF(status) == STOP_SECCOMP) {
            if (!is_list_call(template))
                return -EIO;
            resume = PTRACE_SYSCALL;
        } else if (STOP_OF(status) == STOP_CALL_EXIT) {
            errno = 0;
            long child = ptrace(PTRACE_PEEKUSER, template, offsetof(struct user_regs_struct, rax), 0);
            if (errno)
                return -errno;
            if (child > 0)
                return wait_for_copy((pid_t)child);
            if (!is_restart(child))
                return (int)child;
            // An interrupt or signal was pending: the host makes the call again.
            resume = PTRACE_CONT;
        }
    }
}

#define ANSWER(e) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (e))

// Writes the stubs' seccomp filter and its sock_fprog into the list's data;
// returns the stub's address of the latter.
unsigned long pt_put_filter(void)
{
    const struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        ANSWER(ENOSYS),  // int 0x80, sysenter
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 1, 0),  // x32 and negative numbers
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rseq, 0, 1),
        ANSWER(ENOSYS),
        // Never SECCOMP_RET_ALLOW, wherever a call comes from.
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, NULL};
    const unsigned long at = STUB_LIST + offsetof(struct pt_list, data);

    program.filter = (struct sock_filter *)(at + sizeof program);
    memcpy(call_list->data, &program, sizeof program);
    memcpy(call_list->data + sizeof program, filter, sizeof filter);
    return at;
}

int pt_start(void)
{
    // Freed blocks stay with us: page faults are dear.
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    queued_count = 0;
    find_zero_call();
    int error = start_memory();
    if (!error)
        error = start_placement();
    return error ? error : start_events();
}

// Waits until a killed child is gone, if it is not already.
void pt_reap(int tid)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(tid, &status, __WALL | WNOHANG);
        if (pid < 0 || (pid == 0 && wait_for(tid, &status)) || !WIFSTOPPED(status))
            return;
        ptrace(PTRACE_CONT, tid, 0, 0);
    }
}

void pt_stop(void)
{
    stop_events();
    queued_count = 0;
    if (call_list)
        munmap(call_list, sizeof *call_list);
    call_list = NULL;
}
