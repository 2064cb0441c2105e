// The ways into the kernel that are not `syscall`: each has the table of i386.
// The argument is the directory in which nothing may appear.

#include "attack.h"

static char *low;  // code and stack below 4 GiB

static long int80(long number, long b, long c, long d)
{
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(b), "c"(c), "d"(d)
                     : "r8", "r9", "r10", "r11", "memory");
    return (int)result;
}

static void enter_by_sysenter(void)
{
    // i386's exit(42), which is write(2) in the table of x86-64.
    __asm__ volatile("mov $1, %%eax\n mov $42, %%ebx\n mov %%rsp, %%rbp\n sysenter" ::: "memory");
}

// Goes to a 32-bit code segment by a far return, makes calls there, and returns.
static long in_compat_mode(int number, int b, int c, int d)
{
    unsigned char code[] = {
        0xbb, b, b >> 8, b >> 16, b >> 24,                    // mov $b, %ebx
        0xb9, c, c >> 8, c >> 16, c >> 24,                    // mov $c, %ecx
        0xba, d, d >> 8, d >> 16, d >> 24,                    // mov $d, %edx
        0xb8, number, number >> 8, number >> 16, number >> 24, // mov $number, %eax
        0xcd, 0x80,                                           // int $0x80
        0xcb,                                                 // lret, to 64-bit code
    };
    memcpy(low, code, sizeof code);
    long result;
    __asm__ volatile("mov %%rsp, %%r15\n"
                     "lea 8192(%[low]), %%rsp\n"
                     "lea 1f(%%rip), %%rax\n"
                     "sub $8, %%rsp\n"
                     "mov %%eax, (%%rsp)\n"     // what the 32-bit lret takes: eip, cs
                     "movl $0x33, 4(%%rsp)\n"
                     "sub $16, %%rsp\n"
                     "mov %[low], (%%rsp)\n"
                     "movq $0x23, 8(%%rsp)\n"
                     "lretq\n"
                     "1:\n"
                     "mov %%r15, %%rsp\n"
                     : "=&a"(result)
                     : [low] "r"(low)
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r15", "memory");
    return (int)result;
}

static void syscall_in_compat_mode(void)
{
    // AMD has `syscall` in 32-bit code (another entry again), Intel an exception.
    const unsigned char code[] = {0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0x0f, 0x05, 0xf4};
    memcpy(low, code, sizeof code);
    __asm__ volatile("lea 8192(%0), %%rsp\n push $0x23\n push %0\n lretq" : : "r"(low) : "memory");
}

static void sysenter_in_compat_mode(void)
{
    const unsigned char code[] = {0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0x89, 0xe5, 0x0f, 0x34, 0xf4};
    memcpy(low, code, sizeof code);
    __asm__ volatile("lea 8192(%0), %%rsp\n push $0x23\n push %0\n lretq" : : "r"(low) : "memory");
}

static void far_call_to_kernel_segment(void)
{
    __asm__ volatile("push $0x10\n push %0\n lretq" : : "r"(low) : "memory");
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    low = mmap(NULL, 16384, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    char *path = low + 12288;
    snprintf(path, 4096, "%s/made-by-i386", argv[1]);
    // Numbers that are other calls in the other table, and the harmful ones.
    const int numbers[] = {1, 2, 3, 4, 5, 9, 11, 20, 26, 39, 59, 101, 120, 125, 172, 190, 358, 435, -1};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        printf("int 0x80, %d: %ld\n", numbers[i], int80(numbers[i], 1, (long)path, 3));
    printf("creat: %ld\n", int80(8, (long)path, 0644, 0));
    printf("compat mode, creat: %ld\n", in_compat_mode(8, (int)(long)path, 0644, 0));
    printf("compat mode, exit: %ld\n", in_compat_mode(1, 42, 0, 0));
    printf("compat mode, fork: %ld\n", in_compat_mode(2, 0, 0, 0));
    in_child("sysenter", enter_by_sysenter);
    in_child("syscall in compat mode", syscall_in_compat_mode);
    in_child("sysenter in compat mode", sysenter_in_compat_mode);
    in_child("kernel segment", far_call_to_kernel_segment);
    printf("made: %d\n", access(path, F_OK) == 0);
    return 0;
}
