// Numbers that are in no table, or in another one.

#include "attack.h"

int main(void)
{
    const long self = getpid();
    const ul odd[] = {-1UL, 0x80000000UL, 0x7fffffffUL, 1000000, 1023, 0xffffffff80000000UL,
                      0x40000000UL | 39, 0x40000000UL | 59, 0x4000ffffUL, 0xffffffffUL};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        printf("%#lx: %ld\n", odd[i], raw(odd[i], 0, 0, 0, 0, 0, 0));
    // The x32 calls: ioctl, execve, ptrace, process_vm_writev and others have numbers here.
    for (ul number = 512; number <= 547; number++)
        printf("x32 %lu: %ld\n", number, raw(0x40000000UL | number, 0, 0, 0, 0, 0, 0));
    for (ul number = 512; number <= 547; number++)
        if (raw(number, 0, 0, 0, 0, 0, 0) != -ENOSYS)
            printf("%lu is a call\n", number);
    // Linux looks at 32 bits of the number (linux: do_syscall_64).
    printf("upper half 1: %d\n", raw(0x100000000UL + SYS_getpid, 0, 0, 0, 0, 0, 0) == self);
    printf("upper half -1: %d\n", raw(0xffffffff00000000UL + SYS_getpid, 0, 0, 0, 0, 0, 0) == self);
    printf("upper half, mmap: %d\n",
           raw(0x500000000UL + SYS_mmap, 0, 4096, 3, 0x22, -1, 0) > 0);
    printf("restart_syscall: %ld\n", raw(SYS_restart_syscall, 0, 0, 0, 0, 0, 0));
    printf("the pid is still %d\n", getpid() == self);
    return 0;
}
