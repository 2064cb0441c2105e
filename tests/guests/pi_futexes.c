/* futex(2): locks with an owner (FUTEX_LOCK_PI and its kind), by themselves and as mutexes of pthreads. */
#include "guest.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

static volatile unsigned *word, *other, *condition;
static volatile pid_t tids[8];
static volatile int done[8];

static long futex(volatile unsigned *at, int op, unsigned value, void *timeout, volatile unsigned *second,
		  unsigned third)
{
	return syscall(SYS_futex, at, op, value, timeout, second, third);
}

static long lock(volatile unsigned *at)
{
	return futex(at, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
}

static long unlock(volatile unsigned *at)
{
	return futex(at, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}

static void start(void)
{
	word = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	other = word + 1;
	condition = word + 2;
}

/* A thread that runs `run` with its number; returns once it sleeps in a call. */
static pthread_t waiter(void *(*run)(void *), long number)
{
	pthread_t thread;

	EXPECT_EQ(pthread_create(&thread, NULL, run, (void *)number), 0);
	EXPECT_SOON(tids[number] != 0);
	wait_until_asleep(tids[number]);
	return thread;
}

static struct timespec in_ms(int clock, int ms)
{
	struct timespec at;

	clock_gettime(clock, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000L;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

CASE(free_lock_is_taken)
{
	start();
	OK(lock(word));
	EXPECT_EQ(*word, (unsigned)gettid());
	EXPECT_ERRNO(lock(word), EDEADLK);
	EXPECT_ERRNO(futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EDEADLK);
	OK(unlock(word));
	EXPECT_EQ(*word, 0);
	EXPECT_ERRNO(unlock(word), EPERM);
	OK(futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	EXPECT_EQ(*word, (unsigned)gettid());
	OK(unlock(word));
	OK(futex(word, FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0));
	OK(futex(word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0));
}

CASE(owner_that_died_is_remembered)
{
	start();
	*word = FUTEX_OWNER_DIED;
	OK(lock(word));
	EXPECT_EQ(*word, FUTEX_OWNER_DIED | (unsigned)gettid());
	OK(unlock(word));
	EXPECT_EQ(*word, 0);
	*word = FUTEX_WAITERS;
	OK(lock(word));
	EXPECT_EQ(*word, (unsigned)gettid());
}

CASE(owner_that_does_not_exist)
{
	pid_t pid;

	start();
	CHILD(pid)
		;
	EXPECT_EXIT(pid, 0);
	*word = pid;
	EXPECT_ERRNO(lock(word), ESRCH);
	EXPECT_ERRNO(futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), ESRCH);
	EXPECT_ERRNO(unlock(word), EPERM);
}

CASE(bad_words)
{
	start();
	EXPECT_ERRNO(lock((unsigned *)((char *)word + 1)), EINVAL);
	EXPECT_ERRNO(lock((unsigned *)8), EFAULT);
	EXPECT_ERRNO(unlock((unsigned *)8), EFAULT);
	EXPECT_ERRNO(futex(word, FUTEX_UNLOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	EXPECT_ERRNO(futex(word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0), ENOSYS);
	EXPECT_ERRNO(futex(word, FUTEX_LOCK_PI, 0, &(struct timespec){0, 1000000000}, NULL, 0), EINVAL);
}

static void *take(void *argument)
{
	long number = (long)argument;

	tids[number] = gettid();
	OK(lock(word));
	EXPECT_EQ(*word & FUTEX_TID_MASK, (unsigned)gettid());
	done[number] = ++done[0];
	OK(unlock(word));
	return NULL;
}

CASE(waiters_get_the_lock_one_after_the_other)
{
	pthread_t threads[4];

	start();
	OK(lock(word));
	for (int i = 1; i < 4; i++)
		threads[i] = waiter(take, i);
	EXPECT_EQ(*word, FUTEX_WAITERS | (unsigned)gettid());
	EXPECT_EQ(done[0], 0);
	OK(unlock(word));
	for (int i = 1; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(done[i], i);
	}
	EXPECT_EQ(*word, 0);
}

static void *take_and_keep(void *argument)
{
	long number = (long)argument;

	tids[number] = gettid();
	OK(lock(word));
	done[number] = 1;
	while (!done[7])
		sleep_ms(1);
	OK(unlock(word));
	return NULL;
}

CASE(lock_is_handed_over_with_the_call)
{
	pthread_t thread;

	start();
	OK(lock(word));
	thread = waiter(take_and_keep, 1);
	EXPECT_ERRNO(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
	OK(unlock(word));
	/* It is the other's at once, and so it stays when it is asked for. */
	EXPECT_EQ(*word, FUTEX_WAITERS | (unsigned)tids[1]);
	EXPECT_ERRNO(futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN);
	EXPECT_ERRNO(unlock(word), EPERM);
	done[7] = 1;
	pthread_join(thread, NULL);
	EXPECT_EQ(*word, 0);
}

static void *hold(void *argument)
{
	tids[1] = gettid();
	OK(lock(word));
	done[1] = 1;
	while (!done[7])
		sleep_ms(1);
	OK(unlock(word));
	return argument;
}

static pthread_t held_by_another(void)
{
	pthread_t thread;

	start();
	EXPECT_EQ(pthread_create(&thread, NULL, hold, NULL), 0);
	EXPECT_SOON(done[1]);
	return thread;
}

CASE(waiting_has_an_end)
{
	pthread_t thread = held_by_another();
	struct timespec at = in_ms(CLOCK_REALTIME, 30);

	EXPECT_ERRNO(futex(word, FUTEX_LOCK_PI, 0, &at, NULL, 0), ETIMEDOUT);
	EXPECT_EQ(*word, FUTEX_WAITERS | (unsigned)tids[1]);
	at = in_ms(CLOCK_MONOTONIC, 30);
	EXPECT_ERRNO(futex(word, FUTEX_LOCK_PI2, 0, &at, NULL, 0), ETIMEDOUT);
	at = in_ms(CLOCK_REALTIME, 30);
	EXPECT_ERRNO(futex(word, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, 0, &at, NULL, 0), ETIMEDOUT);
	at = in_ms(CLOCK_REALTIME, -1000);
	EXPECT_ERRNO(futex(word, FUTEX_LOCK_PI, 0, &at, NULL, 0), ETIMEDOUT);
	done[7] = 1;
	pthread_join(thread, NULL);
	EXPECT_EQ(*word, 0);
}

CASE(signals_do_not_end_the_waiting)
{
	pthread_t thread = held_by_another();
	pid_t pid, self = getpid();

	handle(SIGUSR1, count_signal);
	CHILD(pid) {
		wait_until_asleep(self);
		OK(kill(self, SIGUSR1));
		EXPECT_SOON(state_of(self) == 'S');
		sleep_ms(20);
		done[7] = 1;
		OK(kill(self, SIGUSR2));
	}
	/* The child's memory is its own: the handler of SIGUSR2 lets the holder go. */
	void let_go(int sig)
	{
		(void)sig;
		done[7] = 1;
	}
	handle(SIGUSR2, let_go);
	OK(lock(word));
	EXPECT_EQ(*word & FUTEX_TID_MASK, (unsigned)gettid());
	EXPECT_EQ(signals_seen, 1);
	OK(unlock(word));
	pthread_join(thread, NULL);
	EXPECT_EXIT(pid, 0);
}

static void *cross(void *argument)
{
	tids[1] = gettid();
	OK(lock(other));
	done[1] = 1;
	OK(lock(word));
	OK(unlock(word));
	OK(unlock(other));
	return argument;
}

CASE(circles_are_refused)
{
	pthread_t thread;

	start();
	OK(lock(word));
	thread = waiter(cross, 1);
	EXPECT_SOON(done[1]);
	wait_until_asleep(tids[1]);
	EXPECT_ERRNO(lock(other), EDEADLK);
	OK(unlock(word));
	pthread_join(thread, NULL);
	EXPECT_EQ(*word, 0);
	OK(lock(other));
}

CASE(owner_ends_while_others_wait)
{
	pid_t pid;

	start();
	CHILD(pid) {
		OK(lock(word));
		*other = 1;
		sleep_ms(50);
		wait_until_asleep(getppid());
	}
	while (*other != 1)
		sched_yield();
	OK(lock(word));
	EXPECT_EQ(*word, FUTEX_WAITERS | FUTEX_OWNER_DIED | (unsigned)gettid());
	EXPECT_EXIT(pid, 0);
	OK(unlock(word));
	EXPECT_EQ(*word, 0);
}

CASE(owner_ends_while_nobody_waits)
{
	pid_t pid;

	start();
	CHILD(pid)
		OK(lock(word));
	EXPECT_EXIT(pid, 0);
	EXPECT_EQ(*word, (unsigned)pid);
	EXPECT_ERRNO(lock(word), ESRCH);
}

CASE(waiter_that_is_killed_waits_no_more)
{
	pid_t pid, second;

	start();
	OK(lock(word));
	CHILD(pid)
		lock(word);
	wait_until_asleep(pid);
	CHILD(second) {
		OK(lock(word));
		OK(unlock(word));
	}
	wait_until_asleep(second);
	OK(kill(pid, SIGKILL));
	EXPECT_KILLED(pid, SIGKILL);
	OK(unlock(word));
	EXPECT_EXIT(second, 0);
	EXPECT_EQ(*word, 0);
}

CASE(word_that_somebody_changed)
{
	pthread_t thread;

	start();
	OK(lock(word));
	thread = waiter(take, 1);
	*word = FUTEX_WAITERS | 1;
	EXPECT_ERRNO(lock(word), EINVAL);
	EXPECT_ERRNO(unlock(word), EPERM);
	*word = FUTEX_WAITERS | (unsigned)gettid();
	OK(unlock(word));
	pthread_join(thread, NULL);
}

static void *wait_for_word(void *argument)
{
	tids[1] = gettid();
	futex(word, FUTEX_WAIT, *word, NULL, NULL, 0);
	return argument;
}

CASE(other_ways_of_waiting_do_not_mix)
{
	pthread_t thread;

	start();
	*word = 1;
	thread = waiter(wait_for_word, 1);
	EXPECT_ERRNO(lock(word), EINVAL);
	*word = gettid();
	EXPECT_ERRNO(unlock(word), EINVAL);
	EXPECT_EQ(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
	pthread_join(thread, NULL);
}

/* Condition variables: wait at one word, go on with a lock. */

static void *wait_at_condition(void *argument)
{
	long number = (long)argument;

	tids[number] = gettid();
	OK(futex(condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, word, 0));
	EXPECT_EQ(*word & FUTEX_TID_MASK, (unsigned)gettid());
	done[number] = ++done[0];
	OK(unlock(word));
	return NULL;
}

static long requeue(int most)
{
	return futex(condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)(long)most, word, 0);
}

CASE(waiters_are_moved_to_the_lock)
{
	pthread_t threads[4];

	start();
	for (int i = 1; i < 4; i++)
		threads[i] = waiter(wait_at_condition, i);
	OK(lock(word));
	EXPECT_ERRNO(futex(condition, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
	EXPECT_ERRNO(futex(condition, FUTEX_CMP_REQUEUE, 1, (void *)1L, other, 0), EINVAL);
	EXPECT_EQ(requeue(0), 1);
	EXPECT_EQ(requeue(10), 2);
	EXPECT_EQ(requeue(10), 0);
	EXPECT_EQ(done[0], 0);
	OK(unlock(word));
	for (int i = 1; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(done[i], i);
	}
	EXPECT_EQ(*word, 0);
}

CASE(free_lock_goes_to_the_first_who_is_moved)
{
	pthread_t threads[3];

	start();
	for (int i = 1; i < 3; i++)
		threads[i] = waiter(wait_at_condition, i);
	EXPECT_EQ(requeue(10), 2);
	for (int i = 1; i < 3; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(done[i], i);
	}
	EXPECT_EQ(*word, 0);
}

CASE(requests_to_move_are_checked)
{
	start();
	EXPECT_ERRNO(futex(condition, FUTEX_CMP_REQUEUE_PI, 2, (void *)1L, word, 0), EINVAL);
	EXPECT_ERRNO(futex(condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1L, condition, 0), EINVAL);
	EXPECT_ERRNO(futex(condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1L, word, 5), EAGAIN);
	EXPECT_EQ(requeue(1), 0);
	EXPECT_ERRNO(futex(condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, condition, 0), EINVAL);
	EXPECT_ERRNO(futex(condition, FUTEX_WAIT_REQUEUE_PI, 1, NULL, word, 0), EAGAIN);
}

CASE(waiting_to_be_moved_has_an_end)
{
	struct timespec at;
	pthread_t thread;

	start();
	at = in_ms(CLOCK_MONOTONIC, 30);
	EXPECT_ERRNO(futex(condition, FUTEX_WAIT_REQUEUE_PI, 0, &at, word, 0), ETIMEDOUT);
	at = in_ms(CLOCK_REALTIME, 30);
	EXPECT_ERRNO(futex(condition, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 0, &at, word, 0),
		     ETIMEDOUT);
	thread = waiter(wait_at_condition, 1);
	EXPECT_ERRNO(futex(condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1L, other, 0), EINVAL);
	EXPECT_EQ(requeue(1), 1);
	pthread_join(thread, NULL);
}

/* pthreads. */

static pthread_mutex_t mutex;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static volatile int counter, went;

static void make_mutex(int robust, int shared, pthread_mutex_t *made)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	EXPECT_EQ(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT), 0);
	if (robust)
		EXPECT_EQ(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
	if (shared)
		EXPECT_EQ(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
	EXPECT_EQ(pthread_mutex_init(made, &attributes), 0);
}

static void *count_up(void *argument)
{
	for (int i = 0; i < 2000; i++) {
		EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
		counter++;
		EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
	}
	return argument;
}

CASE(mutex_under_pressure)
{
	pthread_t threads[4];

	make_mutex(0, 0, &mutex);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, count_up, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(counter, 8000);
}

CASE(mutex_with_a_time_limit)
{
	struct timespec at;
	pid_t pid;
	pthread_mutex_t *shared = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));

	make_mutex(0, 1, shared);
	EXPECT_EQ(pthread_mutex_lock(shared), 0);
	CHILD(pid) {
		EXPECT_EQ(pthread_mutex_trylock(shared), EBUSY);
		at = in_ms(CLOCK_REALTIME, 30);
		EXPECT_EQ(pthread_mutex_timedlock(shared, &at), ETIMEDOUT);
		at = in_ms(CLOCK_REALTIME, 5000);
		EXPECT_EQ(pthread_mutex_timedlock(shared, &at), 0);
		EXPECT_EQ(pthread_mutex_unlock(shared), 0);
	}
	sleep_ms(50);
	EXPECT_EQ(pthread_mutex_unlock(shared), 0);
	EXPECT_EXIT(pid, 0);
}

CASE(robust_mutex_whose_owner_is_killed)
{
	pid_t pid;
	pthread_mutex_t *shared = OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));

	start();
	make_mutex(1, 1, shared);
	/* Once with a waiter, once without. */
	for (int i = 0; i < 2; i++) {
		CHILD(pid) {
			EXPECT_EQ(pthread_mutex_lock(shared), 0);
			*word = 1;
			if (i) {
				sleep_ms(50);
				wait_until_asleep(getppid());
			}
			raise(SIGKILL);
		}
		if (!i)
			EXPECT_KILLED(pid, SIGKILL);
		while (*word != 1)
			sched_yield();
		*word = 0;
		EXPECT_EQ(pthread_mutex_lock(shared), EOWNERDEAD);
		EXPECT_EQ(pthread_mutex_consistent(shared), 0);
		EXPECT_EQ(pthread_mutex_unlock(shared), 0);
		if (i)
			EXPECT_KILLED(pid, SIGKILL);
	}
	EXPECT_EQ(pthread_mutex_lock(shared), 0);
	EXPECT_EQ(pthread_mutex_unlock(shared), 0);
}

static void *wait_for_arrival(void *argument)
{
	EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
	counter++;
	while (!went)
		EXPECT_EQ(pthread_cond_wait(&arrived, &mutex), 0);
	went++;
	EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
	return argument;
}

CASE(condition_variable_of_such_a_mutex)
{
	pthread_t threads[3];

	make_mutex(0, 0, &mutex);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(pthread_create(&threads[i], NULL, wait_for_arrival, NULL), 0);
	EXPECT_SOON(counter == 3);
	EXPECT_EQ(pthread_mutex_lock(&mutex), 0);
	went = 1;
	EXPECT_EQ(pthread_cond_broadcast(&arrived), 0);
	EXPECT_EQ(pthread_mutex_unlock(&mutex), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(went, 4);
}
