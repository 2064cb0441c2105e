// Fills the address space until low pages are handed out that the sandbox's own
// loader used before, and plants system calls there, in several processes.

#include "attack.h"

static long at_page(ul page, long number)
{
    // mov $number, %eax; syscall; ret: at every place of the page at which there was one.
    const unsigned char code[] = {0xb8, number, number >> 8, 0, 0, 0x0f, 0x05, 0xc3};
    long first = -1;
    for (ul at = page; at < page + 256; at++) {
        memcpy((void *)at, code, sizeof code);
        long result = ((long (*)(void))at)();
        if (at > page && result != first)
            return -99999;
        first = result;
    }
    return first;
}

static void plant(void)
{
    for (ul page = 0x10000; page < 0x14000; page += 4096) {
        if (mprotect((void *)page, 4096, 7) != 0)
            _exit(90);
        // On the host the parent of each stub is the sandbox, and pids are others.
        if (at_page(page, SYS_getppid) != getppid() || at_page(page, SYS_getpid) != getpid())
            _exit(91);
        if (at_page(page, SYS_getuid) != 0 || at_page(page, 1000) != -ENOSYS)
            _exit(92);
    }
}

int main(void)
{
    char *kept = malloc(1);
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("filling");
    long count = 0;
    for (ul size = 1UL << 46; size >= 4096; size >>= 1)
        while (raw(SYS_mmap, 0, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) < -4096UL)
            count++;
    printf("filled: %d\n", count > 20);
    in_child("planted in a child", plant);
    plant();
    puts("planted");
    return kept == NULL;
}
