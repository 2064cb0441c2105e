/* open(2), openat(2), openat2(2), creat(2).  Also on tmpfs. */
#include "guest.h"

#include <linux/openat2.h>
#include <sys/file.h>

static long openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {flags, mode, resolve};

	return syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static int mode_of(const char *path)
{
	struct stat st;

	OK(lstat(path, &st));
	return st.st_mode & 07777;
}

CASE(missing_file_is_enoent)
{
	EXPECT_ERRNO(open("missing", O_RDONLY), ENOENT);
	EXPECT_ERRNO(open("missing/file", O_RDONLY | O_CREAT, 0600), ENOENT);
	EXPECT_ERRNO(open("", O_RDONLY), ENOENT);
	EXPECT_ERRNO(open((char *)8, O_RDONLY), EFAULT);
}

CASE(name_through_a_file_is_enotdir)
{
	write_file("file", "");
	EXPECT_ERRNO(open("file/x", O_RDONLY), ENOTDIR);
	EXPECT_ERRNO(open("file/", O_RDONLY), ENOTDIR);
	EXPECT_ERRNO(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
	EXPECT_ERRNO(open("file/..", O_RDONLY), ENOTDIR);
}

CASE(name_too_long)
{
	char name[300], path[5000];

	memset(name, 'a', sizeof(name));
	name[256] = 0;
	EXPECT_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
	name[255] = 0;
	EXPECT_ERRNO(open(name, O_RDONLY), ENOENT);
	memset(path, '/', sizeof(path));
	path[4096] = 0;
	EXPECT_ERRNO(open(path, O_RDONLY), ENAMETOOLONG);
	path[4095] = 0;
	OK(open(path, O_RDONLY));
}

CASE(creat_applies_the_umask)
{
	umask(027);
	OK(open("file", O_WRONLY | O_CREAT, 0666));
	EXPECT_EQ(mode_of("file"), 0640);
	umask(0);
	OK(creat("other", 07777));
	EXPECT_EQ(mode_of("other"), 07777);
}

CASE(create_with_a_read_only_mode_can_write)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0));

	EXPECT_EQ(write(fd, "x", 1), 1);
	EXPECT_EQ(mode_of("file"), 0);
}

CASE(excl_refuses_what_exists)
{
	write_file("file", "");
	OK(symlink("nowhere", "link"));
	EXPECT_ERRNO(open("file", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	EXPECT_ERRNO(open("link", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
	EXPECT_ERRNO(open(".", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
}

CASE(create_through_a_dangling_link)
{
	OK(symlink("target", "link"));
	OK(open("link", O_WRONLY | O_CREAT, 0600));
	EXPECT_EQ(mode_of("target"), 0600);
}

CASE(create_of_a_directory_is_eisdir)
{
	OK(mkdir("dir", 0700));
	EXPECT_ERRNO(open("dir", O_RDONLY | O_CREAT, 0600), EISDIR);
	EXPECT_ERRNO(open("dir", O_WRONLY), EISDIR);
	EXPECT_ERRNO(open("dir", O_RDWR), EISDIR);
	EXPECT_ERRNO(open("new/", O_WRONLY | O_CREAT, 0600), EISDIR);
	EXPECT_ERRNO(open("dir", O_RDONLY | O_TRUNC), EISDIR);
	EXPECT_ERRNO(open("new", O_RDONLY | O_CREAT | O_DIRECTORY, 0600), EINVAL);
}

CASE(trunc_empties)
{
	struct stat st;

	write_file("file", "abc");
	OK(open("file", O_WRONLY | O_TRUNC));
	OK(stat("file", &st));
	EXPECT_EQ(st.st_size, 0);
	write_file("file", "abc");
	OK(open("file", O_RDONLY | O_TRUNC));
	OK(stat("file", &st));
	EXPECT_EQ(st.st_size, 0);
}

CASE(nofollow_of_a_link_is_eloop)
{
	write_file("file", "");
	OK(symlink("file", "link"));
	EXPECT_ERRNO(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
	EXPECT_ERRNO(open("link", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
	OK(open("file", O_RDONLY | O_NOFOLLOW));
}

CASE(links_in_a_circle_are_eloop)
{
	OK(symlink("two", "one"));
	OK(symlink("one", "two"));
	EXPECT_ERRNO(open("one", O_RDONLY), ELOOP);
}

CASE(forty_links_pass_and_forty_one_do_not)
{
	char name[16], target[16];

	write_file("0", "");
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(target, sizeof(target), "%d", i - 1);
		OK(symlink(target, name));
	}
	OK(open("40", O_RDONLY));
	EXPECT_ERRNO(open("41", O_RDONLY), ELOOP);
}

CASE(path_only_descriptor_refuses_data)
{
	char byte;
	struct stat st;
	int fd;

	write_file("file", "abc");
	fd = OK(open("file", O_PATH));
	EXPECT_ERRNO(read(fd, &byte, 1), EBADF);
	EXPECT_ERRNO(fchmod(fd, 0600), EBADF);
	EXPECT_ERRNO(fchown(fd, 0, 0), EBADF);
	EXPECT_ERRNO(lseek(fd, 0, SEEK_CUR), EBADF);
	EXPECT_ERRNO(ftruncate(fd, 0), EBADF);
	EXPECT_ERRNO(fsync(fd), EBADF);
	EXPECT_ERRNO(flock(fd, LOCK_SH), EBADF);
	OK(fstat(fd, &st));
	EXPECT_EQ(st.st_size, 3);
	OK(dup(fd));
}

CASE(path_only_needs_no_permission_of_the_file)
{
	pid_t pid;

	write_file("file", "abc");
	OK(chmod("file", 0));
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(open("file", O_RDONLY), EACCES);
		OK(open("file", O_PATH));
	}
	EXPECT_EXIT(pid, 0);
}

CASE(path_only_of_a_link_itself)
{
	struct stat st;
	char text[16];
	int fd;

	OK(symlink("target", "link"));
	fd = OK(open("link", O_PATH | O_NOFOLLOW));
	OK(fstat(fd, &st));
	EXPECT(S_ISLNK(st.st_mode));
	EXPECT_EQ(readlinkat(fd, "", text, sizeof(text)), 6);
	EXPECT(memcmp(text, "target", 6) == 0);
}

CASE(path_only_of_a_directory_is_a_start)
{
	int dir;

	OK(mkdir("dir", 0700));
	write_file("dir/file", "x");
	dir = OK(open("dir", O_PATH));
	OK(openat(dir, "file", O_RDONLY));
	OK(fchdir(dir));
	OK(open("file", O_RDONLY));
}

CASE(openat_errors)
{
	int fd;

	write_file("file", "");
	fd = OK(open("file", O_RDONLY));
	EXPECT_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
	EXPECT_ERRNO(openat(77, "x", O_RDONLY), EBADF);
	OK(openat(77, "/", O_RDONLY));
}

CASE(tmpfile_has_no_name_until_linked)
{
	struct stat st;
	char path[32];
	int fd = OK(open(".", O_TMPFILE | O_RDWR, 0640));

	OK(fstat(fd, &st));
	EXPECT_EQ(st.st_nlink, 0);
	EXPECT_EQ(st.st_mode, S_IFREG | 0640);
	EXPECT_EQ(write(fd, "abc", 3), 3);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "name", AT_SYMLINK_FOLLOW));
	EXPECT_STR(read_file("name"), "abc");
	OK(fstat(fd, &st));
	EXPECT_EQ(st.st_nlink, 1);
}

CASE(tmpfile_with_excl_cannot_be_linked)
{
	char path[32];
	int fd = OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "name", AT_SYMLINK_FOLLOW), ENOENT);
}

CASE(tmpfile_errors)
{
	write_file("file", "");
	EXPECT_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	EXPECT_ERRNO(open("file", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
	EXPECT_ERRNO(open("missing", O_TMPFILE | O_RDWR, 0600), ENOENT);
}

CASE(permissions_are_checked)
{
	pid_t pid;

	OK(mkdir("dir", 0700));
	write_file("dir/file", "");
	write_file("file", "");
	OK(chmod("file", 0444));
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(open("dir/file", O_RDONLY), EACCES);
		EXPECT_ERRNO(open("dir", O_RDONLY), EACCES);
		EXPECT_ERRNO(open("file", O_WRONLY), EACCES);
		EXPECT_ERRNO(open("file", O_RDONLY | O_TRUNC), EACCES);
		EXPECT_ERRNO(open("new", O_WRONLY | O_CREAT, 0600), EACCES);
		EXPECT_ERRNO(open("file", O_RDONLY | O_NOATIME), EPERM);
		OK(open("file", O_RDONLY));
	}
	EXPECT_EXIT(pid, 0);
}

CASE(unlinked_file_stays_usable)
{
	struct stat st;
	char bytes[4];
	int fd;

	write_file("file", "abc");
	fd = OK(open("file", O_RDWR));
	OK(unlink("file"));
	EXPECT_EQ(read(fd, bytes, 4), 3);
	OK(fstat(fd, &st));
	EXPECT_EQ(st.st_nlink, 0);
	EXPECT_EQ(write(fd, "d", 1), 1);
}

CASE(setgid_directory_passes_its_group_on)
{
	struct stat st;

	OK(mkdir("dir", 0777));
	OK(chown("dir", 0, 1234));
	OK(chmod("dir", 02777));
	write_file("dir/file", "");
	OK(mkdir("dir/sub", 0755));
	OK(stat("dir/file", &st));
	EXPECT_EQ(st.st_gid, 1234);
	OK(stat("dir/sub", &st));
	EXPECT_EQ(st.st_gid, 1234);
	EXPECT_EQ(st.st_mode & 07777, 02755);
}

CASE(openat2_checks_its_struct)
{
	struct open_how how = {0};
	char large[sizeof(how) + 8] = {0};

	EXPECT_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how) - 1), EINVAL);
	OK(syscall(SYS_openat2, AT_FDCWD, ".", large, sizeof(large)));
	large[sizeof(how)] = 1;
	EXPECT_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", large, sizeof(large)), E2BIG);
	EXPECT_ERRNO(openat2(AT_FDCWD, ".", 1ULL << 40, 0, 0), EINVAL);
	EXPECT_ERRNO(openat2(AT_FDCWD, ".", 0, 0600, 0), EINVAL);
	EXPECT_ERRNO(openat2(AT_FDCWD, ".", 0, 0, 1 << 20), EINVAL);
	EXPECT_ERRNO(openat2(AT_FDCWD, "new", O_CREAT | O_RDWR, 0100000, 0), EINVAL);
}

CASE(openat2_beneath)
{
	int dir;

	OK(mkdir("dir", 0700));
	write_file("dir/file", "");
	OK(symlink("/etc", "dir/out"));
	OK(symlink("file", "dir/in"));
	dir = OK(open("dir", O_PATH));
	OK(openat2(dir, "file", 0, 0, RESOLVE_BENEATH));
	OK(openat2(dir, "in", 0, 0, RESOLVE_BENEATH));
	EXPECT_ERRNO(openat2(dir, "..", 0, 0, RESOLVE_BENEATH), EXDEV);
	EXPECT_ERRNO(openat2(dir, "/", 0, 0, RESOLVE_BENEATH), EXDEV);
	EXPECT_ERRNO(openat2(dir, "out", 0, 0, RESOLVE_BENEATH), EXDEV);
}

CASE(openat2_in_root)
{
	int dir;

	OK(mkdir("dir", 0700));
	write_file("dir/file", "");
	OK(symlink("/file", "dir/link"));
	dir = OK(open("dir", O_PATH));
	OK(openat2(dir, "/file", 0, 0, RESOLVE_IN_ROOT));
	OK(openat2(dir, "../../file", 0, 0, RESOLVE_IN_ROOT));
	OK(openat2(dir, "link", 0, 0, RESOLVE_IN_ROOT));
}

CASE(openat2_without_links)
{
	write_file("file", "");
	OK(symlink("file", "link"));
	OK(mkdir("dir", 0700));
	OK(symlink("dir", "dirlink"));
	EXPECT_ERRNO(openat2(AT_FDCWD, "link", 0, 0, RESOLVE_NO_SYMLINKS), ELOOP);
	EXPECT_ERRNO(openat2(AT_FDCWD, "dirlink/x", 0, 0, RESOLVE_NO_SYMLINKS), ELOOP);
	OK(openat2(AT_FDCWD, "link", O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS));
	EXPECT_ERRNO(openat2(AT_FDCWD, "/proc/self/exe", 0, 0, RESOLVE_NO_MAGICLINKS), ELOOP);
	EXPECT_ERRNO(openat2(AT_FDCWD, "/proc/self", 0, 0, RESOLVE_NO_XDEV), EXDEV);
}

CASE(unlinked_file_cannot_be_linked_again)
{
	char path[32];
	int fd;

	write_file("file", "abc");
	fd = OK(open("file", O_RDONLY));
	OK(unlink("file"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_ERRNO(linkat(AT_FDCWD, path, AT_FDCWD, "name", AT_SYMLINK_FOLLOW), ENOENT);
}
