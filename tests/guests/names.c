/* mkdir(2), rmdir(2), link(2), symlink(2), unlink(2), rename(2), getcwd(2), getdents(2).  Also on tmpfs. */
#include "guest.h"

#include <dirent.h>
#include <linux/fs.h>

static struct stat stat_of(const char *path)
{
	struct stat st;

	OK(lstat(path, &st));
	return st;
}

CASE(mkdir_applies_the_umask)
{
	umask(027);
	OK(mkdir("dir", 0777));
	EXPECT_EQ(stat_of("dir").st_mode, S_IFDIR | 0750);
	umask(0);
	OK(mkdir("sticky", 01777));
	EXPECT_EQ(stat_of("sticky").st_mode, S_IFDIR | 01777);
}

CASE(mkdir_errors)
{
	write_file("file", "");
	OK(symlink("nowhere", "link"));
	EXPECT_ERRNO(mkdir("file", 0700), EEXIST);
	EXPECT_ERRNO(mkdir("link", 0700), EEXIST);
	EXPECT_ERRNO(mkdir(".", 0700), EEXIST);
	EXPECT_ERRNO(mkdir("/", 0700), EEXIST);
	EXPECT_ERRNO(mkdir("missing/dir", 0700), ENOENT);
	EXPECT_ERRNO(mkdir("file/dir", 0700), ENOTDIR);
	EXPECT_ERRNO(mkdir("", 0700), ENOENT);
	OK(mkdir("with-slash/", 0700));
}

CASE(rmdir_errors)
{
	OK(mkdir("dir", 0700));
	OK(mkdir("dir/sub", 0700));
	write_file("file", "");
	EXPECT_ERRNO(rmdir("dir"), ENOTEMPTY);
	EXPECT_ERRNO(rmdir("file"), ENOTDIR);
	EXPECT_ERRNO(rmdir("missing"), ENOENT);
	EXPECT_ERRNO(rmdir("dir/sub/."), EINVAL);
	EXPECT_ERRNO(rmdir("dir/sub/.."), ENOTEMPTY);
	EXPECT_ERRNO(rmdir("/"), EBUSY);
	OK(rmdir("dir/sub/"));
	OK(rmdir("dir"));
}

CASE(directory_link_counts)
{
	OK(mkdir("dir", 0700));
	OK(mkdir("dir/a", 0700));
	OK(mkdir("dir/b", 0700));
	OK(rmdir("dir/a"));
	OK(rmdir("dir/b"));
	EXPECT_ERRNO(link("dir", "other"), EPERM);
}

CASE(link_makes_another_name)
{
	write_file("file", "abc");
	OK(link("file", "other"));
	EXPECT_EQ(stat_of("file").st_nlink, 2);
	EXPECT_EQ(stat_of("file").st_ino, stat_of("other").st_ino);
	OK(unlink("file"));
	EXPECT_EQ(stat_of("other").st_nlink, 1);
	EXPECT_STR(read_file("other"), "abc");
}

CASE(link_does_not_follow_unless_asked)
{
	write_file("file", "");
	OK(symlink("file", "link"));
	OK(link("link", "one"));
	EXPECT(S_ISLNK(stat_of("one").st_mode));
	OK(linkat(AT_FDCWD, "link", AT_FDCWD, "two", AT_SYMLINK_FOLLOW));
	EXPECT_EQ(stat_of("two").st_ino, stat_of("file").st_ino);
}

CASE(link_errors)
{
	write_file("file", "");
	EXPECT_ERRNO(link("missing", "x"), ENOENT);
	EXPECT_ERRNO(link("file", "file"), EEXIST);
	EXPECT_ERRNO(link("file", "missing/x"), ENOENT);
	EXPECT_ERRNO(link("file", "file/x"), ENOTDIR);
	EXPECT_ERRNO(link("file", "/dev/x"), EXDEV);
	EXPECT_ERRNO(linkat(AT_FDCWD, "file", AT_FDCWD, "x", 1), EINVAL);
	EXPECT_ERRNO(link("file", "x/"), ENOENT);
}

CASE(symlink_keeps_any_text)
{
	char text[64];

	OK(symlink("some//where/../else", "link"));
	EXPECT_EQ(readlink("link", text, sizeof(text)), 19);
	EXPECT(memcmp(text, "some//where/../else", 19) == 0);
	EXPECT_EQ(readlink("link", text, 4), 4);
	EXPECT_EQ(stat_of("link").st_size, 19);
	EXPECT_EQ(stat_of("link").st_mode, S_IFLNK | 0777);
	EXPECT_ERRNO(symlink("", "empty"), ENOENT);
	EXPECT_ERRNO(symlink("x", "link"), EEXIST);
	EXPECT_ERRNO(symlink("x", "y/"), ENOENT);
}

CASE(readlink_errors)
{
	char text[8];

	write_file("file", "");
	EXPECT_ERRNO(readlink("file", text, 8), EINVAL);
	EXPECT_ERRNO(readlink("missing", text, 8), ENOENT);
	OK(symlink("x", "link"));
	EXPECT_ERRNO(syscall(SYS_readlink, "link", text, 0), EINVAL);
	EXPECT_ERRNO(syscall(SYS_readlink, "link", text, -1), EINVAL);
	EXPECT_ERRNO(syscall(SYS_readlink, "link", 8, 8), EFAULT);
	EXPECT_ERRNO(readlink("link/", text, 8), ENOENT);
}

CASE(unlink_errors)
{
	OK(mkdir("dir", 0700));
	write_file("file", "");
	EXPECT_ERRNO(unlink("dir"), EISDIR);
	EXPECT_ERRNO(unlink("missing"), ENOENT);
	EXPECT_ERRNO(unlink("file/"), ENOTDIR);
	EXPECT_ERRNO(unlink("file/x"), ENOTDIR);
	EXPECT_ERRNO(unlink("."), EISDIR);
	EXPECT_ERRNO(unlink("/"), EISDIR);
	EXPECT_ERRNO(unlinkat(AT_FDCWD, "file", AT_REMOVEDIR), ENOTDIR);
	EXPECT_ERRNO(unlinkat(AT_FDCWD, "file", 1), EINVAL);
	OK(unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR));
}

CASE(unlink_of_a_link_leaves_its_target)
{
	write_file("file", "");
	OK(symlink("file", "link"));
	OK(unlink("link"));
	OK(access("file", F_OK));
}

CASE(rename_replaces)
{
	ino_t number;

	write_file("one", "1");
	write_file("two", "2");
	number = stat_of("one").st_ino;
	OK(rename("one", "two"));
	EXPECT_STR(read_file("two"), "1");
	EXPECT_EQ(stat_of("two").st_ino, number);
	EXPECT_ERRNO(access("one", F_OK), ENOENT);
}

CASE(rename_of_two_names_of_one_file_does_nothing)
{
	write_file("one", "1");
	OK(link("one", "two"));
	OK(rename("one", "two"));
	OK(access("one", F_OK));
	OK(access("two", F_OK));
	OK(rename("one", "one"));
}

CASE(rename_of_directories)
{
	OK(mkdir("a", 0700));
	OK(mkdir("a/sub", 0700));
	OK(mkdir("empty", 0700));
	OK(rename("a", "empty"));
	OK(access("empty/sub", F_OK));
	OK(mkdir("full", 0700));
	OK(mkdir("full/x", 0700));
	EXPECT_ERRNO(rename("empty", "full"), ENOTEMPTY);
	EXPECT_ERRNO(rename("empty", "empty/sub/x"), EINVAL);
	EXPECT_ERRNO(rename("empty/sub", "empty"), ENOTEMPTY);
}

CASE(rename_between_kinds)
{
	OK(mkdir("dir", 0700));
	write_file("file", "");
	EXPECT_ERRNO(rename("file", "dir"), EISDIR);
	EXPECT_ERRNO(rename("dir", "file"), ENOTDIR);
	EXPECT_ERRNO(rename("missing", "x"), ENOENT);
	EXPECT_ERRNO(rename("file", "missing/x"), ENOENT);
	EXPECT_ERRNO(rename(".", "x"), EBUSY);
	EXPECT_ERRNO(rename("file", "."), EBUSY);
	EXPECT_ERRNO(rename("file", "/dev/x"), EXDEV);
	EXPECT_ERRNO(rename("file", "new/"), ENOTDIR);
	OK(rename("dir", "new/"));
}

CASE(rename_noreplace)
{
	write_file("one", "1");
	write_file("two", "2");
	EXPECT_ERRNO(renameat2(AT_FDCWD, "one", AT_FDCWD, "two", RENAME_NOREPLACE), EEXIST);
	OK(renameat2(AT_FDCWD, "one", AT_FDCWD, "three", RENAME_NOREPLACE));
	EXPECT_ERRNO(renameat2(AT_FDCWD, "two", AT_FDCWD, "x", 1 << 5), EINVAL);
	EXPECT_ERRNO(renameat2(AT_FDCWD, "two", AT_FDCWD, "x", RENAME_NOREPLACE | RENAME_EXCHANGE),
		     EINVAL);
}

CASE(rename_exchange)
{
	OK(mkdir("dir", 0700));
	write_file("dir/inside", "");
	write_file("file", "f");
	OK(renameat2(AT_FDCWD, "dir", AT_FDCWD, "file", RENAME_EXCHANGE));
	EXPECT_STR(read_file("dir"), "f");
	OK(access("file/inside", F_OK));
	EXPECT_ERRNO(renameat2(AT_FDCWD, "dir", AT_FDCWD, "x", RENAME_EXCHANGE), ENOENT);
}

CASE(open_file_follows_its_rename)
{
	char path[32], text[256];
	int fd, size;

	write_file("one", "");
	fd = OK(open("one", O_RDONLY));
	OK(mkdir("dir", 0700));
	OK(rename("one", "dir/two"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	size = OK(readlink(path, text, sizeof(text) - 1));
	text[size] = 0;
	EXPECT_STR(strrchr(text, '/'), "/two");
	OK(unlink("dir/two"));
	size = OK(readlink(path, text, sizeof(text) - 1));
	text[size] = 0;
	EXPECT_STR(strrchr(text, '/'), "/two (deleted)");
}

CASE(sticky_directory_protects_files_of_others)
{
	pid_t pid;

	OK(mkdir("dir", 0777));
	OK(chmod("dir", 01777));
	write_file("dir/file", "");
	OK(chmod("dir/file", 0666));
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(unlink("dir/file"), EPERM);
		EXPECT_ERRNO(rename("dir/file", "dir/x"), EPERM);
		write_file("dir/own", "");
		OK(unlink("dir/own"));
	}
	EXPECT_EXIT(pid, 0);
}

CASE(removing_needs_write_permission_of_the_directory)
{
	pid_t pid;

	write_file("file", "");
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(unlink("file"), EACCES);
		EXPECT_ERRNO(mkdir("x", 0700), EACCES);
		EXPECT_ERRNO(symlink("x", "y"), EACCES);
		EXPECT_ERRNO(rename("file", "y"), EACCES);
		EXPECT_ERRNO(mkfifo("y", 0600), EACCES);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(getcwd_follows_moves_and_notes_removal)
{
	char text[PATH_MAX];

	OK(mkdir("a", 0700));
	OK(mkdir("a/b", 0700));
	OK(chdir("a/b"));
	OK(rename("../../a", "../../c"));
	EXPECT(getcwd(text, sizeof(text)) != NULL);
	EXPECT_STR(text + strlen(text) - 4, "/c/b");
	EXPECT_ERRNO(syscall(SYS_getcwd, text, 3), ERANGE);
	OK(rmdir("../b"));
	EXPECT_ERRNO(syscall(SYS_getcwd, text, sizeof(text)), ENOENT);
	EXPECT_ERRNO(open("x", O_CREAT | O_WRONLY, 0600), ENOENT);
	OK(open(".", O_RDONLY));
}

CASE(chdir_errors)
{
	pid_t pid;

	write_file("file", "");
	OK(mkdir("dir", 0700));
	EXPECT_ERRNO(chdir("file"), ENOTDIR);
	EXPECT_ERRNO(chdir("missing"), ENOENT);
	EXPECT_ERRNO(fchdir(77), EBADF);
	EXPECT_ERRNO(fchdir(OK(open("file", O_RDONLY))), ENOTDIR);
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(chdir("dir"), EACCES);
		EXPECT_ERRNO(chroot("."), EPERM);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(chroot_confines_names)
{
	char text[PATH_MAX];
	pid_t pid;

	OK(mkdir("new", 0700));
	write_file("new/file", "inside");
	CHILD(pid) {
		OK(chroot("new"));
		EXPECT(getcwd(text, sizeof(text)) == NULL || strncmp(text, "(unreachable)", 13) == 0);
		OK(chdir("/"));
		EXPECT_STR(read_file("/../../file"), "inside");
		EXPECT_ERRNO(access("/proc", F_OK), ENOENT);
		EXPECT_STR(getcwd(text, sizeof(text)), "/");
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_ERRNO(chroot("new/file"), ENOTDIR);
}

CASE(getdents64_lists_everything_once)
{
	char name[16], buffer[512];
	int fd, seen = 0, size, dots = 0;

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		write_file(name, "");
	}
	fd = OK(open(".", O_RDONLY | O_DIRECTORY));
	while ((size = OK(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)))) > 0) {
		for (int at = 0; at < size;) {
			struct dirent64 *entry = (void *)(buffer + at);

			EXPECT_EQ(entry->d_reclen % 8, 0);
			if (entry->d_name[0] == '.') {
				dots++;
				EXPECT_EQ(entry->d_type, DT_DIR);
			} else {
				seen++;
				EXPECT_EQ(entry->d_type, DT_REG);
				EXPECT_EQ(entry->d_ino, stat_of(entry->d_name).st_ino);
			}
			at += entry->d_reclen;
		}
	}
	EXPECT_EQ(seen, 50);
	EXPECT_EQ(dots, 2);
	OK(lseek(fd, 0, SEEK_SET));
	EXPECT(OK(syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0);
}

CASE(getdents64_errors)
{
	char buffer[256];
	int fd = OK(open(".", O_RDONLY)), file;

	write_file("file", "");
	file = OK(open("file", O_RDONLY));
	EXPECT_ERRNO(syscall(SYS_getdents64, fd, buffer, 4), EINVAL);
	EXPECT_ERRNO(syscall(SYS_getdents64, file, buffer, 256), ENOTDIR);
	EXPECT_ERRNO(syscall(SYS_getdents64, 77, buffer, 256), EBADF);
	EXPECT_ERRNO(syscall(SYS_getdents64, fd, 8, 256), EFAULT);
}

CASE(getdents64_of_a_removed_directory_is_enoent_or_empty)
{
	char buffer[256];
	int fd;

	OK(mkdir("dir", 0700));
	fd = OK(open("dir", O_RDONLY));
	OK(rmdir("dir"));
	EXPECT_ERRNO(syscall(SYS_getdents64, fd, buffer, 256), ENOENT);
}

CASE(seekdir_goes_back)
{
	DIR *dir;
	long place;
	char name[256];

	write_file("a", "");
	write_file("b", "");
	write_file("c", "");
	dir = opendir(".");
	readdir(dir);
	readdir(dir);
	place = telldir(dir);
	strcpy(name, readdir(dir)->d_name);
	readdir(dir);
	seekdir(dir, place);
	EXPECT_STR(readdir(dir)->d_name, name);
}

CASE(mknod_makes_files_fifos_and_sockets)
{
	OK(mknod("file", S_IFREG | 0644, 0));
	EXPECT_EQ(stat_of("file").st_mode, S_IFREG | 0644);
	OK(mknod("plain", 0600, 0));
	EXPECT_EQ(stat_of("plain").st_mode, S_IFREG | 0600);
	OK(mknod("fifo", S_IFIFO | 0600, 0));
	EXPECT_EQ(stat_of("fifo").st_mode, S_IFIFO | 0600);
	OK(mknod("socket", S_IFSOCK | 0600, 0));
	EXPECT_EQ(stat_of("socket").st_mode, S_IFSOCK | 0600);
	EXPECT_ERRNO(open("socket", O_RDWR), ENXIO);
	EXPECT_ERRNO(mknod("dir", S_IFDIR | 0600, 0), EPERM);
	EXPECT_ERRNO(mknod("odd", 0110000, 0), EINVAL);
	EXPECT_ERRNO(mknod("file", S_IFREG, 0), EEXIST);
}
