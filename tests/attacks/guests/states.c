// A guest that stays in the state its argument names.

#include "attack.h"

extern char **environ;

static void *compute(void *unused)
{
    for (;;)
        ;
}

static void *block(void *unused)
{
    for (;;)
        pause();
}

static void *call_much(void *unused)
{
    for (;;)
        raw(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
    const char *state = argv[1];
    pthread_t thread;
    if (strcmp(state, "computing") == 0)
        compute(NULL);
    if (strcmp(state, "blocked") == 0)
        block(NULL);
    if (strcmp(state, "calling") == 0)
        call_much(NULL);
    if (strcmp(state, "vfork") == 0 && vfork() == 0)
        compute(NULL);
    if (strcmp(state, "executing") == 0)
        execve("/bin/states", argv, environ);
    if (strcmp(state, "forking") == 0)
        for (;;) {
            if (fork() == 0)
                _exit(0);
            wait(NULL);
        }
    if (strcmp(state, "threads") == 0) {
        void *(*const kinds[])(void *) = {compute, block, call_much};
        for (int i = 0; i < 30; i++)
            pthread_create(&thread, NULL, kinds[i % 3], NULL);
        block(NULL);
    }
    if (strcmp(state, "mapping") == 0)
        for (;;) {
            int fd = open("/bin/states", O_RDONLY);
            void *at = mmap(NULL, 65536, PROT_READ, MAP_PRIVATE, fd, 0);
            munmap(at, 65536);
            close(fd);
        }
    return 1;
}
