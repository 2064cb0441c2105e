/* fork, exec, spawn, pipes, popen and what wait tells. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void report(const char *what, int status)
{
	if (WIFEXITED(status))
		printf("%s exited %d\n", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("%s killed %d\n", what, WTERMSIG(status));
	fflush(stdout);
}

int main(void)
{
	char *argv[] = {"sh", "-c", "exit 12", NULL};
	char buffer[64];
	int status, ends[2];
	pid_t child;
	FILE *pipe_in;

	posix_spawnp(&child, "sh", NULL, NULL, argv, environ);
	waitpid(child, &status, 0);
	report("spawned", status);

	printf("missing: %s\n", strerror(posix_spawn(&child, "/missing", NULL, NULL, argv, environ)));
	fflush(stdout);

	child = fork();
	if (child == 0) {
		raise(SIGKILL);
		_exit(1);
	}
	waitpid(child, &status, 0);
	report("forked", status);

	child = vfork();
	if (child == 0) {
		execlp("sh", "sh", "-c", "exit 34", (char *)NULL);
		_exit(1);
	}
	waitpid(child, &status, 0);
	report("vforked", status);

	pipe_in = popen("seq 1 100 | tail -n 1", "r");
	fgets(buffer, sizeof buffer, pipe_in);
	printf("popen: %s", buffer);
	report("pclose", pclose(pipe_in));
	report("system", system("exit 5"));

	if (pipe2(ends, O_CLOEXEC) != 0)
		return 1;
	for (int i = 0; i < 10; i++) {
		if (fork() == 0) {
			write(ends[1], &i, 1);
			_exit(i);
		}
	}
	status = 0;
	for (int i = 0, one; i < 10; i++) {
		wait(&one);
		status += WEXITSTATUS(one);
	}
	printf("ten children: %d, %zd bytes\n", status, read(ends[0], buffer, sizeof buffer));
	printf("none left: %d\n", wait(NULL) == -1 && errno == ECHILD);
	return 0;
}
