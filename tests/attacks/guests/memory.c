// Memory calls that reach further than the caller's own memory, or try to.

#include "attack.h"

#define SIZE 16384

static void show_file(const char *path)
{
    char text[SIZE] = {0};
    int fd = open(path, O_RDONLY);
    ssize_t size = read(fd, text, sizeof text);
    int full = 0;
    for (ssize_t i = 0; i < size; i++)
        full += text[i] == 'k';
    printf("%s: %zd bytes, %d kept\n", path, size, full);
    close(fd);
}

static void make_file(const char *path, mode_t mode)
{
    char text[SIZE];
    memset(text, 'k', sizeof text);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (write(fd, text, sizeof text) != sizeof text)
        exit(9);
    fchmod(fd, mode);
    close(fd);
}

static const char *answer(long result) { return result < 0 ? strerrorname_np(errno) : "done"; }

// All advice on a shared mapping of a file that was opened for reading.
static void advise(const char *path)
{
    for (int advice = 0; advice < 26; advice++) {
        int fd = open(path, O_RDONLY);
        char *at = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) {
            printf("%s: mmap: %s\n", path, strerrorname_np(errno));
            return;
        }
        long result = madvise(at, SIZE, advice);
        if (advice == MADV_DONTDUMP || advice == MADV_DODUMP ||
            advice == MADV_DONTNEED || advice == MADV_SEQUENTIAL || advice == 5 || advice == 6)
            printf("%s: advice %d: %s\n", path, advice, answer(result));
        if (advice == MADV_REMOVE && result == 0)
            exit(8);
        munmap(at, SIZE);
        close(fd);
    }
    show_file(path);
}

// A mapping for reading must never become one for writing.
static void make_writable(const char *name, int fd)
{
    char *at = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        printf("%s: mmap: %s\n", name, strerrorname_np(errno));
        return;
    }
    printf("%s: mprotect: %s\n", name, answer(mprotect(at, SIZE, PROT_READ | PROT_WRITE)));
    char *copy = mremap(at, 0, SIZE, MREMAP_MAYMOVE);
    if (copy != MAP_FAILED)
        printf("%s: mprotect of a copy: %s\n", name, answer(mprotect(copy, SIZE, PROT_WRITE)));
    fflush(stdout);
    if (fork() == 0) {
        printf("%s: mprotect in a child: %s\n", name, answer(mprotect(at, SIZE, PROT_WRITE)));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    char *shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    printf("%s: mmap for writing: %s\n", name, shared == MAP_FAILED ? strerrorname_np(errno) : "done");
    char *own = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (own != MAP_FAILED)
        memset(own, 'x', SIZE);
    munmap(at, SIZE);
}

int main(void)
{
    const char *paths[] = {"/root-file", "/tmp/tmp-file", "/dev/shm/shm-file"};
    for (int i = 0; i < 3; i++) {
        make_file(paths[i], 0444);
        advise(paths[i]);
        int fd = open(paths[i], O_RDONLY);
        make_writable(paths[i], fd);
        show_file(paths[i]);
        close(fd);
    }
    int memory = memfd_create("canary", MFD_ALLOW_SEALING);
    char text[SIZE], name[64];
    memset(text, 'k', SIZE);
    if (write(memory, text, SIZE) != SIZE)
        return 9;
    snprintf(name, sizeof name, "/proc/self/fd/%d", memory);
    int reader = open(name, O_RDONLY);
    make_writable("memfd", reader);
    char *writable = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    printf("memfd: its owner may: %s\n", writable == MAP_FAILED ? "no" : "done");
    printf("memfd: seal while mapped: %s\n", answer(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE)));
    munmap(writable, SIZE);
    printf("memfd: seal: %s\n", answer(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK)));
    char *late = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, memory, 0);
    printf("memfd: sealed, mprotect: %s\n", late == MAP_FAILED ? "no map" : answer(mprotect(late, SIZE, 3)));
    printf("memfd: sealed, remove: %d\n", late == MAP_FAILED || madvise(late, SIZE, MADV_REMOVE) == 0);
    char *anonymous = mmap(NULL, SIZE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int advice = 100; advice < 104; advice++) {
        long result = madvise(anonymous, SIZE, advice);
        if (advice < 102 && result == 0)
            return 10;  // as if a page of the host were broken
    }
    printf("remap_file_pages: %d\n", (int)raw(SYS_remap_file_pages, 64, 4096, 0, 0, 0, 0) < 0);
    printf("process_madvise: %d\n", (int)raw(SYS_process_madvise, 0, 0, 0, 4, 0, 0) < 0);
    long faults = raw(SYS_userfaultfd, 0, 0, 0, 0, 0, 0);  // privileged natively
    printf("userfaultfd: %d\n", faults >= 0 || faults == -EPERM);
    return 0;
}
