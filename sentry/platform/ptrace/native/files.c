/* Host calls on files that the interpreter does not have, or has only with much work around them; all
 * return a negated errno on failure. */

#include <sys/stat.h>

_Static_assert(sizeof(struct stat) == 144, "struct stat of x86-64, as sentry/abi/stat.py has it");

static struct stat stat_result;

char *pt_stat_buffer(void) { return (char *)&stat_result; }

/* What a name in a directory is, into the kept buffer; follows nothing. */
int pt_stat_at(int dir_fd, const char *name)
{
    return fstatat(dir_fd, name, &stat_result, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

int pt_stat_fd(int fd)
{
    return fstat(fd, &stat_result) ? -errno : 0;
}

int pt_open_at(int dir_fd, const char *name, int flags, unsigned mode)
{
    int fd;
    do
        fd = openat(dir_fd, name, flags, mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Not again after EINTR: the descriptor is gone then (close(2)). */
int pt_close(int fd)
{
    return close(fd) ? -errno : 0;
}

int pt_allocate(int fd, int mode, long offset, long length)
{
    return fallocate(fd, mode, offset, length) ? -errno : 0;
}

int pt_rename(int old_dir_fd, const char *old_name, int dir_fd, const char *name, unsigned flags)
{
    return syscall(SYS_renameat2, old_dir_fd, old_name, dir_fd, name, flags) ? -errno : 0;
}
