/* Arguments, environment, standard streams and the exit status. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%d=%s ", i, argv[i]);
	printf("HOME=%s\n", getenv("HOME"));
	printf("%ld %d %d\n", sysconf(_SC_PAGESIZE), getauxval(AT_SYSINFO_EHDR) != 0,
	       getauxval(AT_RANDOM) != 0);
	fprintf(stderr, "to standard error\n");
	return argc;
}
