/* pidfd_getfd(2), process_madvise(2), fchmodat2(2), and calls for administrators alone. */
#include "guest.h"

#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_process_madvise
#define SYS_process_madvise 440
#endif

static int pidfd_of(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

static int take(int pidfd, int fd, unsigned flags)
{
	return syscall(SYS_pidfd_getfd, pidfd, fd, flags);
}

/* A child that has a pipe's end as descriptor 77 and waits. */
static pid_t child_with_pipe(int *other_end)
{
	int ends[2];
	pid_t pid;

	OK(pipe(ends));
	CHILD(pid) {
		OK(dup2(ends[1], 77));
		OK(close(ends[1]));
		pause();
	}
	OK(close(ends[1]));
	*other_end = ends[0];
	wait_until_asleep(pid);
	return pid;
}

CASE(descriptors_are_taken_from_others)
{
	int end, fd, pidfd;
	char byte;
	pid_t pid = child_with_pipe(&end);

	pidfd = OK(pidfd_of(pid));
	fd = OK(take(pidfd, 77, 0));
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(write(fd, "x", 1), 1);
	EXPECT_EQ(read(end, &byte, 1), 1);
	EXPECT_ERRNO(take(pidfd, 78, 0), EBADF);
	EXPECT_ERRNO(take(pidfd, -1, 0), EBADF);
	EXPECT_ERRNO(take(pidfd, 77, 1), EINVAL);
	EXPECT_ERRNO(take(end, 77, 0), EBADF);
	EXPECT_ERRNO(take(99, 77, 0), EBADF);
	OK(kill(pid, SIGKILL));
	EXPECT_KILLED(pid, SIGKILL);
	EXPECT_ERRNO(take(pidfd, 77, 0), ESRCH);
	/* It is a descriptor like any other. */
	OK(close(fd));
	EXPECT_EQ(read(end, &byte, 1), 0);
}

CASE(descriptors_of_strangers_are_not)
{
	int end, pidfd;
	pid_t other = child_with_pipe(&end), pid;

	pidfd = OK(pidfd_of(other));
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(take(pidfd, 77, 0), EPERM);
	}
	EXPECT_EXIT(pid, 0);
	OK(kill(other, SIGKILL));
}

CASE(advice_about_memory_by_descriptor)
{
	char *memory = OK(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	struct iovec parts[2] = {{memory, PAGE}, {memory + 2 * PAGE, PAGE}};
	int self = OK(pidfd_of(getpid()));

	memory[0] = 'x';
	EXPECT_EQ(syscall(SYS_process_madvise, self, parts, 2, MADV_COLD, 0), 2 * PAGE);
	EXPECT_EQ(syscall(SYS_process_madvise, self, parts, 2, MADV_PAGEOUT, 0), 2 * PAGE);
	EXPECT_EQ(memory[0], 'x');
	EXPECT_ERRNO(syscall(SYS_process_madvise, self, parts, 2, MADV_COLD, 1), EINVAL);
	EXPECT_ERRNO(syscall(SYS_process_madvise, self, parts, 2, 99, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_process_madvise, 0, parts, 2, MADV_COLD, 0), EBADF);
	EXPECT_ERRNO(syscall(SYS_process_madvise, self, (void *)8, 2, MADV_COLD, 0), EFAULT);
}

static int change(const char *path, mode_t mode, int flags)
{
	return syscall(SYS_fchmodat2, AT_FDCWD, path, mode, flags);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	OK(lstat(path, &st));
	return st.st_mode & 07777;
}

CASE(modes_with_flags)
{
	int fd;

	write_file("file", "");
	OK(symlink("file", "link"));
	OK(change("link", 0600, 0));
	EXPECT_EQ(mode_of("file"), 0600);
	OK(change("file", 0640, AT_SYMLINK_NOFOLLOW));
	EXPECT_EQ(mode_of("file"), 0640);
	EXPECT_ERRNO(change("link", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
	fd = OK(open("file", O_PATH));
	OK(syscall(SYS_fchmodat2, fd, "", 0604, AT_EMPTY_PATH));
	EXPECT_EQ(mode_of("file"), 0604);
	EXPECT_ERRNO(change("", 0600, 0), ENOENT);
	EXPECT_ERRNO(change("file", 0600, 0x800), EINVAL);
}

CASE(calls_for_administrators)
{
	EXPECT_ERRNO(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
	EXPECT_ERRNO(mount("none", "/nothing", "tmpfs", 0, NULL), ENOENT);
	EXPECT_ERRNO(mount((void *)8, "/tmp", "tmpfs", 0, NULL), EFAULT);
	EXPECT_ERRNO(mount(NULL, "/tmp", NULL, MS_REMOUNT, NULL), EPERM);
	EXPECT_ERRNO(umount2("/tmp", MNT_DETACH), EPERM);
	EXPECT_ERRNO(umount2("/nothing", 0), ENOENT);
	EXPECT_ERRNO(umount2("/tmp", 0x100), EINVAL);
	EXPECT_ERRNO(syscall(SYS_pivot_root, "/tmp", "/tmp"), EPERM);
	EXPECT_ERRNO(syscall(SYS_fsopen, "tmpfs", 0), EPERM);
	EXPECT_ERRNO(syscall(SYS_swapon, "/nothing", 0), EPERM);
	EXPECT_ERRNO(syscall(SYS_swapoff, "/nothing"), EPERM);
	EXPECT_ERRNO(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0), EPERM);
	EXPECT_ERRNO(syscall(SYS_acct, NULL), EPERM);
	EXPECT_ERRNO(syscall(SYS_userfaultfd, O_CLOEXEC), EPERM);
}
