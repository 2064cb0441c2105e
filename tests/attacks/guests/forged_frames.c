// rt_sigreturn(2) with frames that the kernel did not make.

#include "attack.h"

enum {
    NOTHING, RIP_NONCANONICAL, RIP_KERNEL, RIP_ZERO, RSP_KERNEL, RSP_NONCANONICAL, CS_ZERO, CS_KERNEL,
    CS_WILD, SS_ZERO, SS_KERNEL, FLAGS_ALL, FP_KERNEL, FP_UNMAPPED, FP_MISALIGNED, FP_NULL, FP_MXCSR,
    FP_SIZE, FP_FEATURES, FP_RESERVED, FP_MAGIC2, FP_COMPACT, MASK_ALL, CASES,
};
static const char *const names[] = {
    "nothing", "rip noncanonical", "rip kernel", "rip zero", "rsp kernel", "rsp noncanonical", "cs zero",
    "cs kernel", "cs wild", "ss zero", "ss kernel", "flags all", "fp kernel", "fp unmapped",
    "fp misaligned", "fp null", "fp mxcsr", "fp size", "fp features", "fp reserved", "fp magic2",
    "fp compact", "mask all",
};
static int forgery;

static void forge(ucontext_t *context)
{
    greg_t *regs = context->uc_mcontext.gregs;
    unsigned char *fp = (unsigned char *)context->uc_mcontext.fpregs;
    uint32_t *software = (uint32_t *)(fp + 464);
    uint64_t *header = (uint64_t *)(fp + 512);
    uint16_t *segments = (uint16_t *)&regs[REG_CSGSFS];
    switch (forgery) {
    case RIP_NONCANONICAL: regs[REG_RIP] = 0x800000000000; break;
    case RIP_KERNEL: regs[REG_RIP] = 0xffffffff81000000; break;
    case RIP_ZERO: regs[REG_RIP] = 0; break;
    case RSP_KERNEL: regs[REG_RSP] = 0xffffffff81000000; break;
    case RSP_NONCANONICAL: regs[REG_RSP] = 0x800000001000; break;
    case CS_ZERO: segments[0] = 0; break;
    case CS_KERNEL: segments[0] = 0x10; break;
    case CS_WILD: segments[0] = 0xffff; break;
    case SS_ZERO: segments[3] = 0; break;
    case SS_KERNEL: segments[3] = 0x18; break;
    case FLAGS_ALL: regs[REG_EFL] |= 0xffffffffffffffff & ~0x100; break;
    case FP_KERNEL: context->uc_mcontext.fpregs = (void *)0xffffffff81000000; break;
    case FP_UNMAPPED: context->uc_mcontext.fpregs = (void *)64; break;
    case FP_MISALIGNED: context->uc_mcontext.fpregs = (void *)(fp + 8); break;
    case FP_NULL: context->uc_mcontext.fpregs = NULL; break;
    case FP_MXCSR: *(uint32_t *)(fp + 24) = 0xffffffff; break;
    case FP_SIZE: software[1] = 0xfffffff0; software[4] = 0xffffff00; break;
    case FP_FEATURES: header[0] = 0x7fffffffffffffff; break;
    case FP_RESERVED: memset(header + 2, 0xff, 48); break;
    case FP_MAGIC2: *(uint32_t *)(fp + software[4]) = 0; break;
    case FP_COMPACT: header[1] = 1UL << 63 | 7; break;
    case MASK_ALL: memset(&context->uc_sigmask, 0xff, 8); break;
    }
}

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    forge(context);
}

static void try_one(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    if (forgery == FLAGS_ALL) {
        ul flags;
        __asm__ volatile("pushf\n pop %0" : "=r"(flags));
        // I/O privilege level and the virtual-8086 bits stay the kernel's.
        _exit(flags & 0x1b7000 ? 50 : 0);
    }
    if (forgery == MASK_ALL) {
        sigset_t now;
        sigprocmask(SIG_BLOCK, NULL, &now);
        _exit(sigismember(&now, SIGKILL) || sigismember(&now, SIGSTOP) ? 51 : 0);
    }
}

static void without_a_frame(void) { raw(SYS_rt_sigreturn, 0, 0, 0, 0, 0, 0); }

static void on_no_stack(void)
{
    __asm__ volatile("mov $8, %%rsp\n mov $15, %%eax\n syscall" ::: "memory");
}

int main(void)
{
    for (forgery = 0; forgery < CASES; forgery++)
        in_child(names[forgery], try_one);
    in_child("no frame", without_a_frame);
    in_child("no stack", on_no_stack);
    return 0;
}
