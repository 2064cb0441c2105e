/* sysvipc(7): shared memory. */
#include "guest.h"

#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

#define KEY 0x5eed0001

static struct shmid_ds status(int id)
{
	struct shmid_ds found;

	OK(shmctl(id, IPC_STAT, &found));
	return found;
}

static int make(int key, size_t size, int flags)
{
	int id = shmget(key, size, IPC_CREAT | flags);

	return id;
}

static void leave(int id)
{
	OK(shmctl(id, IPC_RMID, NULL));
}

CASE(memory_is_shared_with_children)
{
	int id = OK(make(IPC_PRIVATE, 5000, 0600));
	volatile int *at = OK(shmat(id, NULL, 0));
	pid_t pid;

	EXPECT_EQ(at[0], 0);
	EXPECT_EQ(at[2047], 0);
	CHILD(pid) {
		volatile int *there = OK(shmat(id, NULL, 0));

		at[0] = 7;
		there[1] = 8;
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(at[0], 7);
	EXPECT_EQ(at[1], 8);
	OK(shmdt((void *)at));
	leave(id);
}

CASE(status_of_a_segment)
{
	int id = OK(make(KEY, 5000, 0640));
	struct shmid_ds found = status(id);
	time_t now = time(NULL);
	void *at;
	pid_t pid;

	EXPECT_EQ(found.shm_perm.__key, KEY);
	EXPECT_EQ(found.shm_perm.mode, 0640);
	EXPECT_EQ(found.shm_perm.uid, getuid());
	EXPECT_EQ(found.shm_perm.cgid, getgid());
	EXPECT_EQ(found.shm_segsz, 5000);
	EXPECT_EQ(found.shm_nattch, 0);
	EXPECT_EQ(found.shm_cpid, getpid());
	EXPECT_EQ(found.shm_lpid, 0);
	EXPECT_EQ(found.shm_atime, 0);
	EXPECT_EQ(found.shm_dtime, 0);
	EXPECT(found.shm_ctime >= now - 2 && found.shm_ctime <= now);
	at = OK(shmat(id, NULL, 0));
	found = status(id);
	EXPECT_EQ(found.shm_nattch, 1);
	EXPECT_EQ(found.shm_lpid, getpid());
	EXPECT(found.shm_atime >= now - 2);
	CHILD(pid)
		EXPECT_EQ(status(id).shm_nattch, 2);
	EXPECT_EXIT(pid, 0);
	found = status(id);
	EXPECT_EQ(found.shm_nattch, 1);
	EXPECT_EQ(found.shm_lpid, pid);
	OK(shmdt(at));
	EXPECT_EQ(status(id).shm_nattch, 0);
	EXPECT(status(id).shm_dtime >= now - 2);
	leave(id);
	EXPECT_ERRNO(shmctl(id, IPC_STAT, &found), EINVAL);
}

CASE(keys)
{
	int id = OK(make(KEY, 100, 0600 | IPC_EXCL));

	EXPECT_EQ(shmget(KEY, 0, 0), id);
	EXPECT_EQ(shmget(KEY, 100, 0600), id);
	EXPECT_EQ(make(KEY, 50, 0600), id);
	EXPECT_ERRNO(shmget(KEY, 101, 0), EINVAL);
	EXPECT_ERRNO(make(KEY, 100, 0600 | IPC_EXCL), EEXIST);
	EXPECT_ERRNO(shmget(KEY + 1, 100, 0600), ENOENT);
	EXPECT_ERRNO(make(KEY + 1, 0, 0600), EINVAL);
	EXPECT_ERRNO(make(KEY + 1, -1, 0600), EINVAL);
	leave(id);
	EXPECT_ERRNO(shmget(KEY, 0, 0), ENOENT);
	EXPECT_ERRNO(shmat(id, NULL, 0) == (void *)-1 ? -1 : 0, EINVAL);
	EXPECT_ERRNO(shmctl(-1, IPC_RMID, NULL), EINVAL);
	/* The next one has another identifier. */
	EXPECT(OK(make(KEY, 100, 0600)) != id);
	leave(shmget(KEY, 0, 0));
}

CASE(removed_segment_lives_as_long_as_it_is_attached)
{
	int id = OK(make(KEY, 100, 0600)), other;
	char *at = OK(shmat(id, NULL, 0)), *again;

	leave(id);
	EXPECT_EQ(status(id).shm_perm.mode, 0600 | SHM_DEST);
	EXPECT_EQ(status(id).shm_perm.__key, IPC_PRIVATE);
	other = OK(make(KEY, 100, 0600));
	EXPECT(other != id);
	again = OK(shmat(id, NULL, 0));
	at[1] = 5;
	EXPECT_EQ(again[1], 5);
	OK(shmdt(at));
	OK(shmdt(again));
	EXPECT_ERRNO(shmctl(id, IPC_STAT, &(struct shmid_ds){0}), EINVAL);
	leave(other);
}

CASE(processes_that_end_or_execute_let_go)
{
	int id = OK(make(IPC_PRIVATE, 100, 0600));
	pid_t pid;

	CHILD(pid) {
		OK(shmat(id, NULL, 0));
		OK(shmat(id, NULL, SHM_RDONLY));
		EXPECT_EQ(status(id).shm_nattch, 2);
		raise(SIGKILL);
	}
	EXPECT_KILLED(pid, SIGKILL);
	EXPECT_EQ(status(id).shm_nattch, 0);
	CHILD(pid) {
		OK(shmat(id, NULL, 0));
		execl(guest_program, guest_program, "--helper", "wait_for_a_signal", NULL);
	}
	EXPECT_SOON(state_of(pid) == 'S');
	EXPECT_SOON(status(id).shm_nattch == 0);
	OK(kill(pid, SIGKILL));
	EXPECT_KILLED(pid, SIGKILL);
	leave(id);
}

HELPER(wait_for_a_signal)
{
	pause();
	return 0;
}

CASE(places)
{
	int id = OK(make(IPC_PRIVATE, 3 * PAGE, 0600));
	char *space = OK(mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), *at;

	OK(munmap(space, 8 * PAGE));
	EXPECT(shmat(id, space + PAGE, 0) == space + PAGE);
	EXPECT_ERRNO((long)shmat(id, space + 2 * PAGE, 0), EINVAL);
	EXPECT_ERRNO((long)shmat(id, space + 5 * PAGE + 1, 0), EINVAL);
	EXPECT(shmat(id, space + 5 * PAGE + 1, SHM_RND) == space + 5 * PAGE);
	EXPECT_EQ(status(id).shm_nattch, 2);
	EXPECT(shmat(id, space + PAGE, SHM_REMAP) == space + PAGE);
	EXPECT_ERRNO((long)shmat(id, NULL, SHM_REMAP), EINVAL);
	EXPECT_EQ(status(id).shm_nattch, 2);
	EXPECT_ERRNO(shmdt(space + 2 * PAGE), EINVAL);
	EXPECT_ERRNO(shmdt(space + 1), EINVAL);
	OK(shmdt(space + PAGE));
	EXPECT_ERRNO(shmdt(space + PAGE), EINVAL);
	OK(munmap(space + 5 * PAGE, 3 * PAGE));
	EXPECT_EQ(status(id).shm_nattch, 0);
	at = OK(shmat(id, NULL, 0));
	OK(shmdt(at));
	leave(id);
}

CASE(reading_only)
{
	int id = OK(make(IPC_PRIVATE, PAGE, 0600));
	char *at = OK(shmat(id, NULL, 0)), *read_only = OK(shmat(id, NULL, SHM_RDONLY));
	pid_t pid;

	at[0] = 'x';
	EXPECT_EQ(read_only[0], 'x');
	CHILD(pid)
		*(volatile char *)read_only = 'y';
	EXPECT_KILLED(pid, SIGSEGV);
	leave(id);
}

CASE(permissions)
{
	int id = OK(make(KEY, PAGE, 0604));
	struct shmid_ds found = status(id);
	pid_t pid;

	CHILD(pid) {
		become(NOBODY);
		EXPECT_EQ(shmget(KEY, 0, 0), id);
		EXPECT_EQ(shmget(KEY, 0, 0444), id);
		EXPECT_ERRNO(shmget(KEY, 0, 0600), EACCES);
		EXPECT_ERRNO((long)shmat(id, NULL, 0), EACCES);
		OK(shmat(id, NULL, SHM_RDONLY));
		EXPECT_EQ(status(id).shm_nattch, 1);
		EXPECT_ERRNO(shmctl(id, IPC_RMID, NULL), EPERM);
		EXPECT_ERRNO(shmctl(id, IPC_SET, &found), EPERM);
	}
	EXPECT_EXIT(pid, 0);
	found.shm_perm.uid = NOBODY;
	found.shm_perm.mode = 0600;
	OK(shmctl(id, IPC_SET, &found));
	CHILD(pid) {
		become(NOBODY);
		OK(shmat(id, NULL, 0));
		leave(id);
	}
	EXPECT_EXIT(pid, 0);
	EXPECT_ERRNO(shmget(KEY, 0, 0), ENOENT);
}

CASE(what_ipcs_asks)
{
	int id = OK(make(IPC_PRIVATE, 5 * PAGE, 0600)), highest, seen = 0;
	struct shminfo limits;
	struct shm_info use;
	struct shmid_ds found;
	char *at = OK(shmat(id, NULL, 0));

	at[0] = at[2 * PAGE] = 1;
	OK(shmctl(0, IPC_INFO, (void *)&limits));
	EXPECT_EQ(limits.shmmin, 1);
	EXPECT_EQ(limits.shmmni, 4096);
	highest = OK(shmctl(0, SHM_INFO, (void *)&use));
	EXPECT(use.used_ids >= 1);
	EXPECT(use.shm_tot >= 5);
	EXPECT(use.shm_rss >= 2);
	for (int i = 0; i <= highest; i++)
		if (shmctl(i, SHM_STAT, &found) == id) {
			seen++;
			EXPECT_EQ(found.shm_segsz, 5 * PAGE);
		}
	EXPECT_EQ(seen, 1);
	EXPECT_ERRNO(shmctl(id, 99, NULL), EINVAL);
	OK(shmctl(id, SHM_LOCK, NULL));
	EXPECT_EQ(status(id).shm_perm.mode, 0600 | SHM_LOCKED);
	OK(shmctl(id, SHM_UNLOCK, NULL));
	EXPECT_EQ(status(id).shm_perm.mode, 0600);
	leave(id);
}

CASE(map_names_the_segment)
{
	int id = OK(make(KEY, PAGE, 0600));

	OK(shmat(id, NULL, 0));
	leave(id);
	EXPECT(strstr(read_file("/proc/self/maps"), "/SYSV5eed0001 (deleted)") != NULL);
}
