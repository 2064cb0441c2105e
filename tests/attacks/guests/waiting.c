// futex(2) and CLONE_CHILD_CLEARTID by hand: who waits for the end of a thread is woken.

#include "attack.h"

#include <linux/futex.h>

static volatile int word;
static char stacks[8][65536] __attribute__((aligned(16)));

static int thread_body(void *unused) { return 0; }

static int busy_body(void *unused)
{
    for (volatile int i = 0; i < 200000; i++)
        ;
    return 0;
}

static int one(int (*body)(void *), int timed)
{
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                      CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    struct timespec limit = {20, 0};
    word = -1;
    int tid = clone(body, stacks[1], flags, NULL, &word, NULL, &word);
    int waits = 0;
    while (word != 0) {
        int seen = word;
        if (seen == 0)
            break;
        long result = raw(SYS_futex, (ul)&word, FUTEX_WAIT, seen, timed ? (ul)&limit : 0, 0, 0);
        if (result == -ETIMEDOUT)
            return 1;
        if (++waits > 1000)
            return 2;
    }
    return tid > 0 ? 0 : 3;
}

static volatile long total;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *adder(void *unused)
{
    for (int i = 0; i < 300; i++) {
        pthread_mutex_lock(&lock);
        total++;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static volatile int ticks;

static void on_tick(int number) { ticks++; }

static void *leave_last(void *unused)
{
    usleep(30000);
    _exit(6);
}

static void leader_first(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, leave_last, NULL);
    raw(SYS_exit, 9, 0, 0, 0, 0, 0);
}

static void *forever(void *unused)
{
    for (;;)
        if (unused)
            pause();
}

static void exit_with_siblings(void)
{
    pthread_t thread;
    for (long i = 0; i < 8; i++)
        pthread_create(&thread, NULL, forever, (void *)(i % 2));
    usleep(20000);
    raw(SYS_exit_group, 7, 0, 0, 0, 0, 0);
}

int main(void)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 700}, {0, 700}};
    sigaction(SIGALRM, &action, NULL);
    for (int storm = 0; storm < 2; storm++) {
        int failures = 0;
        if (storm)
            setitimer(ITIMER_REAL, &every, NULL);
        for (int i = 0; i < 100; i++)
            failures += one(i % 2 ? thread_body : busy_body, i % 3 == 0) != 0;
        printf("threads, storm %d: %d lost\n", storm, failures);
        pthread_t threads[6];
        total = 0;
        for (int i = 0; i < 6; i++)
            pthread_create(&threads[i], NULL, adder, NULL);
        for (int i = 0; i < 6; i++)
            pthread_join(threads[i], NULL);
        printf("mutex, storm %d: %ld\n", storm, total);
    }
    every = (struct itimerval){{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &every, NULL);
    struct timespec moment = {0, 30000000};
    word = 5;
    printf("timed: %ld\n", raw(SYS_futex, (ul)&word, FUTEX_WAIT, 5, (ul)&moment, 0, 0));
    in_child("leader first", leader_first);
    in_child("siblings", exit_with_siblings);
    return 0;
}
