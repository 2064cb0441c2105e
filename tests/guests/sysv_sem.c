/* sysvipc(7): semaphores. */
#include "guest.h"

#include <sys/ipc.h>
#include <sys/sem.h>

#define KEY 0x5eed0002

union argument {
	int value;
	struct semid_ds *status;
	unsigned short *values;
	struct seminfo *limits;
};

static int set;

static void start(int count)
{
	set = OK(semget(IPC_PRIVATE, count, 0600));
}

static void leave(void)
{
	OK(semctl(set, 0, IPC_RMID));
}

static int value_of(int index)
{
	return semctl(set, index, GETVAL);
}

static int set_value(int index, int value)
{
	return semctl(set, index, SETVAL, (union argument){.value = value});
}

static int change(int index, int by, int flags)
{
	struct sembuf one = {index, by, flags};

	return semop(set, &one, 1);
}

CASE(values_change)
{
	unsigned short values[3] = {1, 2, 3};

	start(3);
	EXPECT_EQ(value_of(0), 0);
	OK(set_value(1, 5));
	EXPECT_EQ(value_of(1), 5);
	EXPECT_EQ(semctl(set, 1, GETPID), getpid());
	EXPECT_EQ(semctl(set, 0, GETPID), 0);
	OK(change(1, 3, 0));
	OK(change(1, -2, 0));
	EXPECT_EQ(value_of(1), 6);
	OK(semctl(set, 0, SETALL, (union argument){.values = values}));
	memset(values, 0, sizeof(values));
	OK(semctl(set, 0, GETALL, (union argument){.values = values}));
	EXPECT_EQ(values[0], 1);
	EXPECT_EQ(values[2], 3);
	OK(change(0, -1, 0));
	OK(change(0, 0, 0));
	leave();
	EXPECT_ERRNO(change(0, 1, 0), EINVAL);
}

CASE(bounds)
{
	struct sembuf many[501] = {{0, 0, 0}};

	start(2);
	EXPECT_ERRNO(set_value(0, 32768), ERANGE);
	EXPECT_ERRNO(set_value(0, -1), ERANGE);
	EXPECT_ERRNO(set_value(2, 1), EINVAL);
	EXPECT_ERRNO(value_of(2), EINVAL);
	OK(set_value(0, 32767));
	EXPECT_ERRNO(change(0, 1, 0), ERANGE);
	EXPECT_ERRNO(change(2, 1, 0), EFBIG);
	EXPECT_ERRNO(semop(set, many, 0), EINVAL);
	EXPECT_ERRNO(semop(set, many, 501), E2BIG);
	EXPECT_ERRNO(semop(set, (void *)8, 1), EFAULT);
	EXPECT_ERRNO(semop(-1, many, 1), EINVAL);
	EXPECT_ERRNO(semget(IPC_PRIVATE, 0, 0600), EINVAL);
	EXPECT_ERRNO(semget(IPC_PRIVATE, -1, 0600), EINVAL);
	EXPECT_ERRNO(semget(IPC_PRIVATE, 32001, 0600), EINVAL);
	EXPECT_ERRNO(semctl(set, 0, 99), EINVAL);
	leave();
}

CASE(keys)
{
	set = OK(semget(KEY, 2, 0600 | IPC_CREAT | IPC_EXCL));
	EXPECT_EQ(semget(KEY, 0, 0), set);
	EXPECT_EQ(semget(KEY, 2, 0600 | IPC_CREAT), set);
	EXPECT_ERRNO(semget(KEY, 3, 0), EINVAL);
	EXPECT_ERRNO(semget(KEY, 2, 0600 | IPC_CREAT | IPC_EXCL), EEXIST);
	leave();
	EXPECT_ERRNO(semget(KEY, 2, 0600), ENOENT);
}

CASE(all_or_nothing)
{
	struct sembuf both[] = {{0, -1, 0}, {1, -1, IPC_NOWAIT}}, same[] = {{0, 1, 0}, {0, -2, IPC_NOWAIT}};

	start(2);
	OK(set_value(0, 1));
	EXPECT_ERRNO(semop(set, both, 2), EAGAIN);
	EXPECT_EQ(value_of(0), 1);
	OK(set_value(1, 1));
	OK(semop(set, both, 2));
	EXPECT_EQ(value_of(0), 0);
	EXPECT_EQ(value_of(1), 0);
	EXPECT_ERRNO(semop(set, same, 2), EAGAIN);
	OK(set_value(0, 1));
	OK(semop(set, same, 2));
	EXPECT_EQ(value_of(0), 0);
	leave();
}

CASE(waiting_for_a_value)
{
	pid_t pid;

	start(1);
	CHILD(pid)
		OK(change(0, -2, 0));
	wait_until_asleep(pid);
	EXPECT_EQ(semctl(set, 0, GETNCNT), 1);
	EXPECT_EQ(semctl(set, 0, GETZCNT), 0);
	OK(change(0, 1, 0));
	EXPECT_EQ(semctl(set, 0, GETNCNT), 1);
	OK(change(0, 1, 0));
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(value_of(0), 0);
	OK(set_value(0, 1));
	CHILD(pid)
		OK(change(0, 0, 0));
	wait_until_asleep(pid);
	EXPECT_EQ(semctl(set, 0, GETZCNT), 1);
	OK(set_value(0, 0));
	EXPECT_EXIT(pid, 0);
	leave();
}

CASE(several_wait)
{
	pid_t pids[3];

	start(1);
	for (int i = 0; i < 3; i++) {
		CHILD(pids[i])
			OK(change(0, -1, 0));
		wait_until_asleep(pids[i]);
	}
	EXPECT_EQ(semctl(set, 0, GETNCNT), 3);
	OK(change(0, 2, 0));
	EXPECT_EXIT(pids[0], 0);
	EXPECT_EXIT(pids[1], 0);
	EXPECT_EQ(semctl(set, 0, GETNCNT), 1);
	OK(change(0, 1, 0));
	EXPECT_EXIT(pids[2], 0);
	leave();
}

CASE(waiting_ends)
{
	struct sembuf one = {0, -1, 0};
	struct timespec limit = {0, 30000000}, bad = {0, 1000000000};
	pid_t pid, helper;
	long long began = now_ms();

	start(1);
	EXPECT_ERRNO(semtimedop(set, &one, 1, &limit), EAGAIN);
	EXPECT(now_ms() - began >= 30);
	EXPECT_ERRNO(semtimedop(set, &one, 1, &bad), EINVAL);
	EXPECT_ERRNO(change(0, -1, IPC_NOWAIT), EAGAIN);
	handle(SIGUSR1, count_signal);
	helper = signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(change(0, -1, 0), EINTR);
	EXPECT_EXIT(helper, 0);
	EXPECT_EQ(semctl(set, 0, GETNCNT), 0);
	CHILD(pid)
		EXPECT_ERRNO(change(0, -1, 0), EIDRM);
	wait_until_asleep(pid);
	leave();
	EXPECT_EXIT(pid, 0);
}

CASE(changes_are_undone)
{
	pid_t pid;

	start(2);
	OK(set_value(0, 3));
	CHILD(pid) {
		OK(change(0, -2, SEM_UNDO));
		OK(change(1, 4, SEM_UNDO));
		OK(change(1, 1, 0));
		EXPECT_EQ(value_of(0), 1);
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(value_of(0), 3);
	EXPECT_EQ(value_of(1), 1);
	EXPECT_EQ(semctl(set, 0, GETPID), pid);
	CHILD(pid) {
		OK(change(0, -2, SEM_UNDO));
		raise(SIGKILL);
	}
	EXPECT_KILLED(pid, SIGKILL);
	EXPECT_EQ(value_of(0), 3);
	/* Setting a value forgets what was to be undone. */
	CHILD(pid) {
		OK(change(0, -2, SEM_UNDO));
		OK(set_value(0, 9));
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(value_of(0), 9);
	leave();
}

CASE(undoing_wakes_who_waits)
{
	pid_t owner, pid;

	start(1);
	OK(set_value(0, 1));
	CHILD(owner) {
		OK(change(0, -1, SEM_UNDO));
		pause();
	}
	EXPECT_SOON(value_of(0) == 0);
	CHILD(pid)
		OK(change(0, -1, 0));
	wait_until_asleep(pid);
	OK(kill(owner, SIGTERM));
	EXPECT_KILLED(owner, SIGTERM);
	EXPECT_EXIT(pid, 0);
	leave();
}

CASE(status_and_permissions)
{
	struct semid_ds found;
	union argument argument = {.status = &found};
	pid_t pid;

	set = OK(semget(KEY, 3, 0604 | IPC_CREAT));
	OK(semctl(set, 0, IPC_STAT, argument));
	EXPECT_EQ(found.sem_perm.__key, KEY);
	EXPECT_EQ(found.sem_perm.mode, 0604);
	EXPECT_EQ(found.sem_nsems, 3);
	EXPECT_EQ(found.sem_otime, 0);
	EXPECT(found.sem_ctime != 0);
	OK(change(0, 1, 0));
	OK(semctl(set, 0, IPC_STAT, argument));
	EXPECT(found.sem_otime != 0);
	CHILD(pid) {
		become(NOBODY);
		EXPECT_EQ(value_of(0), 1);
		EXPECT_ERRNO(set_value(0, 1), EACCES);
		EXPECT_ERRNO(change(0, 1, 0), EACCES);
		EXPECT_ERRNO(change(0, 0, IPC_NOWAIT), EAGAIN);
		EXPECT_ERRNO(semctl(set, 0, IPC_RMID), EPERM);
	}
	EXPECT_EXIT(pid, 0);
	found.sem_perm.mode = 0600;
	OK(semctl(set, 0, IPC_SET, argument));
	CHILD(pid) {
		become(NOBODY);
		EXPECT_ERRNO(value_of(0), EACCES);
	}
	EXPECT_EXIT(pid, 0);
	leave();
}

CASE(what_ipcs_asks)
{
	struct seminfo limits;
	struct semid_ds found;
	int highest, seen = 0;

	start(7);
	OK(semctl(0, 0, IPC_INFO, (union argument){.limits = &limits}));
	EXPECT_EQ(limits.semmni, 32000);
	EXPECT_EQ(limits.semmsl, 32000);
	EXPECT_EQ(limits.semopm, 500);
	EXPECT_EQ(limits.semvmx, 32767);
	highest = OK(semctl(0, 0, SEM_INFO, (union argument){.limits = &limits}));
	EXPECT(limits.semusz >= 1);
	EXPECT(limits.semaem >= 7);
	for (int i = 0; i <= highest; i++)
		if (semctl(i, 0, SEM_STAT, (union argument){.status = &found}) == set) {
			seen++;
			EXPECT_EQ(found.sem_nsems, 7);
		}
	EXPECT_EQ(seen, 1);
	leave();
}
