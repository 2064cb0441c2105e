/*
 * Guest programs: named cases of one family of system calls.
 *
 * A program lists its cases when run without arguments and runs the named ones with arguments.  Each
 * case is a process of its own, in an empty directory of its own, the leader of its own session,
 * with a time limit; see guest.c.  A case says what Linux does, by the man pages; the host's kernel
 * decides.  Here are the macros and the few functions that cases share.
 */
#ifndef GUEST_H
#define GUEST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct guest_case {
	const char *name;
	void (*run)(void);
};

struct guest_helper {
	const char *name;
	int (*run)(int argc, char **argv);
};

/* Define a case: CASE(name) { ... } */
#define CASE(n)                                                                  \
	static void n(void);                                                     \
	static const struct guest_case case_##n = {#n, n};                       \
	__attribute__((section("guest_cases"), used)) static const struct        \
		guest_case *const listed_##n = &case_##n;                        \
	static void n(void)

/* Define what `PROGRAM --helper name ...` does: for cases that execute something. */
#define HELPER(n)                                                                \
	static int helper_##n(int argc, char **argv);                            \
	static const struct guest_helper entry_##n = {#n, helper_##n};           \
	__attribute__((section("guest_helpers"), used)) static const struct      \
		guest_helper *const known_##n = &entry_##n;                      \
	static int helper_##n(__attribute__((unused)) int argc,                  \
			      __attribute__((unused)) char **argv)

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)
#define HERE __FILE_NAME__ ":" STRINGIFY(__LINE__)

/* Fail the case, from whichever process of it, unless the condition holds. */
#define EXPECT(cond)                                                             \
	do {                                                                     \
		if (!(cond))                                                     \
			fail(HERE ": %s", #cond);                                        \
	} while (0)

/* The same for equal numbers; shows both. */
#define EXPECT_EQ(actual, expected)                                              \
	do {                                                                     \
		long long a_ = (long long)(actual), e_ = (long long)(expected);  \
		if (a_ != e_)                                                    \
			fail(HERE ": %s is %lld (%#llx), not %lld (%#llx)",      \
			     #actual, a_, a_, e_, e_);                                    \
	} while (0)

/* The same for equal strings. */
#define EXPECT_STR(actual, expected)                                             \
	do {                                                                     \
		const char *a_ = (actual), *e_ = (expected);                     \
		if (strcmp(a_, e_) != 0)                                         \
			fail(HERE ": %s is \"%s\", not \"%s\"", #actual, a_, e_);     \
	} while (0)

/* The value of a call that must not return -1. */
#define OK(call)                                                                 \
	({                                                                       \
		__typeof__(call) r_ = (call);                                    \
		if ((long)r_ == -1)                                              \
			fail(HERE ": %s: %s", #call, strerrorname(errno));            \
		r_;                                                              \
	})

/* The call must return -1 with this errno. */
#define EXPECT_ERRNO(call, number)                                               \
	do {                                                                     \
		errno = 0;                                                       \
		long r_ = (long)(call);                                          \
		int n_ = errno;                                                  \
		if (r_ != -1)                                                    \
			fail(HERE ": %s is %ld, not %s", #call, r_, #number);            \
		if (n_ != (number))                                              \
			fail(HERE ": %s is %s, not %s", #call, strerrorname(n_),   \
			     #number);                                           \
	} while (0)

/* The condition must come true within some seconds. */
#define EXPECT_SOON(cond)                                                        \
	do {                                                                     \
		for (int i_ = 0; !(cond); i_++) {                                \
			if (i_ == 4000)                                          \
				fail(HERE ": %s did not come true", #cond);           \
			sleep_ms(1);                                             \
		}                                                                \
	} while (0)

/* Run the block that follows in a child process, which exits with 0 at its end. */
#define CHILD(pid) for ((pid) = OK(fork()); (pid) == 0; _exit(0))

/* The child must have ended, or end now, with this exit status. */
#define EXPECT_EXIT(pid, code)                                                   \
	do {                                                                     \
		int s_ = wait_status(pid);                                       \
		if (!WIFEXITED(s_) || WEXITSTATUS(s_) != (code))                 \
			fail(HERE ": %s ended with status %#x, not exit %s",    \
			     #pid, s_, #code);                                   \
	} while (0)

/* The child must be killed by this signal. */
#define EXPECT_KILLED(pid, sig)                                                  \
	do {                                                                     \
		int s_ = wait_status(pid);                                       \
		if (!WIFSIGNALED(s_) || WTERMSIG(s_) != (sig))                   \
			fail(HERE ": %s ended with status %#x, not by %s", #pid, \
			     s_, #sig);                                          \
	} while (0)

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define PAGE 4096UL
#define NOBODY 65534

/* The program itself, for cases that execute it. */
extern char *guest_program;

void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
const char *strerrorname(int number);

/* Wait for a child; return what wait(2) stores. */
int wait_status(pid_t pid);

void sleep_ms(int ms);
long long now_ns(void);
long long now_ms(void);

/* Wait until the thread (or process) sleeps in a system call. */
void wait_until_asleep(pid_t tid);

/* The state letter of /proc/PID/stat, 0 if there is no such process. */
char state_of(pid_t pid);

/* Become an ordinary user without groups and capabilities; for children of a case. */
void become(uid_t uid);

/* Make a file with this text. */
void write_file(const char *path, const char *text);

/* The first bytes of a file as a string, in a static buffer. */
const char *read_file(const char *path);

/* Set a handler without SA_RESTART. */
void handle(int sig, void (*handler)(int));

/* A handler that counts in `signals_seen` and notes `last_signal`. */
void count_signal(int sig);
extern volatile sig_atomic_t signals_seen, last_signal;

/* An empty signal set with one signal in it. */
sigset_t one_signal(int sig);

/* Send `sig` to a process as soon as it sleeps, from a child; return the child's pid. */
pid_t signal_when_asleep(pid_t pid, int sig);

#endif
