// What a program finds in its registers when it starts: `first` is its entry.

#include "attack.h"

#include <cpuid.h>

unsigned char state[16384] __attribute__((aligned(64)));
ul general[16];

__asm__(".globl first\n"
        "first:\n"
        "mov %rax, general+0\n mov %rbx, general+8\n mov %rcx, general+16\n mov %rdx, general+24\n"
        "mov %rsi, general+32\n mov %rdi, general+40\n mov %rbp, general+48\n mov %r8, general+56\n"
        "mov %r9, general+64\n mov %r10, general+72\n mov %r11, general+80\n mov %r12, general+88\n"
        "mov %r13, general+96\n mov %r14, general+104\n mov %r15, general+112\n"
        "mov $-1, %eax\n mov $-1, %edx\n"
        "xsave state\n"
        "mov general+0, %rax\n mov general+24, %rdx\n"
        "jmp _start\n");

int main(int argc, char **argv)
{
    for (int i = 0; i < 15; i++)
        printf("register %d: %#lx\n", i, general[i]);
    printf("FCW %#x, MXCSR %#x\n", *(uint16_t *)state, *(uint32_t *)(state + 24));
    for (int i = 0; i < sizeof state; i++)
        if (state[i] && (i < 512 || i >= 576))
            printf("byte %d: %#x\n", i, state[i]);
    if (argc > 1)
        return 0;
    // Fills every vector register and executes: nothing of it may arrive either.
    static char self[] = "/bin/fresh";
    char *args[] = {self, "again", NULL};
    fflush(stdout);
    unsigned char marks[512] __attribute__((aligned(64)));
    memset(marks, 0xa5, sizeof marks);
    __asm__ volatile("movups (%0), %%xmm0\n movups (%0), %%xmm7\n movups (%0), %%xmm15\n fld1\n fldpi\n"
                     : : "r"(marks) : "xmm0", "xmm7", "xmm15");
    execv(self, args);
    return 1;
}
