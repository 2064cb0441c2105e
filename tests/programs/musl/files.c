/* Files, directories, maps and locks. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int main(void)
{
	char directory[] = "/tmp/files-XXXXXX", buffer[32] = "";
	struct iovec parts[] = {{"abc", 3}, {"defgh", 5}};
	struct dirent **entries;
	struct stat about;
	char *map;
	int file, other;

	if (!mkdtemp(directory) || chdir(directory) != 0)
		return 1;
	file = open("one", O_RDWR | O_CREAT | O_EXCL, 0640);
	printf("wrote %zd\n", writev(file, parts, 2));
	printf("pread %zd %s\n", pread(file, buffer, 4, 2), buffer);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	memcpy(map, "MAP", 3);
	msync(map, 4096, MS_SYNC);
	lseek(file, 0, SEEK_SET);
	printf("read %zd %.8s\n", read(file, buffer, 8), buffer);
	fstat(file, &about);
	printf("%o %ld %ld\n", about.st_mode, (long)about.st_size, (long)about.st_nlink);

	link("one", "two");
	symlink("one", "three");
	mkdir("sub", 0755);
	rename("two", "sub/two");
	for (int i = 0, n = scandir(".", &entries, NULL, by_name); i < n; i++)
		printf("%s%c", entries[i]->d_name, i + 1 < n ? ' ' : '\n');

	printf("exclusive: %s\n", open("one", O_CREAT | O_EXCL, 0) < 0 ? strerror(errno) : "?");
	printf("directory: %s\n", open("sub", O_WRONLY) < 0 ? strerror(errno) : "?");
	printf("unlink: %s\n", unlink("sub") < 0 ? strerror(errno) : "?");
	printf("rmdir: %s\n", rmdir("sub") < 0 ? strerror(errno) : "?");
	other = open("three", O_RDWR);
	printf("flock %d\n", flock(file, LOCK_EX));
	printf("second %s\n", flock(other, LOCK_EX | LOCK_NB) < 0 ? strerror(errno) : "?");
	ftruncate(file, 3);
	printf("end %ld\n", (long)lseek(other, 0, SEEK_END));
	printf("dup %d\n", dup3(file, 77, O_CLOEXEC) == 77 && fcntl(77, F_GETFD) == FD_CLOEXEC);
	return 0;
}
