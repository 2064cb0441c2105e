/* execve(2), open(2): programs that are written to are not executed, and the other way round (ETXTBSY).
 * Also on tmpfs. */
#include "guest.h"

#include <sys/resource.h>

CASE(program_open_for_writing_cannot_be_executed)
{
	char *argv[] = {"x", NULL};
	int fd = OK(open("program", O_WRONLY | O_CREAT, 0755));

	EXPECT_EQ(write(fd, "#!/bin/false\n", 13), 13);
	EXPECT_ERRNO(execve("program", argv, NULL), ETXTBSY);
}

CASE(every_writer_has_to_close_a_program)
{
	char *argv[] = {"x", NULL};
	int fd, other;
	pid_t pid;

	/* The interpreter is no program of this machine: ENOENT is the answer once nobody writes. */
	write_file("program", "#!/no/such/interpreter\n");
	OK(chmod("program", 0755));
	EXPECT_ERRNO(execve("program", argv, NULL), ENOENT);
	OK(close(OK(open("program", O_RDONLY))));
	EXPECT_ERRNO(execve("program", argv, NULL), ENOENT);
	fd = OK(open("program", O_RDWR));
	OK(link("program", "link"));
	other = OK(open("link", O_WRONLY | O_APPEND));
	EXPECT_ERRNO(execve("program", argv, NULL), ETXTBSY);
	OK(close(fd));
	EXPECT_ERRNO(execve("link", argv, NULL), ETXTBSY);
	CHILD(pid) {
		OK(close(other));
		EXPECT_ERRNO(execve("program", argv, NULL), ETXTBSY);
	}
	EXPECT_EXIT(pid, 0);
	fd = OK(dup(other));
	OK(close(other));
	EXPECT_ERRNO(execve("program", argv, NULL), ETXTBSY);
	OK(close(fd));
	EXPECT_ERRNO(execve("program", argv, NULL), ENOENT);
}

CASE(interpreter_that_is_written_to)
{
	char *argv[] = {"x", NULL};
	int fd;

	write_file("interpreter", "#!/no/such/interpreter\n");
	OK(chmod("interpreter", 0755));
	write_file("program", "#!./interpreter\n");
	OK(chmod("program", 0755));
	fd = OK(open("interpreter", O_RDWR));
	EXPECT_ERRNO(execve("program", argv, NULL), ETXTBSY);
	OK(close(fd));
	EXPECT_ERRNO(execve("program", argv, NULL), ENOENT);
}

CASE(no_descriptor_left_for_a_writer)
{
	char *argv[] = {"x", NULL};
	struct rlimit few = {3, 3};

	write_file("program", "#!/no/such/interpreter\n");
	OK(chmod("program", 0755));
	OK(setrlimit(RLIMIT_NOFILE, &few));
	EXPECT_ERRNO(open("program", O_RDWR), EMFILE);
	EXPECT_ERRNO(execve("program", argv, NULL), ENOENT);
}
