// Signal frames: struct rt_sigframe of x86-64 with the extended state above it
// (asm/sigframe.h, asm/sigcontext.h; "XSAVE area" in Intel's manual, volume 1,
// chapter 13).  Where a frame goes and what is in it but registers is decided
// in sentry/kernel/sigframe.py.

#include <cpuid.h>

#define FP_ROOM 16384
#define FRAME_ROOM 512  // rt_sigframe and what aligns the state above it

#define FXSAVE_SIZE 512
#define SW_RESERVED 464  // magic1, extended_size, xfeatures, xstate_size
#define MAGIC1 0x46505853U
#define MAGIC2 0x46505845U
#define FEATURES_FPSSE 0x3UL
#define FEATURE_PKRU 9
// AMX is nobody's who has not asked for it (ARCH_REQ_XCOMP_PERM), and then not
// in the frames of Linux either: it would not take such a frame back.
#define FEATURES_ON_DEMAND (3UL << 17)

#define EFLAGS_OFF (0x400UL | 0x10000UL | 0x100UL)  // DF, RF, TF: in a handler

static unsigned char initial_fp[FP_ROOM];  // in the format of NT_X86_XSTATE
static size_t initial_size;
static unsigned pkru_offset;
static uint64_t fp_features;
static unsigned fp_size;  // of the state in a frame, without its second mark

// What sigframe.py packs.
struct pt_handler {
    uint64_t handler, number;
    uint64_t sp, fp_address;
    int64_t again;  // the call that the handler's return is to make again, or -1
    uint64_t error, trap, mask, address;
    uint64_t head[6];  // up to the sigcontext
    unsigned char siginfo[128];
};

_Static_assert(sizeof(struct pt_handler) == 248, "as sigframe.py packs it");

// struct rt_sigframe
struct pt_frame {
    uint64_t head[6];
    uint64_t context[32];
    uint64_t mask;
    unsigned char siginfo[128];
};

_Static_assert(sizeof(struct pt_frame) == 440, "asm/sigframe.h");

// How much of a state of `size` bytes has default components only.
static unsigned default_fp_size(uint64_t features, unsigned size)
{
    unsigned end = FXSAVE_SIZE + 64, eax, ebx, ecx, edx;
    if (!(features & FEATURES_ON_DEMAND))
        return size;
    for (unsigned i = 2; i < 63; i++) {
        if (!(features & ~FEATURES_ON_DEMAND & (1UL << i)))
            continue;
        __cpuid_count(0xd, i, eax, ebx, ecx, edx);
        if (ebx + eax > end)
            end = ebx + eax;
    }
    return end;
}

// Puts the vector and floating-point registers in their first state, and keeps
// that for handlers.
int pt_reset_fp_state(int tid)
{
    static unsigned char old[FP_ROOM];
    unsigned eax, ecx, edx;
    uint64_t features;
    struct iovec iov = {old, sizeof old};

    if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov) < 0)
        return -errno;
    if (iov.iov_len < FXSAVE_SIZE + 64)
        return -EIO;
    memcpy(&fp_features, old + SW_RESERVED, sizeof fp_features);
    fp_size = default_fp_size(fp_features, (unsigned)iov.iov_len);
    fp_features &= ~FEATURES_ON_DEMAND;
    initial_size = iov.iov_len;
    memset(initial_fp, 0, initial_size);
    initial_fp[0] = 0x7f;  // FCW 0x37f
    initial_fp[1] = 0x03;
    initial_fp[24] = 0x80;  // MXCSR 0x1f80
    initial_fp[25] = 0x1f;
    memcpy(&features, old + FXSAVE_SIZE, sizeof features);
    pkru_offset = 0;
    if (features & (1UL << FEATURE_PKRU)) {
        // PKRU is no secret, and its first state on Linux is not all zero.
        __cpuid_count(0xd, FEATURE_PKRU, eax, pkru_offset, ecx, edx);
        features = 1UL << FEATURE_PKRU;
        memcpy(initial_fp + FXSAVE_SIZE, &features, sizeof features);
        if (pkru_offset + 8 > iov.iov_len)
            return -EIO;
        memcpy(initial_fp + pkru_offset, old + pkru_offset, 8);
    }
    iov.iov_base = initial_fp;
    return ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &iov) < 0 ? -errno : 0;
}

// Returns how long the extended state in a frame is, with its second mark.
int pt_fp_frame_size(void) { return (int)fp_size + 4; }

enum { RESET_NOTHING, RESET_FPSSE, RESET_ALL };

// Which part of a state differs from the first one.
static int needed_reset(const unsigned char *state)
{
    uint64_t features;
    memcpy(&features, state + FXSAVE_SIZE, sizeof features);
    features &= ~FEATURES_FPSSE;
    if (features != (pkru_offset ? 1UL << FEATURE_PKRU : 0))
        return RESET_ALL;
    if (pkru_offset && memcmp(state + pkru_offset, initial_fp + pkru_offset, 4))
        return RESET_ALL;
    // Between MXCSR and the registers is the mask of its bits, a constant.
    if (memcmp(state, initial_fp, 28) || memcmp(state + 32, initial_fp + 32, SW_RESERVED - 32))
        return RESET_FPSSE;
    return RESET_NOTHING;
}

static void reset_fp(pid_t tid, int part)
{
    struct iovec all = {initial_fp, initial_size}, fpsse = {initial_fp, FXSAVE_SIZE};
    if (part == RESET_ALL)
        ptrace(PTRACE_SETREGSET, tid, NT_X86_XSTATE, &all);
    else if (part == RESET_FPSSE)  // several times cheaper
        ptrace(PTRACE_SETREGSET, tid, NT_PRFPREG, &fpsse);
}

static void mark_fp_state(unsigned char *state)
{
    const uint32_t marks[12] = {MAGIC1, fp_size + 4, (uint32_t)fp_features,
                                (uint32_t)(fp_features >> 32), fp_size};
    const uint32_t last = MAGIC2;
    uint64_t features;
    memcpy(&features, state + FXSAVE_SIZE, sizeof features);
    features &= fp_features;
    memcpy(state + FXSAVE_SIZE, &features, sizeof features);
    memcpy(state + SW_RESERVED, marks, sizeof marks);
    memcpy(state + fp_size, &last, sizeof last);
}

static void fill_frame(struct pt_frame *frame, const struct pt_handler *h,
                       const struct user_regs_struct *r)
{
    const uint64_t context[32] = {
        r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
        r->rdi, r->rsi, r->rbp, r->rbx, r->rdx, r->rax, r->rcx, r->rsp, r->rip, r->eflags,
        USER_CS | (uint64_t)USER_DS << 48, h->error, h->trap, h->mask, h->address, h->fp_address,
    };
    memcpy(frame->head, h->head, sizeof frame->head);
    memcpy(frame->context, context, sizeof context);
    frame->mask = h->mask;
    memcpy(frame->siginfo, h->siginfo, sizeof frame->siginfo);
}

// Makes a stopped thread enter a handler; `regs` are its registers if they are
// `known`, else room for them.  Returns 0 or -EFAULT if there is no room for
// the frame; a thread that was killed is no error, its end will be reported.
int pt_enter_handler(int tid, unsigned long *regs, int known, int action, long result,
                     const char *packed)
{
    static _Alignas(64) unsigned char image[FRAME_ROOM + FP_ROOM];
    struct user_regs_struct *r = (struct user_regs_struct *)regs;
    struct pt_handler h;

    memcpy(&h, packed, sizeof h);
    unsigned long gap = h.fp_address - h.sp;
    if (gap < sizeof(struct pt_frame) || gap > FRAME_ROOM)
        return -EFAULT;
    struct iovec iov = {image + gap, FP_ROOM};
    if ((!known && pt_get_guest_registers(tid, regs) < 0) ||
        ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov) < 0)
        return 0;
    struct user_regs_struct before = *r;
    if (action == RESUME_WITH_RESULT)
        before.rax = (unsigned long)result;
    if (h.again >= 0) {
        before.rax = (unsigned long)h.again;
        before.rip -= 2;
    }
    memset(image + sizeof(struct pt_frame), 0, gap - sizeof(struct pt_frame));
    fill_frame((struct pt_frame *)image, &h, &before);
    int reset = needed_reset(image + gap);
    mark_fp_state(image + gap);
    unsigned long size = gap + fp_size + 4;
    if (pt_write(tid, h.sp, (char *)image, size) != (long)size)
        return -EFAULT;
    reset_fp(tid, reset);
    *r = before;
    r->rdi = h.number;
    r->rsi = h.sp + offsetof(struct pt_frame, siginfo);
    r->rdx = h.sp + sizeof(uint64_t);  // the ucontext
    r->rax = 0;
    r->rip = h.handler;
    r->rsp = h.sp;
    r->eflags &= ~EFLAGS_OFF;
    r->orig_rax = -1UL;
    r->cs = USER_CS;
    r->ss = USER_DS;
    r->ds = r->es = r->fs = r->gs = 0;
    ptrace(PTRACE_SETREGS, tid, 0, r);
    return 0;
}

// Has the host take back the frame of a thread that is stopped at
// rt_sigreturn(2), and leaves it at the exit of that call.  Of a bad frame the
// host's SIGSEGV is pending then.  Errors are those of a thread that was killed.
int pt_leave_handler(int tid)
{
    int status;
    if (ptrace(PTRACE_SYSCALL, tid, 0, 0) < 0)
        return -errno;
    int error = wait_for_stop(tid, &status);
    if (error)
        return error;
    return STOP_OF(status) == STOP_CALL_EXIT ? 0 : -EIO;
}
