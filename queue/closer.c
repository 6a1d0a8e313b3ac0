#include "queue/closer.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

#define THREADS 2
/* A thread is woken for so many, or after so long. */
#define GATHER_MAX 32
#define GATHER_MS 20
/* Descriptors that wait for the threads. */
#define WAITING_MAX 256
/* What a thread takes at a time. */
#define SHARE_MAX 16

struct closer {
	struct loop *loop;
	struct loop_timer due;
	int gathered[GATHER_MAX]; /* the loop's */
	size_t ngathered;
	pthread_t threads[THREADS];
	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t some;
	int waiting[WAITING_MAX];
	size_t nwaiting;
	bool ending;
};

static void
close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)close(fds[i]);
}

/* Waits for some; 0: it is over. */
static size_t
share_take(struct closer *closer, int fds[SHARE_MAX])
{
	size_t n;

	(void)pthread_mutex_lock(&closer->mutex);
	while (closer->nwaiting == 0 && !closer->ending)
		(void)pthread_cond_wait(&closer->some, &closer->mutex);
	n = closer->nwaiting < SHARE_MAX ? closer->nwaiting : SHARE_MAX;
	closer->nwaiting -= n;
	memcpy(fds, closer->waiting + closer->nwaiting, n * sizeof *fds);
	(void)pthread_mutex_unlock(&closer->mutex);
	return n;
}

static void *
thread_main(void *argument)
{
	struct closer *closer = argument;
	int fds[SHARE_MAX];
	size_t n;

	while ((n = share_take(closer, fds)) > 0)
		close_all(fds, n);
	return NULL;
}

/* What the threads have no room for is closed here: so they cannot fall behind without end. */
static void
hand_over(struct closer *closer)
{
	size_t n, room;

	(void)pthread_mutex_lock(&closer->mutex);
	room = WAITING_MAX - closer->nwaiting;
	n = closer->ngathered < room ? closer->ngathered : room;
	memcpy(closer->waiting + closer->nwaiting, closer->gathered, n * sizeof closer->gathered[0]);
	closer->nwaiting += n;
	(void)pthread_cond_broadcast(&closer->some);
	(void)pthread_mutex_unlock(&closer->mutex);
	close_all(closer->gathered + n, closer->ngathered - n);
	closer->ngathered = 0;
	loop_timer_cancel(&closer->due);
}

static void
due(struct loop_timer *timer)
{
	hand_over(container_of(timer, struct closer, due));
}

void
closer_close(struct closer *closer, int fd)
{
	closer->gathered[closer->ngathered++] = fd;
	if (closer->ngathered == GATHER_MAX)
		hand_over(closer);
	else if (closer->due.loop == NULL)
		loop_timer_set(closer->loop, &closer->due, GATHER_MS, due);
}

struct closer *
closer_new(struct loop *loop)
{
	struct closer *closer = calloc(1, sizeof *closer);
	sigset_t all, before;

	if (closer == NULL)
		fatal("out of memory");
	closer->loop = loop;
	if (pthread_mutex_init(&closer->mutex, NULL) != 0 || pthread_cond_init(&closer->some, NULL) != 0)
		fatal("cannot make a mutex");
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&closer->threads[i], NULL, thread_main, closer) != 0)
			fatal("cannot start a thread");
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return closer;
}

void
closer_free(struct closer *closer)
{
	hand_over(closer);
	(void)pthread_mutex_lock(&closer->mutex);
	closer->ending = true;
	(void)pthread_cond_broadcast(&closer->some);
	(void)pthread_mutex_unlock(&closer->mutex);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(closer->threads[i], NULL);
	(void)pthread_mutex_destroy(&closer->mutex);
	(void)pthread_cond_destroy(&closer->some);
	free(closer);
}
