/* Threads, their locals, mutexes, conditions, cancellation. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 6, ROUNDS = 5000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static __thread long own;
static long total;
static int turn;
static sem_t slots;

static void *work(void *argument)
{
	long me = (long)argument;

	pthread_barrier_wait(&barrier);
	for (int i = 0; i < ROUNDS; i++) {
		own++;
		pthread_mutex_lock(&lock);
		total += me;
		pthread_mutex_unlock(&lock);
	}
	sem_wait(&slots);
	sem_post(&slots);
	pthread_mutex_lock(&lock);
	while (turn != me)
		pthread_cond_wait(&changed, &lock);
	printf("%ld counted %ld\n", me, own);
	turn++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return argument;
}

static void *wait_for_ever(void *argument)
{
	for (;;)
		pause();
	return argument;
}

int main(void)
{
	pthread_t threads[THREADS], sleeper;
	struct timespec until;
	void *result;

	pthread_barrier_init(&barrier, NULL, THREADS);
	sem_init(&slots, 0, 2);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("total %ld, own %ld\n", total, own);

	pthread_create(&sleeper, NULL, wait_for_ever, NULL);
	pthread_cancel(sleeper);
	pthread_join(sleeper, &result);
	printf("cancelled %d\n", result == PTHREAD_CANCELED);

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 50000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&lock);
	printf("timed out %d\n", pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT);
	return 0;
}
