// What has a key or a name in an IPC namespace: one process makes it, another looks for it.

#include "attack.h"

#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

enum { KEY = 77 };

static void tell(const char *what, long result)
{
    printf("%s: %s\n", what, error_of(result < 0 ? -errno : result));
}

// Arguments: what to do, and perhaps a file that tells when it is done.
int main(int argc, char **argv)
{
    int flags = strcmp(argv[1], "make") == 0 ? IPC_CREAT | IPC_EXCL | 0666 : 0;
    int open_flags = flags ? O_RDWR | O_CREAT | O_EXCL : O_RDWR;
    tell("memory", shmget(KEY, 4096, flags));
    tell("semaphores", semget(KEY, 1, flags));
    tell("messages", msgget(KEY, flags));
    tell("queue", mq_open("/named", open_flags, 0666, NULL));
    fflush(stdout);
    if (argc > 2)
        sleep(1000);
    return 0;
}
