/* inotify(7).  Also on tmpfs. */
#include "guest.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/sysmacros.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif

static int in;
static char text[8192];

static const struct {
	unsigned bit;
	const char *name;
} NAMES[] = {
	{IN_ACCESS, "ACCESS"}, {IN_MODIFY, "MODIFY"}, {IN_ATTRIB, "ATTRIB"},
	{IN_CLOSE_WRITE, "CLOSE_WRITE"}, {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"}, {IN_OPEN, "OPEN"},
	{IN_MOVED_FROM, "MOVED_FROM"}, {IN_MOVED_TO, "MOVED_TO"}, {IN_CREATE, "CREATE"},
	{IN_DELETE, "DELETE"}, {IN_DELETE_SELF, "DELETE_SELF"}, {IN_MOVE_SELF, "MOVE_SELF"},
	{IN_Q_OVERFLOW, "Q_OVERFLOW"}, {IN_IGNORED, "IGNORED"}, {IN_ISDIR, "ISDIR"},
};

/* What has happened, as text: "1:CREATE+ISDIR(name) 2:MODIFY"; cookies are only compared. */
static const char *events(void)
{
	static char raw[65536] __attribute__((aligned(8)));
	unsigned cookie = 0;
	ssize_t size = read(in, raw, sizeof(raw));

	text[0] = 0;
	if (size < 0) {
		EXPECT_EQ(errno, EAGAIN);
		return text;
	}
	for (char *at = raw; at < raw + size;) {
		struct inotify_event *event = (void *)at;
		char *end = text + strlen(text);
		const char *plus = "";

		end += sprintf(end, "%s%d:", text[0] ? " " : "", event->wd);
		for (unsigned i = 0; i < LENGTH(NAMES); i++)
			if (event->mask & NAMES[i].bit) {
				end += sprintf(end, "%s%s", plus, NAMES[i].name);
				plus = "+";
			}
		if (event->len) {
			EXPECT_EQ(event->len % 16, 0);
			sprintf(end, "(%s)", event->name);
		}
		if (event->mask & IN_MOVED_FROM) {
			cookie = event->cookie;
			EXPECT(cookie != 0);
		} else if (event->mask & IN_MOVED_TO && cookie) {
			EXPECT_EQ(event->cookie, cookie);
		} else if (!(event->mask & IN_MOVED_TO)) {
			EXPECT_EQ(event->cookie, 0);
		}
		at += sizeof(*event) + event->len;
	}
	return text;
}

static int watch(const char *path, unsigned mask)
{
	return inotify_add_watch(in, path, mask);
}

static void start(void)
{
	in = OK(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
}

CASE(life_of_a_file)
{
	int fd;

	start();
	EXPECT_EQ(watch(".", IN_ALL_EVENTS), 1);
	fd = OK(open("file", O_CREAT | O_RDWR, 0644));
	EXPECT_STR(events(), "1:CREATE(file) 1:OPEN(file)");
	EXPECT_EQ(write(fd, "abc", 3), 3);
	EXPECT_EQ(pread(fd, text, 3, 0), 3);
	EXPECT_STR(events(), "1:MODIFY(file) 1:ACCESS(file)");
	EXPECT_EQ(read(fd, text, 3), 0);
	EXPECT_STR(events(), "");
	OK(fchmod(fd, 0600));
	OK(ftruncate(fd, 1));
	EXPECT_STR(events(), "1:ATTRIB(file) 1:MODIFY(file)");
	OK(close(fd));
	EXPECT_STR(events(), "1:CLOSE_WRITE(file)");
	fd = OK(open("file", O_RDONLY));
	OK(close(fd));
	OK(unlink("file"));
	EXPECT_STR(events(), "1:OPEN(file) 1:CLOSE_NOWRITE(file) 1:DELETE(file)");
}

CASE(watch_of_a_file_and_its_directory)
{
	int fd;

	start();
	write_file("file", "abc");
	EXPECT_EQ(watch("file", IN_ALL_EVENTS), 1);
	EXPECT_EQ(watch(".", IN_ALL_EVENTS), 2);
	fd = OK(open("file", O_WRONLY | O_TRUNC));
	OK(close(fd));
	EXPECT_STR(events(), "2:OPEN(file) 1:OPEN 2:MODIFY(file) 1:MODIFY 2:CLOSE_WRITE(file) 1:CLOSE_WRITE");
}

CASE(end_of_a_watched_file)
{
	start();
	write_file("file", "abc");
	EXPECT_EQ(watch("file", IN_ALL_EVENTS), 1);
	OK(unlink("file"));
	EXPECT_STR(events(), "1:ATTRIB 1:DELETE_SELF 1:IGNORED");
	EXPECT_ERRNO(inotify_rm_watch(in, 1), EINVAL);
}

CASE(end_of_a_watched_file_that_is_open)
{
	int fd;

	start();
	write_file("file", "abc");
	fd = OK(open("file", O_RDWR));
	EXPECT_EQ(watch("file", IN_ALL_EVENTS), 1);
	OK(unlink("file"));
	EXPECT_STR(events(), "1:ATTRIB");
	EXPECT_EQ(write(fd, "x", 1), 1);
	OK(close(fd));
	EXPECT_STR(events(), "1:MODIFY 1:CLOSE_WRITE 1:DELETE_SELF 1:IGNORED");
}

CASE(another_name_keeps_a_file)
{
	start();
	write_file("file", "abc");
	EXPECT_EQ(watch("file", IN_ALL_EVENTS), 1);
	EXPECT_EQ(watch(".", IN_CREATE | IN_DELETE), 2);
	OK(link("file", "other"));
	EXPECT_STR(events(), "1:ATTRIB 2:CREATE(other)");
	OK(unlink("file"));
	EXPECT_STR(events(), "1:ATTRIB 2:DELETE(file)");
	/* It is the inode that is watched, by whatever name. */
	write_file("other", "x");
	EXPECT_STR(events(), "1:OPEN 1:MODIFY 1:CLOSE_WRITE");
	OK(unlink("other"));
	EXPECT_STR(events(), "1:ATTRIB 1:DELETE_SELF 1:IGNORED 2:DELETE(other)");
}

CASE(names_of_all_kinds)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};

	start();
	EXPECT_EQ(watch(".", IN_ALL_EVENTS), 1);
	OK(mkdir("dir", 0755));
	OK(symlink("x", "link"));
	OK(mkfifo("fifo", 0644));
	OK(bind(OK(socket(AF_UNIX, SOCK_STREAM, 0)), (struct sockaddr *)&name, sizeof(name)));
	EXPECT_STR(events(), "1:CREATE+ISDIR(dir) 1:CREATE(link) 1:CREATE(fifo) 1:CREATE(socket)");
	OK(rmdir("dir"));
	OK(unlink("link"));
	EXPECT_STR(events(), "1:DELETE+ISDIR(dir) 1:DELETE(link)");
}

CASE(directories_are_opened_and_read)
{
	int fd;

	start();
	OK(mkdir("dir", 0755));
	EXPECT_EQ(watch(".", IN_ALL_EVENTS), 1);
	EXPECT_EQ(watch("dir", IN_ALL_EVENTS), 2);
	fd = OK(open("dir", O_RDONLY | O_DIRECTORY));
	OK(syscall(SYS_getdents64, fd, text, sizeof(text)));
	OK(close(fd));
	EXPECT_STR(events(), "1:OPEN+ISDIR(dir) 2:OPEN+ISDIR 1:ACCESS+ISDIR(dir) 2:ACCESS+ISDIR "
			     "1:CLOSE_NOWRITE+ISDIR(dir) 2:CLOSE_NOWRITE+ISDIR");
	OK(chmod("dir", 0700));
	EXPECT_STR(events(), "1:ATTRIB+ISDIR(dir) 2:ATTRIB+ISDIR");
	OK(rmdir("dir"));
	EXPECT_STR(events(), "2:DELETE_SELF 2:IGNORED 1:DELETE+ISDIR(dir)");
}

CASE(moves_have_cookies)
{
	start();
	OK(mkdir("a", 0755));
	OK(mkdir("b", 0755));
	write_file("a/file", "");
	EXPECT_EQ(watch("a", IN_ALL_EVENTS), 1);
	EXPECT_EQ(watch("b", IN_ALL_EVENTS), 2);
	EXPECT_EQ(watch("a/file", IN_ALL_EVENTS), 3);
	OK(rename("a/file", "b/new"));
	EXPECT_STR(events(), "1:MOVED_FROM(file) 2:MOVED_TO(new) 3:MOVE_SELF");
	OK(rename("b/new", "outside"));
	EXPECT_STR(events(), "2:MOVED_FROM(new) 3:MOVE_SELF");
	OK(rename("outside", "a/file"));
	EXPECT_STR(events(), "1:MOVED_TO(file) 3:MOVE_SELF");
	OK(mkdir("a/dir", 0755));
	EXPECT_STR(events(), "1:CREATE+ISDIR(dir)");
	OK(rename("a/dir", "a/other"));
	EXPECT_STR(events(), "1:MOVED_FROM+ISDIR(dir) 1:MOVED_TO+ISDIR(other)");
}

CASE(moves_over_another_file)
{
	start();
	write_file("one", "1");
	write_file("two", "2");
	EXPECT_EQ(watch("two", IN_ALL_EVENTS), 1);
	EXPECT_EQ(watch(".", IN_ALL_EVENTS), 2);
	OK(rename("one", "two"));
	EXPECT_STR(events(), "2:MOVED_FROM(one) 2:MOVED_TO(two) 1:ATTRIB 1:DELETE_SELF 1:IGNORED");
}

CASE(exchanged_names)
{
	start();
	write_file("one", "1");
	write_file("two", "2");
	EXPECT_EQ(watch("two", IN_ALL_EVENTS), 1);
	EXPECT_EQ(watch(".", IN_ALL_EVENTS), 2);
	OK(syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 2));
	EXPECT_STR(events(), "2:MOVED_FROM(one) 2:MOVED_TO(two) 2:MOVED_FROM(two) 2:MOVED_TO(one) 1:MOVE_SELF");
}

CASE(once_is_once)
{
	start();
	write_file("file", "");
	EXPECT_EQ(watch(".", IN_OPEN | IN_CLOSE | IN_ONESHOT), 1);
	OK(close(OK(open("file", O_RDONLY))));
	EXPECT_STR(events(), "1:OPEN(file) 1:IGNORED");
	EXPECT_EQ(watch(".", IN_OPEN), 2);
}

CASE(masks_are_replaced_or_added_to)
{
	start();
	write_file("file", "");
	EXPECT_EQ(watch(".", IN_OPEN), 1);
	EXPECT_EQ(watch(".", IN_CLOSE_NOWRITE), 1);
	OK(close(OK(open("file", O_RDONLY))));
	EXPECT_STR(events(), "1:CLOSE_NOWRITE(file)");
	EXPECT_EQ(watch(".", IN_OPEN | IN_MASK_ADD), 1);
	OK(close(OK(open("file", O_RDONLY))));
	EXPECT_STR(events(), "1:OPEN(file) 1:CLOSE_NOWRITE(file)");
	EXPECT_ERRNO(watch(".", IN_OPEN | IN_MASK_CREATE), EEXIST);
	EXPECT_EQ(watch("file", IN_OPEN | IN_MASK_CREATE), 2);
	EXPECT_ERRNO(watch("file", IN_OPEN | IN_MASK_CREATE | IN_MASK_ADD), EINVAL);
}

CASE(files_without_a_name_may_be_left_out)
{
	int fd;

	start();
	write_file("file", "");
	EXPECT_EQ(watch(".", IN_MODIFY | IN_CLOSE | IN_EXCL_UNLINK), 1);
	fd = OK(open("file", O_RDWR));
	EXPECT_EQ(write(fd, "x", 1), 1);
	OK(unlink("file"));
	EXPECT_EQ(write(fd, "x", 1), 1);
	OK(close(fd));
	EXPECT_STR(events(), "1:MODIFY(file)");
	write_file("file", "");
	events();
	EXPECT_EQ(watch(".", IN_MODIFY | IN_CLOSE), 1);
	fd = OK(open("file", O_RDWR));
	OK(unlink("file"));
	EXPECT_EQ(write(fd, "x", 1), 1);
	OK(close(fd));
	EXPECT_STR(events(), "1:MODIFY(file) 1:CLOSE_WRITE(file)");
}

CASE(links_are_followed_or_not)
{
	start();
	write_file("file", "");
	OK(symlink("file", "link"));
	EXPECT_EQ(watch("link", IN_OPEN), 1);
	EXPECT_EQ(watch("file", IN_OPEN), 1);
	EXPECT_EQ(watch("link", IN_OPEN | IN_DONT_FOLLOW), 2);
	EXPECT_ERRNO(watch("file", IN_OPEN | IN_ONLYDIR), ENOTDIR);
	EXPECT_EQ(watch(".", IN_OPEN | IN_ONLYDIR), 3);
}

CASE(the_same_thing_twice_in_a_row_is_told_once)
{
	int fd;

	start();
	fd = OK(open("file", O_CREAT | O_RDWR, 0644));
	EXPECT_EQ(watch(".", IN_MODIFY | IN_ACCESS), 1);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(write(fd, "x", 1), 1);
	EXPECT_EQ(pread(fd, text, 1, 0), 1);
	EXPECT_EQ(write(fd, "x", 1), 1);
	EXPECT_STR(events(), "1:MODIFY(file) 1:ACCESS(file) 1:MODIFY(file)");
}

CASE(attributes)
{
	struct timespec both[2] = {{1, 0}, {2, 0}}, first[2] = {{1, 0}, {0, UTIME_OMIT}};
	struct timespec second[2] = {{0, UTIME_OMIT}, {1, 0}};

	start();
	write_file("file", "abc");
	EXPECT_EQ(watch("file", IN_ALL_EVENTS), 1);
	OK(chown("file", 1, 1));
	EXPECT_STR(events(), "1:ATTRIB");
	OK(utimensat(AT_FDCWD, "file", both, 0));
	EXPECT_STR(events(), "1:ATTRIB");
	OK(utimensat(AT_FDCWD, "file", first, 0));
	OK(utimensat(AT_FDCWD, "file", second, 0));
	EXPECT_STR(events(), "1:ACCESS 1:MODIFY");
	OK(truncate("file", 1));
	EXPECT_STR(events(), "1:MODIFY");
}

CASE(other_ways_to_read_and_write)
{
	int one, two, ends[2];
	loff_t zero = 0;

	start();
	write_file("one", "some text");
	one = OK(open("one", O_RDONLY));
	two = OK(open("two", O_CREAT | O_RDWR, 0644));
	OK(pipe(ends));
	EXPECT_EQ(watch(".", IN_ALL_EVENTS), 1);
	EXPECT_EQ(sendfile(two, one, NULL, 4), 4);
	EXPECT_STR(events(), "1:ACCESS(one) 1:MODIFY(two)");
	EXPECT_EQ(splice(one, &zero, ends[1], NULL, 4, 0), 4);
	EXPECT_EQ(splice(ends[0], NULL, two, NULL, 4, 0), 4);
	EXPECT_STR(events(), "1:ACCESS(one) 1:MODIFY(two)");
	OK(fallocate(two, 0, 0, 100));
	EXPECT_STR(events(), "1:MODIFY(two)");
}

HELPER(nothing)
{
	return 7;
}

CASE(programs_are_opened)
{
	char *path = "/proc/self/exe";
	pid_t pid;

	start();
	EXPECT_EQ(watch(path, IN_OPEN), 1);
	CHILD(pid)
		execl(guest_program, guest_program, "--helper", "nothing", NULL);
	EXPECT_EXIT(pid, 7);
	EXPECT_STR(events(), "1:OPEN");
}

CASE(watches_are_removed)
{
	start();
	write_file("file", "");
	EXPECT_EQ(watch("file", IN_ALL_EVENTS), 1);
	EXPECT_EQ(watch(".", IN_ALL_EVENTS), 2);
	OK(inotify_rm_watch(in, 1));
	EXPECT_STR(events(), "1:IGNORED");
	EXPECT_ERRNO(inotify_rm_watch(in, 1), EINVAL);
	EXPECT_ERRNO(inotify_rm_watch(in, 3), EINVAL);
	EXPECT_ERRNO(inotify_rm_watch(0, 2), EINVAL);
	/* Numbers are not used again soon. */
	EXPECT_EQ(watch("file", IN_ALL_EVENTS), 3);
}

CASE(refused_arguments)
{
	start();
	EXPECT_ERRNO(inotify_init1(1), EINVAL);
	EXPECT_ERRNO(watch(".", 0), EINVAL);
	EXPECT_ERRNO(watch(".", 0x1000), EINVAL);
	EXPECT_ERRNO(watch("nothing", IN_OPEN), ENOENT);
	EXPECT_ERRNO(watch("", IN_OPEN), ENOENT);
	EXPECT_ERRNO(inotify_add_watch(in, (char *)8, IN_OPEN), EFAULT);
	EXPECT_ERRNO(inotify_add_watch(0, ".", IN_OPEN), EINVAL);
	EXPECT_ERRNO(inotify_add_watch(99, ".", IN_OPEN), EBADF);
	EXPECT_ERRNO(write(in, "x", 1), EBADF);
	EXPECT_EQ(lseek(in, 5, SEEK_SET), 0);
	EXPECT_EQ(watch(".", IN_ISDIR), 1);
}

CASE(only_who_may_read_may_watch)
{
	pid_t pid;

	start();
	write_file("secret", "");
	OK(chmod("secret", 0600));
	OK(chmod(".", 0755));
	CHILD(pid) {
		become(NOBODY);
		start();
		EXPECT_ERRNO(watch("secret", IN_OPEN), EACCES);
	}
	EXPECT_EXIT(pid, 0);
}

CASE(reads_need_room_for_an_event)
{
	int size = -1;

	start();
	EXPECT_EQ(watch(".", IN_CREATE), 1);
	OK(mkdir("fifteen letters", 0755));
	OK(mkdir("sixteen letters!", 0755));
	OK(ioctl(in, FIONREAD, &size));
	EXPECT_EQ(size, 16 + 16 + 16 + 32);
	EXPECT_ERRNO(read(in, text, 31), EINVAL);
	EXPECT_EQ(read(in, text, 32 + 47), 32);
	EXPECT_EQ(read(in, text, 48), 48);
	EXPECT_ERRNO(read(in, text, 48), EAGAIN);
}

CASE(waiting_for_events)
{
	struct pollfd one;
	pid_t pid;

	in = OK(inotify_init());
	EXPECT_EQ(watch(".", IN_CREATE), 1);
	one = (struct pollfd){.fd = in, .events = POLLIN};
	EXPECT_EQ(poll(&one, 1, 0), 0);
	CHILD(pid) {
		wait_until_asleep(getppid());
		OK(mkdir("one", 0755));
	}
	EXPECT_STR(events(), "1:CREATE+ISDIR(one)");
	EXPECT_EXIT(pid, 0);
	CHILD(pid) {
		wait_until_asleep(getppid());
		OK(mkdir("two", 0755));
	}
	EXPECT_EQ(poll(&one, 1, 5000), 1);
	EXPECT_EQ(one.revents, POLLIN);
	EXPECT_EXIT(pid, 0);
}

CASE(descriptor_shows_its_watches)
{
	struct stat st;
	char line[200];

	start();
	OK(mkdir("dir", 0755));
	EXPECT_EQ(watch("dir", IN_OPEN | IN_ONESHOT), 1);
	OK(stat("dir", &st));
	snprintf(text, sizeof(text), "/proc/self/fd/%d", in);
	EXPECT_EQ(readlink(text, line, sizeof(line)), 18);
	EXPECT_EQ(memcmp(line, "anon_inode:inotify", 18), 0);
	snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", in);
	snprintf(line, sizeof(line), "inotify wd:1 ino:%lx sdev:%x mask:80000020 ignored_mask:0 ",
		 st.st_ino, (unsigned)(major(st.st_dev) << 20 | minor(st.st_dev)));
	if (!strstr(read_file(text), line))
		fail("%s is not in %s", line, read_file(text));
}

CASE(two_instances_hear_the_same)
{
	int first, second;

	start();
	first = in;
	EXPECT_EQ(watch(".", IN_CREATE), 1);
	start();
	second = in;
	EXPECT_EQ(watch(".", IN_CREATE), 1);
	OK(mkdir("dir", 0755));
	in = first;
	EXPECT_STR(events(), "1:CREATE+ISDIR(dir)");
	OK(close(first));
	in = second;
	EXPECT_STR(events(), "1:CREATE+ISDIR(dir)");
	OK(rmdir("dir"));
	OK(mkdir("dir", 0755));
	EXPECT_STR(events(), "1:CREATE+ISDIR(dir)");
}

CASE(too_many_events)
{
	int fd, count = 0, limit = atoi(read_file("/proc/sys/fs/inotify/max_queued_events"));
	struct inotify_event event;

	start();
	fd = OK(open("file", O_CREAT | O_RDWR, 0644));
	EXPECT_EQ(watch("file", IN_MODIFY | IN_ATTRIB), 1);
	for (int i = 0; i < limit + 10; i++) {
		if (i % 2)
			OK(fchmod(fd, 0600));
		else
			EXPECT_EQ(write(fd, "x", 1), 1);
	}
	while (read(in, &event, sizeof(event)) == sizeof(event)) {
		count++;
		if (count <= limit)
			EXPECT_EQ(event.wd, 1);
	}
	EXPECT_EQ(event.mask, IN_Q_OVERFLOW);
	EXPECT_EQ(event.wd, -1);
	EXPECT_EQ(count, limit + 1);
}

CASE(temporary_files_get_names)
{
	int fd;

	start();
	EXPECT_EQ(watch(".", IN_ALL_EVENTS), 1);
	fd = open(".", O_TMPFILE | O_RDWR, 0644);
	EXPECT(fd >= 0);
	EXPECT_EQ(write(fd, "x", 1), 1);
	events();
	snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, text, AT_FDCWD, "name", AT_SYMLINK_FOLLOW));
	EXPECT_STR(events(), "1:CREATE(name)");
}

CASE(end_of_a_file_while_there_are_zombies)
{
	pid_t pid;

	start();
	write_file("file", "");
	EXPECT_EQ(watch("file", IN_DELETE_SELF), 1);
	CHILD(pid)
		;
	EXPECT_SOON(state_of(pid) == 'Z');
	OK(unlink("file"));
	EXPECT_STR(events(), "1:DELETE_SELF 1:IGNORED");
	EXPECT_EXIT(pid, 0);
}
