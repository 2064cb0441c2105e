/* mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), msync(2), mincore(2), brk(2), mlock(2), memfd_create(2). */
#include "guest.h"

#include <setjmp.h>
#include <sys/mman.h>

static sigjmp_buf jump;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void on_fault(int sig, siginfo_t *info, __attribute__((unused)) void *context)
{
	fault_signal = sig;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(jump, 1);
}

static void catch_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	OK(sigaction(SIGSEGV, &action, NULL));
	OK(sigaction(SIGBUS, &action, NULL));
}

/* The signal that reading a byte raises, 0 for none. */
static int read_fault(volatile char *at)
{
	fault_signal = 0;
	if (sigsetjmp(jump, 1) == 0)
		(void)*at;
	return fault_signal;
}

static int write_fault(volatile char *at)
{
	fault_signal = 0;
	if (sigsetjmp(jump, 1) == 0)
		*at = 1;
	return fault_signal;
}

static char *anonymous(size_t size)
{
	return OK(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int file_of(const char *text)
{
	write_file("file", text);
	return OK(open("file", O_RDWR));
}

CASE(anonymous_memory_is_zero)
{
	char *at = anonymous(2 * PAGE);

	for (unsigned long i = 0; i < 2 * PAGE; i++)
		EXPECT_EQ(at[i], 0);
	at[PAGE] = 1;
	EXPECT_EQ((unsigned long)at & (PAGE - 1), 0);
}

CASE(mmap_errors)
{
	int fd = file_of("abc"), read_only = OK(open("file", O_RDONLY));
	int write_only = OK(open("file", O_WRONLY));

	EXPECT_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100), EINVAL);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 77, 0), EBADF);
	EXPECT_ERRNO(mmap((void *)1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0), EACCES);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, write_only, 0), EACCES);
	EXPECT_ERRNO(mmap(NULL, -1UL, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, OK(open(".", O_RDONLY)), 0), ENODEV);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, OK(open("file", O_PATH)), 0), EBADF);
}

CASE(private_file_mapping_does_not_write_back)
{
	char *at = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_of("abc"), 0));

	EXPECT(memcmp(at, "abc\0", 4) == 0);
	at[0] = 'X';
	EXPECT_STR(read_file("file"), "abc");
}

CASE(shared_file_mapping_writes_back_and_sees_writes)
{
	int fd = file_of("abc");
	char *at = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));

	at[0] = 'X';
	EXPECT_STR(read_file("file"), "Xbc");
	EXPECT_EQ(pwrite(fd, "Y", 1, 1), 1);
	EXPECT_EQ(at[1], 'Y');
	OK(close(fd));
	at[2] = 'Z';
	OK(msync(at, PAGE, MS_SYNC));
	EXPECT_STR(read_file("file"), "XYZ");
}

CASE(shared_mapping_is_shared_after_fork)
{
	char *shared = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	char *private = anonymous(PAGE);
	pid_t pid;

	CHILD(pid)
		shared[0] = private[0] = 1;
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(shared[0], 1);
	EXPECT_EQ(private[0], 0);
}

CASE(access_beyond_the_end_of_a_file_is_sigbus)
{
	char *at = OK(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file_of("abc"), 0));

	catch_faults();
	EXPECT_EQ(read_fault(at + 100), 0);
	EXPECT_EQ(at[100], 0);
	EXPECT_EQ(read_fault(at + PAGE + 5), SIGBUS);
	EXPECT_EQ(fault_code, BUS_ADRERR);
	EXPECT_EQ((long)fault_address, (long)(at + PAGE + 5));
}

CASE(truncated_mapping_is_sigbus_and_comes_back)
{
	int fd = file_of("abc");
	char *at;

	OK(ftruncate(fd, 2 * PAGE));
	at = OK(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	catch_faults();
	EXPECT_EQ(write_fault(at + PAGE), 0);
	OK(ftruncate(fd, PAGE));
	EXPECT_EQ(read_fault(at + PAGE), SIGBUS);
	OK(ftruncate(fd, 2 * PAGE));
	EXPECT_EQ(read_fault(at + PAGE), 0);
	EXPECT_EQ(at[PAGE], 0);
}

CASE(unmapped_memory_is_sigsegv_maperr)
{
	char *at = anonymous(PAGE);

	catch_faults();
	OK(munmap(at, PAGE));
	EXPECT_EQ(read_fault(at), SIGSEGV);
	EXPECT_EQ(fault_code, SEGV_MAPERR);
	EXPECT_EQ((long)fault_address, (long)at);
	EXPECT_EQ(read_fault(NULL), SIGSEGV);
}

CASE(protected_memory_is_sigsegv_accerr)
{
	char *at = anonymous(PAGE);

	catch_faults();
	OK(mprotect(at, PAGE, PROT_READ));
	EXPECT_EQ(read_fault(at), 0);
	EXPECT_EQ(write_fault(at), SIGSEGV);
	EXPECT_EQ(fault_code, SEGV_ACCERR);
	OK(mprotect(at, PAGE, PROT_NONE));
	EXPECT_EQ(read_fault(at), SIGSEGV);
	OK(mprotect(at, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(write_fault(at), 0);
}

CASE(mprotect_errors)
{
	char *at = anonymous(3 * PAGE), *file;

	EXPECT_ERRNO(mprotect(at + 1, PAGE, PROT_READ), EINVAL);
	OK(munmap(at + PAGE, PAGE));
	EXPECT_ERRNO(mprotect(at, 3 * PAGE, PROT_READ), ENOMEM);
	EXPECT_ERRNO(mprotect(at, PAGE, 0x100), EINVAL);
	OK(mprotect(at, 0, PROT_READ));
	write_file("file", "abc");
	file = OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, OK(open("file", O_RDONLY)), 0));
	EXPECT_ERRNO(mprotect(file, PAGE, PROT_READ | PROT_WRITE), EACCES);
}

CASE(munmap_errors_and_holes)
{
	char *at = anonymous(3 * PAGE);

	EXPECT_ERRNO(munmap(at + 1, PAGE), EINVAL);
	EXPECT_ERRNO(munmap(at, 0), EINVAL);
	EXPECT_ERRNO(munmap((void *)(1UL << 62), PAGE), EINVAL);
	OK(munmap(at + PAGE, PAGE));
	OK(munmap(at, 3 * PAGE));
	OK(munmap(at, 3 * PAGE));
}

CASE(map_fixed_replaces)
{
	char *at = anonymous(2 * PAGE);

	at[0] = at[PAGE] = 1;
	EXPECT_EQ((long)mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), (long)at);
	EXPECT_EQ(at[0], 0);
	EXPECT_EQ(at[PAGE], 1);
}

CASE(map_fixed_noreplace_refuses)
{
	char *at = anonymous(2 * PAGE);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

	OK(munmap(at + PAGE, PAGE));
	EXPECT_ERRNO(mmap(at, 2 * PAGE, PROT_READ, flags, -1, 0), EEXIST);
	EXPECT_EQ((long)mmap(at + PAGE, PAGE, PROT_READ, flags, -1, 0), (long)(at + PAGE));
}

CASE(hint_is_taken_where_there_is_room)
{
	char *at = anonymous(4 * PAGE);

	OK(munmap(at, 4 * PAGE));
	EXPECT_EQ((long)mmap(at + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), (long)(at + PAGE));
	EXPECT((char *)mmap(at + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != at + PAGE);
}

CASE(mremap_grows_and_moves)
{
	char *at = anonymous(4 * PAGE), *moved;

	at[0] = 7;
	OK(munmap(at + 2 * PAGE, 2 * PAGE));
	EXPECT_EQ((long)mremap(at, 2 * PAGE, 4 * PAGE, 0), (long)at);
	EXPECT_EQ((long)mremap(at, 4 * PAGE, PAGE, 0), (long)at);
	OK(mmap(at + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_ERRNO(mremap(at, PAGE, 8 * PAGE, 0), ENOMEM);
	moved = OK(mremap(at, PAGE, 8 * PAGE, MREMAP_MAYMOVE));
	EXPECT(moved != at);
	EXPECT_EQ(moved[0], 7);
	EXPECT_EQ(moved[7 * PAGE], 0);
	catch_faults();
	EXPECT_EQ(read_fault(at), SIGSEGV);
}

CASE(mremap_to_a_fixed_place)
{
	char *at = anonymous(PAGE), *to = anonymous(2 * PAGE);

	at[0] = 7;
	EXPECT_EQ((long)mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE), (long)(to + PAGE));
	EXPECT_EQ(to[PAGE], 7);
	EXPECT_ERRNO(mremap(to, PAGE, PAGE, MREMAP_FIXED, at), EINVAL);
	EXPECT_ERRNO(mremap(to + 1, PAGE, PAGE, 0), EINVAL);
	EXPECT_ERRNO(mremap(to, PAGE, 0, 0), EINVAL);
	EXPECT_ERRNO(mremap(at, PAGE, 2 * PAGE, 0), EFAULT);
	EXPECT_ERRNO(mremap(to, PAGE, PAGE, 64), EINVAL);
}

CASE(mremap_of_a_shared_mapping_keeps_the_file)
{
	int fd = file_of("abc");
	char *at;

	OK(ftruncate(fd, 4 * PAGE));
	at = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	at = OK(mremap(at, PAGE, 4 * PAGE, MREMAP_MAYMOVE));
	at[3 * PAGE] = 'z';
	EXPECT_EQ(lseek(fd, 3 * PAGE, SEEK_SET), 3 * PAGE);
	EXPECT_EQ(read(fd, at + 1, 1), 1);
	EXPECT_EQ(at[1], 'z');
}

CASE(madvise_dontneed_zeroes_private_memory)
{
	char *at = anonymous(2 * PAGE);

	at[0] = at[PAGE] = 1;
	OK(madvise(at, PAGE, MADV_DONTNEED));
	EXPECT_EQ(at[0], 0);
	EXPECT_EQ(at[PAGE], 1);
	EXPECT_ERRNO(madvise(at + 1, PAGE, MADV_DONTNEED), EINVAL);
	EXPECT_ERRNO(madvise(at, PAGE, 12345), EINVAL);
	OK(munmap(at + PAGE, PAGE));
	EXPECT_ERRNO(madvise(at, 2 * PAGE, MADV_NORMAL), ENOMEM);
}

CASE(madvise_dontneed_rereads_a_private_file)
{
	char *at = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_of("abc"), 0));

	at[0] = 'X';
	OK(madvise(at, PAGE, MADV_DONTNEED));
	EXPECT_EQ(at[0], 'a');
}

CASE(madvise_wipe_on_fork)
{
	char *at = anonymous(PAGE), *kept = anonymous(PAGE);
	pid_t pid;

	at[0] = kept[0] = 1;
	OK(madvise(at, PAGE, MADV_WIPEONFORK));
	OK(madvise(kept, PAGE, MADV_DONTFORK));
	CHILD(pid) {
		EXPECT_EQ(at[0], 0);
		catch_faults();
		EXPECT_EQ(read_fault(kept), SIGSEGV);
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(at[0], 1);
}

CASE(msync_errors)
{
	char *at = anonymous(2 * PAGE);

	OK(msync(at, PAGE, MS_ASYNC));
	EXPECT_ERRNO(msync(at + 1, PAGE, MS_SYNC), EINVAL);
	EXPECT_ERRNO(msync(at, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
	EXPECT_ERRNO(msync(at, PAGE, 64), EINVAL);
	OK(munmap(at + PAGE, PAGE));
	EXPECT_ERRNO(msync(at, 2 * PAGE, MS_SYNC), ENOMEM);
}

CASE(mincore_tells_of_residence)
{
	unsigned char resident[2];
	char *at = anonymous(2 * PAGE);

	at[0] = 1;
	OK(mincore(at, 2 * PAGE, resident));
	EXPECT_EQ(resident[0] & 1, 1);
	EXPECT_EQ(resident[1] & 1, 0);
	EXPECT_ERRNO(mincore(at + 1, PAGE, resident), EINVAL);
	EXPECT_ERRNO(mincore(at, PAGE, (void *)8), EFAULT);
	OK(munmap(at, PAGE));
	EXPECT_ERRNO(mincore(at, PAGE, resident), ENOMEM);
}

CASE(brk_grows_and_shrinks)
{
	char *start = (char *)syscall(SYS_brk, 0), *end;

	end = (char *)syscall(SYS_brk, start + 3 * PAGE);
	EXPECT_EQ((long)end, (long)(start + 3 * PAGE));
	EXPECT_EQ(start[2 * PAGE], 0);
	start[2 * PAGE] = 1;
	EXPECT_EQ(syscall(SYS_brk, start), (long)start);
	EXPECT_EQ(syscall(SYS_brk, start + 3 * PAGE), (long)(start + 3 * PAGE));
	EXPECT_EQ(start[2 * PAGE], 0);
	EXPECT_EQ(syscall(SYS_brk, 1L), (long)(start + 3 * PAGE));
	EXPECT_EQ(syscall(SYS_brk, 1L << 60), (long)(start + 3 * PAGE));
}

CASE(mlock_checks_its_range)
{
	char *at = anonymous(2 * PAGE);

	OK(mlock(at, PAGE));
	OK(munlock(at, PAGE));
	OK(munmap(at + PAGE, PAGE));
	EXPECT_ERRNO(mlock(at, 2 * PAGE), ENOMEM);
	EXPECT_ERRNO(mlockall(0), EINVAL);
	EXPECT_ERRNO(mlock2(at, PAGE, 8), EINVAL);
}

CASE(executable_memory_runs)
{
	unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
	char *at = anonymous(PAGE);

	memcpy(at, code, sizeof(code));
	OK(mprotect(at, PAGE, PROT_READ | PROT_EXEC));
	EXPECT_EQ(((int (*)(void))at)(), 42);
}

CASE(jump_into_data_is_sigsegv)
{
	char *at = anonymous(PAGE);

	at[0] = (char)0xc3;
	catch_faults();
	if (sigsetjmp(jump, 1) == 0)
		((void (*)(void))at)();
	EXPECT_EQ(fault_signal, SIGSEGV);
	EXPECT_EQ(fault_code, SEGV_ACCERR);
}

CASE(memory_from_dev_zero)
{
	int fd = OK(open("/dev/zero", O_RDWR));
	char *at = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));

	EXPECT_EQ(at[5], 0);
	at[5] = 1;
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, OK(open("/dev/null", O_RDWR)), 0), ENODEV);
}

CASE(memfd_is_a_file_in_memory)
{
	struct stat st;
	char path[64], text[64];
	int fd = OK(memfd_create("name", 0)), size;

	EXPECT_EQ(write(fd, "abc", 3), 3);
	OK(fstat(fd, &st));
	EXPECT_EQ(st.st_size, 3);
	EXPECT_EQ(st.st_mode, S_IFREG | 0777);
	EXPECT_EQ(fcntl(fd, F_GETFD), 0);
	EXPECT_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	size = OK(readlink(path, text, sizeof(text) - 1));
	text[size] = 0;
	EXPECT_STR(text, "/memfd:name (deleted)");
	EXPECT_ERRNO(memfd_create("x", 0x80), EINVAL);
	EXPECT_ERRNO(syscall(SYS_memfd_create, 8, 0), EFAULT);
}

CASE(memfd_seals)
{
	int fd = OK(memfd_create("name", MFD_ALLOW_SEALING));
	char *at;

	EXPECT_EQ(write(fd, "abc", 3), 3);
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	EXPECT_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
	EXPECT_ERRNO(ftruncate(fd, 1), EPERM);
	EXPECT_ERRNO(ftruncate(fd, 10), EPERM);
	at = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	OK(munmap(at, PAGE));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
	EXPECT_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
	EXPECT_ERRNO(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
	EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	EXPECT_ERRNO(fcntl(OK(open(".", O_RDONLY)), F_GET_SEALS), EINVAL);
}

CASE(rlimit_of_address_space_is_enomem)
{
	unsigned long limit[2] = {64 << 20, 64 << 20};

	OK(syscall(SYS_prlimit64, 0, 9, limit, NULL));
	EXPECT_ERRNO(mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

CASE(process_vm_readv_of_a_child)
{
	static char here[] = "parent", there[] = "before";
	struct iovec { void *base; size_t size; } local = {here, 6}, remote = {there, 6};
	int fds[2];
	pid_t pid;

	OK(pipe(fds));
	CHILD(pid) {
		memcpy(there, "child!", 6);
		EXPECT_EQ(write(fds[1], "x", 1), 1);
		pause();
	}
	EXPECT_EQ(read(fds[0], here, 1), 1);
	EXPECT_EQ(syscall(SYS_process_vm_readv, pid, &local, 1, &remote, 1, 0), 6);
	EXPECT_STR(here, "child!");
	memcpy(here, "change", 6);
	EXPECT_EQ(syscall(SYS_process_vm_writev, pid, &local, 1, &remote, 1, 0), 6);
	EXPECT_ERRNO(syscall(SYS_process_vm_readv, 30000, &local, 1, &remote, 1, 0), ESRCH);
	EXPECT_ERRNO(syscall(SYS_process_vm_readv, pid, &local, 1, &remote, 1, 1), EINVAL);
}
