/* futex(2), threads, robust lists, set_tid_address(2), exit(2) of threads. */
#include "guest.h"

#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static uint32_t word, other;

static long futex(uint32_t *at, int operation, uint32_t value, const struct timespec *timeout,
		  uint32_t *second, uint32_t third)
{
	return syscall(SYS_futex, at, operation, value, timeout, second, third);
}

static volatile pid_t tids[8];
static volatile long results[8];
static volatile int errors[8];

static void *wait_on_word(void *argument)
{
	long index = (long)argument;

	tids[index] = gettid();
	results[index] = futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	errors[index] = errno;
	return NULL;
}

static pthread_t start_waiter(void *(*function)(void *), long index)
{
	pthread_t thread;

	EXPECT_EQ(pthread_create(&thread, NULL, function, (void *)index), 0);
	EXPECT_SOON(tids[index] != 0);
	wait_until_asleep(tids[index]);
	return thread;
}

CASE(wait_for_another_value_is_eagain)
{
	word = 1;
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0), EAGAIN);
	EXPECT_EQ(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

CASE(futex_errors)
{
	EXPECT_ERRNO(futex((void *)((long)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
	EXPECT_ERRNO(futex((void *)8, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
	EXPECT_ERRNO(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT, 0, &(struct timespec){0, 2000000000}, NULL, 0), EINVAL);
}

CASE(wait_times_out)
{
	struct timespec timeout = {0, 20000000};
	long long before = now_ms();

	EXPECT_ERRNO(futex(&word, FUTEX_WAIT, 0, &timeout, NULL, 0), ETIMEDOUT);
	EXPECT(now_ms() - before >= 20);
	clock_gettime(CLOCK_MONOTONIC, &timeout);
	timeout.tv_nsec += 20000000;
	if (timeout.tv_nsec >= 1000000000)
		timeout.tv_nsec -= 1000000000, timeout.tv_sec++;
	before = now_ms();
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, &timeout, NULL, 1), ETIMEDOUT);
	EXPECT(now_ms() - before >= 19);
	clock_gettime(CLOCK_REALTIME, &timeout);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &timeout, NULL, 1), ETIMEDOUT);
}

CASE(wait_is_interrupted)
{
	handle(SIGUSR1, count_signal);
	signal_when_asleep(getpid(), SIGUSR1);
	EXPECT_ERRNO(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EINTR);
}

CASE(wake_counts_and_is_first_come)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		threads[i] = start_waiter(wait_on_word, i);
	results[0] = results[1] = results[2] = 9;
	EXPECT_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 1);
	pthread_join(threads[0], NULL);
	EXPECT_EQ(results[0], 0);
	EXPECT_EQ(results[1], 9);
	EXPECT_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0), 2);
	pthread_join(threads[1], NULL);
	pthread_join(threads[2], NULL);
}

CASE(requeue_moves_waiters)
{
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		threads[i] = start_waiter(wait_on_word, i);
	EXPECT_EQ(futex(&word, FUTEX_REQUEUE_PRIVATE, 1, (void *)1, &other, 0), 2);
	pthread_join(threads[0], NULL);
	EXPECT_EQ(futex(&other, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	EXPECT_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	pthread_join(threads[1], NULL);
	pthread_join(threads[2], NULL);
	EXPECT_ERRNO(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)1, &other, 5), EAGAIN);
}

CASE(wake_op_changes_and_wakes)
{
	int operation = FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 4);
	pthread_t thread = start_waiter(wait_on_word, 0);

	other = 4;
	EXPECT_EQ(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other, operation), 0);
	EXPECT_EQ(other, 7);
	EXPECT_EQ(futex(&other, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &word,
			FUTEX_OP(FUTEX_OP_OR, 8, FUTEX_OP_CMP_LT, 1)), 1);
	EXPECT_EQ(word, 8);
	pthread_join(thread, NULL);
}

static void *wait_on_bit(void *argument)
{
	long index = (long)argument;

	tids[index] = gettid();
	results[index] = futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, 1 << index);
	return NULL;
}

CASE(bitsets_choose_waiters)
{
	pthread_t threads[2];

	threads[0] = start_waiter(wait_on_bit, 0);
	threads[1] = start_waiter(wait_on_bit, 1);
	EXPECT_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 4), 0);
	EXPECT_EQ(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, NULL, NULL, 2), 1);
	pthread_join(threads[1], NULL);
	EXPECT_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 10, NULL, NULL, 0), 1);
	pthread_join(threads[0], NULL);
}

CASE(futex_in_shared_memory_works_between_processes)
{
	uint32_t *shared = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	CHILD(pid)
		OK(futex(shared, FUTEX_WAIT, 0, NULL, NULL, 0));
	wait_until_asleep(pid);
	EXPECT_EQ(futex(shared, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	EXPECT_EXIT(pid, 0);
}

CASE(futex_in_a_shared_file_works_at_other_addresses)
{
	int fd = OK(open("file", O_RDWR | O_CREAT, 0600));
	uint32_t *one, *two;
	pid_t pid;

	OK(ftruncate(fd, PAGE));
	one = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	two = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	CHILD(pid)
		OK(futex(one, FUTEX_WAIT, 0, NULL, NULL, 0));
	wait_until_asleep(pid);
	EXPECT_EQ(futex(two, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	EXPECT_EXIT(pid, 0);
}

CASE(private_futex_is_not_shared_after_fork)
{
	pid_t pid;

	CHILD(pid)
		OK(futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0));
	wait_until_asleep(pid);
	EXPECT_EQ(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0), 0);
	EXPECT_EQ(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

CASE(robust_mutex_of_a_dead_thread)
{
	pthread_mutexattr_t attributes;
	static pthread_mutex_t mutex;
	pthread_t thread;

	void *die(void *argument)
	{
		pthread_mutex_lock(&mutex);
		return argument;
	}
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&mutex, &attributes);
	EXPECT_EQ(pthread_create(&thread, NULL, die, NULL), 0);
	pthread_join(thread, NULL);
	EXPECT_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
	EXPECT_EQ(pthread_mutex_consistent(&mutex), 0);
	EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
}

CASE(robust_mutex_of_a_killed_process)
{
	pthread_mutexattr_t attributes;
	pthread_mutex_t *mutex = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	int fds[2];
	char byte;
	pid_t pid;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(mutex, &attributes);
	OK(pipe(fds));
	CHILD(pid) {
		pthread_mutex_lock(mutex);
		EXPECT_EQ(write(fds[1], "x", 1), 1);
		pause();
	}
	EXPECT_EQ(read(fds[0], &byte, 1), 1);
	OK(kill(pid, SIGKILL));
	EXPECT_EQ(pthread_mutex_lock(mutex), EOWNERDEAD);
	EXPECT_KILLED(pid, SIGKILL);
}

CASE(robust_list_is_told)
{
	void *head = NULL;
	size_t size = 0;

	OK(syscall(SYS_get_robust_list, 0, &head, &size));
	EXPECT_EQ(size, 24);
	EXPECT_ERRNO(syscall(SYS_set_robust_list, head, 23), EINVAL);
	EXPECT_ERRNO(syscall(SYS_get_robust_list, 30000, &head, &size), ESRCH);
}

CASE(priority_inheriting_mutex)
{
	pthread_mutexattr_t attributes;
	static pthread_mutex_t mutex;
	pthread_t thread;
	static volatile int entered;

	void *enter(void *argument)
	{
		tids[0] = gettid();
		pthread_mutex_lock(&mutex);
		entered = 1;
		pthread_mutex_unlock(&mutex);
		return argument;
	}
	pthread_mutexattr_init(&attributes);
	EXPECT_EQ(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), 0);
	EXPECT_EQ(pthread_mutex_init(&mutex, &attributes), 0);
	EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
	thread = start_waiter(enter, 0);
	EXPECT_EQ(entered, 0);
	EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
	pthread_join(thread, NULL);
	EXPECT_EQ(entered, 1);
}

CASE(threads_share_the_pid_and_have_their_own_tid)
{
	static volatile pid_t pid, tid;
	pthread_t thread;

	void *note(void *argument)
	{
		pid = getpid();
		tid = gettid();
		return argument;
	}
	EXPECT_EQ(pthread_create(&thread, NULL, note, NULL), 0);
	pthread_join(thread, NULL);
	EXPECT_EQ(pid, getpid());
	EXPECT(tid != gettid());
	EXPECT_EQ(gettid(), getpid());
}

CASE(clear_child_tid_is_cleared_and_woken)
{
	static char stack[65536];
	static volatile pid_t tid = 1;
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_CHILD_CLEARTID |
		    CLONE_PARENT_SETTID;
	struct timespec timeout = {5, 0};
	pid_t parent_tid = 0, made;

	int run(__attribute__((unused)) void *argument)
	{
		syscall(SYS_exit, 0);
		return 0;
	}
	made = OK(clone(run, stack + sizeof(stack), flags, NULL, &parent_tid, NULL, &tid));
	EXPECT_EQ(parent_tid, made);
	while (tid != 0)
		futex((uint32_t *)&tid, FUTEX_WAIT, 1, &timeout, NULL, 0);
	EXPECT_EQ(tid, 0);
}

CASE(exit_of_the_leader_leaves_the_threads)
{
	pid_t pid;

	CHILD(pid) {
		pthread_t thread;

		void *later(__attribute__((unused)) void *argument)
		{
			sleep_ms(40);
			exit(33);
		}
		pthread_create(&thread, NULL, later, NULL);
		syscall(SYS_exit, 1);
	}
	sleep_ms(15);
	EXPECT_EQ(waitpid(pid, NULL, WNOHANG), 0);
	EXPECT_EQ(state_of(pid), 'Z');
	EXPECT_EXIT(pid, 33);
}

CASE(exit_group_ends_sleeping_threads)
{
	pid_t pid;

	CHILD(pid) {
		start_waiter(wait_on_word, 0);
		start_waiter(wait_on_word, 1);
		_exit(4);
	}
	EXPECT_EXIT(pid, 4);
}

CASE(fatal_signal_ends_all_threads)
{
	pid_t pid;

	CHILD(pid) {
		start_waiter(wait_on_word, 0);
		OK(syscall(SYS_tgkill, getpid(), tids[0], SIGTERM));
		pause();
	}
	EXPECT_KILLED(pid, SIGTERM);
}

HELPER(tids)
{
	return getpid() == gettid() && getpid() == atoi(argv[0]) ? 50 : 1;
}

CASE(execve_from_a_thread_replaces_the_process)
{
	pid_t pid;

	CHILD(pid) {
		pthread_t thread;

		void *execute(__attribute__((unused)) void *argument)
		{
			char text[16], *argv[] = {guest_program, "--helper", "tids", text, NULL};

			snprintf(text, sizeof(text), "%d", getpid());
			execv("/proc/self/exe", argv);
			return NULL;
		}
		start_waiter(wait_on_word, 0);
		pthread_create(&thread, NULL, execute, NULL);
		pause();
	}
	EXPECT_EXIT(pid, 50);
}

CASE(thread_names_are_their_own)
{
	char path[64], name[17] = {0};
	pthread_t thread;
	static volatile int done;

	void *rename_itself(void *argument)
	{
		prctl(PR_SET_NAME, "worker");
		tids[0] = gettid();
		while (!done)
			sleep_ms(1);
		return argument;
	}
	OK(prctl(PR_SET_NAME, "main"));
	pthread_create(&thread, NULL, rename_itself, NULL);
	EXPECT_SOON(tids[0] != 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tids[0]);
	EXPECT_STR(read_file(path), "worker\n");
	OK(prctl(PR_GET_NAME, name));
	EXPECT_STR(name, "main");
	done = 1;
	pthread_join(thread, NULL);
}

CASE(many_threads_count)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static int total;
	pthread_t threads[16];

	void *add(void *argument)
	{
		for (int i = 0; i < 200; i++) {
			pthread_mutex_lock(&mutex);
			total++;
			pthread_mutex_unlock(&mutex);
		}
		return argument;
	}
	for (int i = 0; i < 16; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, add, NULL), 0);
	for (int i = 0; i < 16; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(total, 3200);
}

CASE(condition_variables_and_barriers)
{
	static pthread_barrier_t barrier;
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	static int turn;
	pthread_t threads[4];

	void *take_turns(void *argument)
	{
		pthread_barrier_wait(&barrier);
		pthread_mutex_lock(&mutex);
		while (turn != (long)argument)
			pthread_cond_wait(&condition, &mutex);
		turn++;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
		return NULL;
	}
	pthread_barrier_init(&barrier, NULL, 4);
	for (long i = 0; i < 4; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, take_turns, (void *)(3 - i)), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(turn, 4);
}
