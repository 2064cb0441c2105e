/* stat(2), statx(2), access(2), chmod(2), chown(2), utimensat(2), truncate(2), xattr(7).  Also on tmpfs. */
#include "guest.h"

#include <linux/falloc.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static struct stat stat_of(const char *path)
{
	struct stat st;

	OK(lstat(path, &st));
	return st;
}

CASE(stat_of_a_file)
{
	struct stat st;
	time_t now = time(NULL);

	write_file("file", "hello");
	st = stat_of("file");
	EXPECT_EQ(st.st_mode, S_IFREG | 0644);
	EXPECT_EQ(st.st_nlink, 1);
	EXPECT_EQ(st.st_uid, 0);
	EXPECT_EQ(st.st_gid, 0);
	EXPECT_EQ(st.st_size, 5);
	EXPECT(st.st_blocks > 0 && st.st_blocks % 8 == 0);
	EXPECT_EQ(st.st_blksize, 4096);
	EXPECT(labs(st.st_mtime - now) <= 2);
	EXPECT_EQ(st.st_rdev, 0);
}

CASE(stat_errors)
{
	struct stat st;

	write_file("file", "");
	EXPECT_ERRNO(stat("missing", &st), ENOENT);
	EXPECT_ERRNO(stat("file/x", &st), ENOTDIR);
	EXPECT_ERRNO(stat("file/", &st), ENOTDIR);
	EXPECT_ERRNO(fstat(77, &st), EBADF);
	EXPECT_ERRNO(syscall(SYS_stat, "file", 8), EFAULT);
	EXPECT_ERRNO(fstatat(AT_FDCWD, "", &st, 0), ENOENT);
	OK(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH));
	EXPECT(S_ISDIR(st.st_mode));
	EXPECT_ERRNO(fstatat(AT_FDCWD, "file", &st, 1), EINVAL);
	EXPECT_ERRNO(fstatat(77, "file", &st, 0), EBADF);
}

CASE(stat_follows_and_lstat_does_not)
{
	struct stat st;

	write_file("file", "abc");
	OK(symlink("file", "link"));
	OK(stat("link", &st));
	EXPECT(S_ISREG(st.st_mode));
	EXPECT(S_ISLNK(stat_of("link").st_mode));
	OK(fstatat(AT_FDCWD, "link", &st, AT_SYMLINK_NOFOLLOW));
	EXPECT(S_ISLNK(st.st_mode));
}

CASE(statx_fills_what_is_asked)
{
	struct statx stx;

	write_file("file", "hello");
	OK(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &stx));
	EXPECT_EQ(stx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
	EXPECT_EQ(stx.stx_size, 5);
	EXPECT_EQ(stx.stx_mode, S_IFREG | 0644);
	EXPECT_EQ(stx.stx_ino, stat_of("file").st_ino);
	EXPECT_EQ(stx.stx_mtime.tv_nsec, stat_of("file").st_mtim.tv_nsec);
	EXPECT_ERRNO(statx(AT_FDCWD, "missing", 0, STATX_ALL, &stx), ENOENT);
	EXPECT_ERRNO(statx(AT_FDCWD, "file", 1, STATX_ALL, &stx), EINVAL);
	EXPECT_ERRNO(statx(AT_FDCWD, "file", 0, 0x80000000, &stx), EINVAL);
	EXPECT_ERRNO(statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 0, &stx), EINVAL);
	OK(statx(OK(open("file", O_PATH)), "", AT_EMPTY_PATH, STATX_SIZE, &stx));
	EXPECT_EQ(stx.stx_size, 5);
}

CASE(times_change_with_contents_and_attributes)
{
	struct stat before, after;

	write_file("file", "a");
	before = stat_of("file");
	sleep_ms(20);
	write_file("file", "b");
	after = stat_of("file");
	EXPECT(after.st_mtim.tv_nsec != before.st_mtim.tv_nsec || after.st_mtime != before.st_mtime);
	before = after;
	sleep_ms(20);
	OK(chmod("file", 0600));
	after = stat_of("file");
	EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	EXPECT(after.st_ctim.tv_nsec != before.st_ctim.tv_nsec || after.st_ctime != before.st_ctime);
	before = stat_of(".");
	sleep_ms(20);
	OK(unlink("file"));
	after = stat_of(".");
	EXPECT(after.st_mtim.tv_nsec != before.st_mtim.tv_nsec || after.st_mtime != before.st_mtime);
}

CASE(access_uses_the_real_ids)
{
	pid_t pid;

	write_file("file", "");
	OK(chmod("file", 0600));
	OK(access("file", R_OK | W_OK));
	EXPECT_ERRNO(access("file", X_OK), EACCES);
	EXPECT_ERRNO(access("missing", F_OK), ENOENT);
	EXPECT_ERRNO(access("file", 8), EINVAL);
	CHILD(pid) {
		OK(syscall(SYS_setresuid, NOBODY, -1, -1));
		EXPECT_ERRNO(access("file", R_OK), EACCES);
		OK(faccessat(AT_FDCWD, "file", R_OK, AT_EACCESS));
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, "file", 0, 1), EINVAL);
	OK(syscall(SYS_faccessat2, OK(open("file", O_PATH)), "", R_OK, AT_EMPTY_PATH));
}

CASE(access_for_execution_of_root_needs_one_x)
{
	write_file("file", "");
	OK(chmod("file", 0644));
	EXPECT_ERRNO(access("file", X_OK), EACCES);
	OK(chmod("file", 0645));
	OK(access("file", X_OK));
}

CASE(chmod_keeps_the_twelve_bits)
{
	write_file("file", "");
	OK(chmod("file", 07777));
	EXPECT_EQ(stat_of("file").st_mode, S_IFREG | 07777);
	OK(fchmod(OK(open("file", O_RDONLY)), 0170644));
	EXPECT_EQ(stat_of("file").st_mode, S_IFREG | 0644);
	EXPECT_ERRNO(chmod("missing", 0600), ENOENT);
	EXPECT_ERRNO(fchmod(77, 0600), EBADF);
}

CASE(chmod_by_others_is_eperm)
{
	pid_t pid;

	write_file("file", "");
	OK(chmod("file", 0666));
	write_file("own", "");
	OK(chown("own", NOBODY, 1234));
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(chmod("file", 0600), EPERM);
		OK(chmod("own", 02755));
		EXPECT_EQ(stat_of("own").st_mode & 07777, 0755);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(chown_sets_and_clears_set_ids)
{
	write_file("file", "");
	OK(chmod("file", 06755));
	OK(chown("file", 1, 2));
	EXPECT_EQ(stat_of("file").st_uid, 1);
	EXPECT_EQ(stat_of("file").st_gid, 2);
	EXPECT_EQ(stat_of("file").st_mode & 07777, 0755);
	OK(chown("file", -1, 3));
	EXPECT_EQ(stat_of("file").st_uid, 1);
	EXPECT_EQ(stat_of("file").st_gid, 3);
	OK(symlink("file", "link"));
	OK(lchown("link", 7, 8));
	EXPECT_EQ(stat_of("link").st_uid, 7);
	EXPECT_EQ(stat_of("file").st_uid, 1);
	OK(chown("link", 9, 9));
	EXPECT_EQ(stat_of("file").st_uid, 9);
}

CASE(chown_of_directories_keeps_set_ids)
{
	OK(mkdir("dir", 0755));
	OK(chmod("dir", 02755));
	OK(chown("dir", 1, 2));
	EXPECT_EQ(stat_of("dir").st_mode & 07777, 02755);
}

CASE(chown_by_others_is_eperm)
{
	pid_t pid;

	write_file("own", "");
	OK(chown("own", NOBODY, NOBODY));
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(chown("own", 0, -1), EPERM);
		EXPECT_ERRNO(chown("own", -1, 5), EPERM);
		OK(chown("own", NOBODY, NOBODY));
		OK(chown("own", -1, -1));
	}
	EXPECT_EXIT(pid, 0);
}

CASE(utimensat_sets_omits_and_takes_now)
{
	struct timespec times[2] = {{100, 5}, {200, 6}};
	struct stat st;

	write_file("file", "");
	OK(utimensat(AT_FDCWD, "file", times, 0));
	st = stat_of("file");
	EXPECT_EQ(st.st_atime, 100);
	EXPECT_EQ(st.st_atim.tv_nsec, 5);
	EXPECT_EQ(st.st_mtime, 200);
	times[0] = (struct timespec){0, UTIME_OMIT};
	times[1] = (struct timespec){0, UTIME_NOW};
	OK(utimensat(AT_FDCWD, "file", times, 0));
	st = stat_of("file");
	EXPECT_EQ(st.st_atime, 100);
	EXPECT(labs(st.st_mtime - time(NULL)) <= 2);
	times[0].tv_nsec = 1000000000;
	EXPECT_ERRNO(utimensat(AT_FDCWD, "file", times, 0), EINVAL);
	EXPECT_ERRNO(utimensat(AT_FDCWD, "missing", NULL, 0), ENOENT);
	EXPECT_ERRNO(utimensat(AT_FDCWD, "file", NULL, 1), EINVAL);
}

CASE(utimensat_before_the_epoch)
{
	struct timespec times[2] = {{-5, 7}, {-6, 8}};

	write_file("file", "");
	OK(utimensat(AT_FDCWD, "file", times, 0));
	EXPECT_EQ(stat_of("file").st_atime, -5);
	EXPECT_EQ(stat_of("file").st_mtime, -6);
	EXPECT_EQ(stat_of("file").st_mtim.tv_nsec, 8);
}

CASE(utimensat_permissions)
{
	struct timespec times[2] = {{100, 5}, {200, 6}};
	pid_t pid;

	write_file("file", "");
	OK(chmod("file", 0666));
	write_file("closed", "");
	CHILD(pid) {
		become(NOBODY);
		OK(utimensat(AT_FDCWD, "file", NULL, 0));
		EXPECT_ERRNO(utimensat(AT_FDCWD, "file", times, 0), EPERM);
		EXPECT_ERRNO(utimensat(AT_FDCWD, "closed", NULL, 0), EACCES);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(utimensat_of_a_link_itself)
{
	struct timespec times[2] = {{100, 5}, {200, 6}};

	OK(symlink("nowhere", "link"));
	OK(utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW));
	EXPECT_EQ(stat_of("link").st_mtime, 200);
}

CASE(truncate_cuts_and_grows)
{
	char bytes[8];
	int fd;

	write_file("file", "abcdef");
	OK(truncate("file", 3));
	EXPECT_STR(read_file("file"), "abc");
	OK(truncate("file", 5));
	fd = OK(open("file", O_RDWR));
	EXPECT_EQ(read(fd, bytes, 8), 5);
	EXPECT(memcmp(bytes, "abc\0\0", 5) == 0);
	OK(ftruncate(fd, 0));
	EXPECT_EQ(stat_of("file").st_size, 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 5);
}

CASE(truncate_errors)
{
	write_file("file", "");
	EXPECT_ERRNO(truncate("file", -1), EINVAL);
	EXPECT_ERRNO(truncate("missing", 0), ENOENT);
	EXPECT_ERRNO(truncate(".", 0), EISDIR);
	EXPECT_ERRNO(ftruncate(OK(open("file", O_RDONLY)), 0), EINVAL);
	EXPECT_ERRNO(ftruncate(OK(open(".", O_RDONLY)), 0), EINVAL);
	EXPECT_ERRNO(ftruncate(77, 0), EBADF);
	OK(mkfifo("fifo", 0600));
	EXPECT_ERRNO(truncate("fifo", 0), EINVAL);
}

CASE(fallocate_grows_the_file)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));

	OK(fallocate(fd, 0, 100, 1000));
	EXPECT_EQ(stat_of("file").st_size, 1100);
	EXPECT(stat_of("file").st_blocks >= 8);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
	EXPECT_EQ(stat_of("file").st_size, 1100);
}

CASE(fallocate_punches_holes)
{
	static char bytes[16384];
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));

	memset(bytes, 'x', sizeof(bytes));
	EXPECT_EQ(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096));
	EXPECT_EQ(pread(fd, bytes, 16384, 0), 16384);
	EXPECT_EQ(bytes[4095], 'x');
	EXPECT_EQ(bytes[4096], 0);
	EXPECT_EQ(bytes[8191], 0);
	EXPECT_EQ(bytes[8192], 'x');
	EXPECT_EQ(lseek(fd, 0, SEEK_HOLE), 4096);
	EXPECT_EQ(lseek(fd, 4096, SEEK_DATA), 8192);
}

CASE(fallocate_errors)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600)), fds[2];

	OK(pipe(fds));
	EXPECT_ERRNO(fallocate(fd, 0, -1, 1), EINVAL);
	EXPECT_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	EXPECT_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
	EXPECT_ERRNO(fallocate(OK(open("file", O_RDONLY)), 0, 0, 1), EBADF);
	EXPECT_ERRNO(fallocate(fds[1], 0, 0, 1), ESPIPE);
	EXPECT_ERRNO(fallocate(77, 0, 0, 1), EBADF);
	EXPECT_ERRNO(fallocate(fd, 0, LONG_MAX, 1), EFBIG);
}

CASE(xattrs_are_kept)
{
	char value[16], list[256];

	write_file("file", "");
	OK(setxattr("file", "user.one", "abc", 3, 0));
	EXPECT_EQ(getxattr("file", "user.one", NULL, 0), 3);
	EXPECT_EQ(getxattr("file", "user.one", value, 16), 3);
	EXPECT(memcmp(value, "abc", 3) == 0);
	EXPECT_ERRNO(getxattr("file", "user.one", value, 2), ERANGE);
	EXPECT_ERRNO(getxattr("file", "user.two", value, 2), ENODATA);
	EXPECT_ERRNO(setxattr("file", "user.one", "x", 1, XATTR_CREATE), EEXIST);
	EXPECT_ERRNO(setxattr("file", "user.two", "x", 1, XATTR_REPLACE), ENODATA);
	EXPECT_ERRNO(setxattr("file", "user.", "x", 1, 4), EINVAL);
	EXPECT_EQ(listxattr("file", list, sizeof(list)), 9);
	EXPECT_STR(list, "user.one");
	EXPECT_ERRNO(listxattr("file", list, 3), ERANGE);
	OK(removexattr("file", "user.one"));
	EXPECT_ERRNO(removexattr("file", "user.one"), ENODATA);
	EXPECT_EQ(listxattr("file", list, sizeof(list)), 0);
}

CASE(xattr_names_and_kinds)
{
	write_file("file", "");
	OK(symlink("file", "link"));
	EXPECT_ERRNO(setxattr("file", "nonsense", "x", 1, 0), EOPNOTSUPP);
	EXPECT_ERRNO(setxattr("file", "", "x", 1, 0), ERANGE);
	EXPECT_ERRNO(lsetxattr("link", "user.one", "x", 1, 0), EPERM);
	OK(setxattr("link", "user.one", "x", 1, 0));
	EXPECT_EQ(getxattr("file", "user.one", NULL, 0), 1);
	OK(setxattr("file", "user.empty", "", 0, 0));
	EXPECT_EQ(getxattr("file", "user.empty", NULL, 0), 0);
}

CASE(statfs_of_what_is_here)
{
	struct statfs one, two;

	OK(statfs(".", &one));
	OK(fstatfs(OK(open(".", O_RDONLY)), &two));
	EXPECT_EQ(one.f_type, two.f_type);
	EXPECT_EQ(one.f_namelen, 255);
	EXPECT(one.f_bsize >= 512);
	OK(statfs("/proc", &one));
	EXPECT_EQ(one.f_type, 0x9fa0);
	OK(statfs("/dev", &one));
	EXPECT_EQ(one.f_type, 0x01021994);
	EXPECT_ERRNO(statfs("missing", &one), ENOENT);
	EXPECT_ERRNO(fstatfs(77, &one), EBADF);
}

CASE(umask_is_masked_and_returned)
{
	umask(022);
	EXPECT_EQ(umask(07777), 022);
	EXPECT_EQ(umask(0), 0777);
}
