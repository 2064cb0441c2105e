/* read(2), write(2), readv(2), pread(2), preadv2(2), lseek(2), sendfile(2).  Also on tmpfs. */
#include "guest.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static int open_with(const char *text)
{
	write_file("file", text);
	return OK(open("file", O_RDWR));
}

CASE(read_moves_the_offset)
{
	char bytes[8] = {0};
	int fd = open_with("abcdef");

	EXPECT_EQ(read(fd, bytes, 4), 4);
	EXPECT_STR(bytes, "abcd");
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 4);
	EXPECT_EQ(read(fd, bytes, 4), 2);
	EXPECT_EQ(read(fd, bytes, 4), 0);
}

CASE(read_of_a_write_only_file_is_ebadf)
{
	char byte = 0;
	int fd;

	write_file("file", "x");
	fd = OK(open("file", O_WRONLY));
	EXPECT_ERRNO(read(fd, &byte, 1), EBADF);
	EXPECT_ERRNO(pread(fd, &byte, 1, 0), EBADF);
	fd = OK(open("file", O_RDONLY));
	EXPECT_ERRNO(write(fd, &byte, 1), EBADF);
	EXPECT_ERRNO(pwrite(fd, &byte, 1, 0), EBADF);
	EXPECT_ERRNO(read(-1, &byte, 1), EBADF);
	EXPECT_ERRNO(read(1000, &byte, 1), EBADF);
}

CASE(read_of_a_directory_is_eisdir)
{
	char byte;
	int fd = OK(open(".", O_RDONLY));

	EXPECT_ERRNO(read(fd, &byte, 1), EISDIR);
	EXPECT_ERRNO(pread(fd, &byte, 1, 0), EISDIR);
	EXPECT_ERRNO(write(fd, &byte, 1), EBADF);
}

CASE(read_into_a_bad_address_is_efault_and_does_not_move)
{
	int fd = open_with("abc");

	EXPECT_ERRNO(read(fd, (void *)8, 3), EFAULT);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	EXPECT_ERRNO(read(fd, (void *)-1L, 3), EFAULT);
	EXPECT_ERRNO(write(fd, (void *)8, 3), EFAULT);
}

CASE(read_into_read_only_memory_is_efault)
{
	int fd = open_with("abc");
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_ERRNO(read(fd, page, 3), EFAULT);
}

CASE(read_across_the_end_of_memory_is_partial)
{
	int fd;
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	OK(munmap(page + PAGE, PAGE));
	fd = open_with("abcdef");
	EXPECT_EQ(read(fd, page + PAGE - 4, 6), 4);
	EXPECT(memcmp(page + PAGE - 4, "abcd", 4) == 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 4);
}

CASE(write_across_the_end_of_memory_is_partial)
{
	int fd = open_with("");
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	OK(munmap(page + PAGE, PAGE));
	memset(page, 'x', PAGE);
	EXPECT_EQ(write(fd, page + PAGE - 4, 6), 4);
	EXPECT_STR(read_file("file"), "xxxx");
}

CASE(count_beyond_user_space_is_efault)
{
	char byte;
	int fd = open_with("abc");

	EXPECT_ERRNO(syscall(SYS_read, fd, &byte, -1L), EFAULT);
	EXPECT_ERRNO(syscall(SYS_write, fd, &byte, LONG_MAX), EFAULT);
	EXPECT_ERRNO(syscall(SYS_pread64, fd, &byte, 1, -1L), EINVAL);
	EXPECT_ERRNO(syscall(SYS_pwrite64, fd, &byte, 1, -1L), EINVAL);
}

CASE(append_writes_at_the_end)
{
	int fd;

	write_file("file", "abc");
	fd = OK(open("file", O_RDWR | O_APPEND));
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	EXPECT_EQ(write(fd, "de", 2), 2);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 5);
	EXPECT_EQ(pwrite(fd, "f", 1, 0), 1);
	EXPECT_STR(read_file("file"), "abcdef");
}

CASE(append_set_later_works_and_can_be_cleared)
{
	int fd = open_with("abc");

	OK(fcntl(fd, F_SETFL, O_APPEND));
	EXPECT_EQ(write(fd, "d", 1), 1);
	OK(fcntl(fd, F_SETFL, 0));
	OK(lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(write(fd, "X", 1), 1);
	EXPECT_STR(read_file("file"), "Xbcd");
}

CASE(write_behind_the_end_leaves_a_hole_of_zeros)
{
	char bytes[16];
	int fd = open_with("ab");

	EXPECT_EQ(lseek(fd, 5, SEEK_SET), 5);
	EXPECT_EQ(write(fd, "c", 1), 1);
	EXPECT_EQ(pread(fd, bytes, 16, 0), 6);
	EXPECT(memcmp(bytes, "ab\0\0\0c", 6) == 0);
}

CASE(lseek_errors)
{
	int fd = open_with("abc");

	EXPECT_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	EXPECT_ERRNO(lseek(fd, -4, SEEK_END), EINVAL);
	EXPECT_ERRNO(lseek(fd, 0, 99), EINVAL);
	EXPECT_ERRNO(lseek(77, 0, SEEK_SET), EBADF);
	EXPECT_EQ(lseek(fd, 100, SEEK_END), 103);
	EXPECT_EQ(lseek(fd, -3, SEEK_CUR), 100);
	EXPECT_ERRNO(lseek(fd, LONG_MAX, SEEK_CUR), EINVAL);
}

CASE(seek_data_and_hole_in_a_dense_file)
{
	int fd = open_with("abcdef");

	EXPECT_EQ(lseek(fd, 2, SEEK_DATA), 2);
	EXPECT_EQ(lseek(fd, 2, SEEK_HOLE), 6);
	EXPECT_ERRNO(lseek(fd, 6, SEEK_DATA), ENXIO);
	EXPECT_ERRNO(lseek(fd, 6, SEEK_HOLE), ENXIO);
}

CASE(seek_data_and_hole_in_a_sparse_file)
{
	int fd = open_with("");

	OK(ftruncate(fd, 1 << 20));
	EXPECT_EQ(pwrite(fd, "x", 1, 1 << 19), 1);
	EXPECT_EQ(lseek(fd, 0, SEEK_HOLE), 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_DATA), 1 << 19);
	EXPECT_EQ(lseek(fd, 1 << 19, SEEK_HOLE), (1 << 19) + 4096);
	EXPECT_ERRNO(lseek(fd, (1 << 19) + 4096, SEEK_DATA), ENXIO);
}

CASE(readv_fills_its_parts_in_order)
{
	char one[2], two[3];
	struct iovec parts[3] = {{one, 2}, {NULL, 0}, {two, 3}};
	int fd = open_with("abcdefgh");

	EXPECT_EQ(readv(fd, parts, 3), 5);
	EXPECT(memcmp(one, "ab", 2) == 0 && memcmp(two, "cde", 3) == 0);
	EXPECT_EQ(writev(fd, parts, 3), 5);
	EXPECT_STR(read_file("file"), "abcdeabcde");
}

CASE(iovec_errors)
{
	char byte;
	struct iovec parts[2] = {{&byte, 1}, {&byte, -1UL}};
	int fd = open_with("abc");

	EXPECT_ERRNO(readv(fd, parts, 2), EINVAL);
	EXPECT_ERRNO(readv(fd, parts, -1), EINVAL);
	EXPECT_ERRNO(readv(fd, parts, 1025), EINVAL);
	EXPECT_ERRNO(readv(fd, (void *)8, 1), EFAULT);
	EXPECT_EQ(readv(fd, parts, 0), 0);
	EXPECT_ERRNO(readv(77, parts, 1), EBADF);
}

CASE(iovec_with_a_bad_second_part_is_partial)
{
	char byte;
	struct iovec parts[2] = {{&byte, 1}, {(void *)8, 1}};
	int fd = open_with("abc");

	EXPECT_EQ(readv(fd, parts, 2), 1);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 1);
}

CASE(pread_leaves_the_offset)
{
	char bytes[4];
	int fd = open_with("abcdef");

	EXPECT_EQ(pread(fd, bytes, 2, 3), 2);
	EXPECT(memcmp(bytes, "de", 2) == 0);
	EXPECT_EQ(pread(fd, bytes, 2, 100), 0);
	EXPECT_EQ(pwrite(fd, "X", 1, 1), 1);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	EXPECT_STR(read_file("file"), "aXcdef");
}

CASE(preadv2_at_minus_one_uses_the_offset)
{
	char bytes[4];
	struct iovec part = {bytes, 2};
	int fd = open_with("abcdef");

	EXPECT_EQ(preadv2(fd, &part, 1, -1, 0), 2);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 2);
	EXPECT_EQ(pwritev2(fd, &part, 1, -1, 0), 2);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 4);
	EXPECT_EQ(pwritev2(fd, &part, 1, 0, RWF_APPEND), 2);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 4);
	EXPECT_STR(read_file("file"), "ababefab");
	EXPECT_ERRNO(preadv2(fd, &part, 1, 0, 1 << 20), EOPNOTSUPP);
	EXPECT_ERRNO(preadv(fd, &part, 1, -1), EINVAL);
}

CASE(write_clears_setuid_for_others)
{
	struct stat st;
	pid_t pid;

	write_file("file", "x");
	OK(chmod(".", 0777));
	OK(chown("file", NOBODY, NOBODY));
	OK(chmod("file", 06755));
	CHILD(pid) {
		become(NOBODY);
		EXPECT_EQ(write(OK(open("file", O_WRONLY)), "y", 1), 1);
	}
	EXPECT_EXIT(pid, 0);
	OK(stat("file", &st));
	EXPECT_EQ(st.st_mode & 07777, 0755);
}

CASE(write_past_the_file_size_limit_is_efbig_with_sigxfsz)
{
	struct { unsigned long soft, hard; } limit = {4, 4};
	int fd = open_with("");

	handle(SIGXFSZ, count_signal);
	OK(syscall(SYS_prlimit64, 0, 1, &limit, NULL));
	EXPECT_EQ(write(fd, "abcdef", 6), 4);
	EXPECT_ERRNO(write(fd, "g", 1), EFBIG);
	EXPECT_EQ(signals_seen, 1);
	EXPECT_ERRNO(ftruncate(fd, 5), EFBIG);
	EXPECT_EQ(signals_seen, 2);
}

CASE(sendfile_from_a_file_to_a_pipe)
{
	char bytes[8];
	int fd = open_with("abcdef"), fds[2];
	off_t offset = 1;

	OK(pipe(fds));
	EXPECT_EQ(sendfile(fds[1], fd, &offset, 3), 3);
	EXPECT_EQ(offset, 4);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	EXPECT_EQ(sendfile(fds[1], fd, NULL, 100), 6);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 6);
	EXPECT_EQ(sendfile(fds[1], fd, NULL, 100), 0);
	EXPECT_EQ(read(fds[0], bytes, 3), 3);
	EXPECT(memcmp(bytes, "bcd", 3) == 0);
}

CASE(sendfile_between_files)
{
	int from, to;

	write_file("from", "hello");
	from = OK(open("from", O_RDONLY));
	to = OK(open("file", O_RDWR | O_CREAT, 0600));
	EXPECT_EQ(sendfile(to, from, NULL, 100), 5);
	EXPECT_STR(read_file("file"), "hello");
}

CASE(sendfile_errors)
{
	int fd = open_with("abc"), read_only, append, fds[2];
	off_t offset = -1;

	read_only = OK(open("file", O_RDONLY));
	append = OK(open("file", O_WRONLY | O_APPEND));
	OK(pipe(fds));
	EXPECT_ERRNO(sendfile(read_only, fd, NULL, 1), EBADF);
	EXPECT_ERRNO(sendfile(fds[1], 77, NULL, 1), EBADF);
	EXPECT_ERRNO(sendfile(append, fd, NULL, 1), EINVAL);
	EXPECT_ERRNO(sendfile(fds[1], fd, &offset, 1), EINVAL);
	EXPECT_ERRNO(sendfile(fd, fds[0], (off_t[]){0}, 1), ESPIPE);
	EXPECT_ERRNO(sendfile(fds[1], fd, (off_t *)8, 1), EFAULT);
	EXPECT_EQ(sendfile(fds[1], fd, NULL, 0), 0);
}

CASE(copy_file_range_copies)
{
	int from = open_with("abcdef"), to = OK(open("to", O_RDWR | O_CREAT, 0600));
	off64_t in = 1, out = 2;

	EXPECT_EQ(copy_file_range(from, &in, to, &out, 3, 0), 3);
	EXPECT_EQ(in, 4);
	EXPECT_EQ(out, 5);
	EXPECT_EQ(copy_file_range(from, NULL, to, NULL, 2, 0), 2);
	EXPECT_EQ(lseek(from, 0, SEEK_CUR), 2);
	EXPECT_EQ(lseek(to, 0, SEEK_CUR), 2);
	EXPECT_STR(read_file("to"), "abbcd");
	in = 100;
	EXPECT_EQ(copy_file_range(from, &in, to, NULL, 2, 0), 0);
}

CASE(copy_file_range_errors)
{
	int fd = open_with("abcdef"), fds[2], read_only, append;
	off64_t in = 0, out = 2;

	read_only = OK(open("file", O_RDONLY));
	append = OK(open("file", O_WRONLY | O_APPEND));
	OK(pipe(fds));
	EXPECT_ERRNO(copy_file_range(fd, &in, fd, &out, 3, 0), EINVAL);
	EXPECT_ERRNO(copy_file_range(fd, NULL, read_only, NULL, 3, 0), EBADF);
	EXPECT_ERRNO(copy_file_range(fd, NULL, append, NULL, 3, 0), EBADF);
	EXPECT_ERRNO(copy_file_range(fds[0], NULL, fd, NULL, 3, 0), EINVAL);
	EXPECT_ERRNO(copy_file_range(OK(open(".", O_RDONLY)), NULL, fd, NULL, 3, 0), EISDIR);
	EXPECT_ERRNO(copy_file_range(fd, NULL, fd, NULL, 3, 1), EINVAL);
}

CASE(dev_full_and_null_and_zero)
{
	char bytes[4] = "xyz";
	int fd = OK(open("/dev/full", O_RDWR));

	EXPECT_ERRNO(write(fd, "a", 1), ENOSPC);
	EXPECT_EQ(read(fd, bytes, 4), 4);
	EXPECT_EQ(bytes[0], 0);
	fd = OK(open("/dev/null", O_RDWR));
	EXPECT_EQ(write(fd, "abc", 3), 3);
	EXPECT_EQ(read(fd, bytes, 4), 0);
	EXPECT_EQ(lseek(fd, 100, SEEK_SET), 0);
}
