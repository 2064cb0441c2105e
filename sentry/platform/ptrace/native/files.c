/* Host calls on files that the interpreter does not have; all return a negated errno on failure. */

int pt_allocate(int fd, int mode, long offset, long length)
{
    return fallocate(fd, mode, offset, length) ? -errno : 0;
}

int pt_rename(int old_dir_fd, const char *old_name, int dir_fd, const char *name, unsigned flags)
{
    return syscall(SYS_renameat2, old_dir_fd, old_name, dir_fd, name, flags) ? -errno : 0;
}
