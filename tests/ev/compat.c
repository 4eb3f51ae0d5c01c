/* SPDX-License-Identifier: MIT */
/*
 * A program written for ev_async that only includes ringwake's compat header. It uses ev_async as
 * libev's manual describes.
 */
#include "../common.h"

#include <pthread.h>
#include <ringwake/ev-compat.h>
#include <signal.h>
#include <sys/wait.h>

_Static_assert(sizeof(ev_async) == sizeof(ringwake_ev_async), "ev_async is ringwake's");

/* Runs with the default doorbell of the kernel, and with the eventfd. */
static struct use {
	unsigned backend;
	const char *path;
} uses[] = {{EVBACKEND_SELECT, "auto"}, {EVBACKEND_SELECT, "eventfd"}, {EVBACKEND_POLL, "auto"},
	{EVBACKEND_POLL, "eventfd"}, {EVBACKEND_EPOLL, "auto"}, {EVBACKEND_EPOLL, "eventfd"},
	{EVBACKEND_IOURING, "auto"}, {EVBACKEND_IOURING, "eventfd"}};

#define ON(test, name, use)                                                                        \
	{                                                                                          \
#test " on " name, test, NULL, NULL, &uses[use]                                    \
	}
#define ON_ALL(test)                                                                               \
	ON(test, "select", 0), ON(test, "select by eventfd", 1), ON(test, "poll", 2),              \
		ON(test, "poll by eventfd", 3), ON(test, "epoll", 4),                              \
		ON(test, "epoll by eventfd", 5), ON(test, "io_uring", 6),                          \
		ON(test, "io_uring by eventfd", 7)

static struct ev_loop *new_loop(void **state)
{
	const struct use *use = *state;
	struct ev_loop *loop = NULL;
	setenv("RINGWAKE_PATH", use->path, 1);
	if (ev_supported_backends() & use->backend)
		loop = ev_loop_new(use->backend | EVFLAG_NOENV);
	if (loop == NULL)
		skip();
	return loop;
}

/* A queue without a lock: a signal handler fills it, and the signal is blocked while it is read. */
static ev_async handler_async;
static struct ev_loop *handler_loop;
static atomic_int queued; /* the raising thread reads it */
static int first_queued, taken;

static void on_usr1(int number)
{
	(void)number;
	queued++;
	ev_async_send(handler_loop, &handler_async);
}

static void empty_handlers_queue(EV_P_ ev_async *w, int revents)
{
	(void)w;
	sigset_t block, before;
	assert_int_equal(revents, EV_ASYNC);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	while (first_queued < queued) {
		first_queued++;
		taken++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (taken == 100)
		ev_break(EV_A_ EVBREAK_ALL);
}

static void *raise_signals(void *argument)
{
	pthread_t thread = *(pthread_t *)argument;
	for (int i = 0; i < 100; i++) {
		int before = queued;
		pthread_kill(thread, SIGUSR1);
		while (queued == before)
			sched_yield();
	}
	return NULL;
}

static void test_queue_from_a_signal_handler(void **state)
{
	struct ev_loop *loop = handler_loop = new_loop(state);
	pthread_t self = pthread_self();
	signal(SIGUSR1, on_usr1);
	queued = first_queued = taken = 0;
	ev_async_init(&handler_async, empty_handlers_queue);
	ev_async_start(EV_A_ & handler_async);
	pthread_t raiser = start(raise_signals, &self);
	ev_run(EV_A_ 0);
	join(raiser);
	assert_int_equal(taken, 100);
	ev_async_stop(EV_A_ & handler_async);
	signal(SIGUSR1, SIG_DFL);
	ev_loop_destroy(EV_A);
}

/* A queue under a mutex, which is held only to add and to remove items. */
enum { ITEMS = 2000, WRITERS = 2 };

static ev_async queue_async;
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned queue_length, queue_taken;
static struct ev_loop *queue_loop;

static void *put_items(void *argument)
{
	(void)argument;
	for (int i = 0; i < ITEMS; i++) {
		pthread_mutex_lock(&queue_lock);
		queue_length++;
		pthread_mutex_unlock(&queue_lock);
		ev_async_send(queue_loop, &queue_async);
	}
	return NULL;
}

static void take_items(EV_P_ ev_async *w, int revents)
{
	(void)w;
	(void)revents;
	pthread_mutex_lock(&queue_lock);
	queue_taken += queue_length;
	queue_length = 0;
	pthread_mutex_unlock(&queue_lock);
	if (queue_taken == ITEMS * WRITERS)
		ev_break(EV_A_ EVBREAK_ALL);
}

static void test_queue_from_threads(void **state)
{
	struct ev_loop *loop = queue_loop = new_loop(state);
	pthread_t writers[WRITERS];
	queue_length = queue_taken = 0;
	ev_async_init(&queue_async, take_items);
	ev_async_start(EV_A_ & queue_async);
	for (int i = 0; i < WRITERS; i++)
		writers[i] = start(put_items, NULL);
	ev_run(EV_A_ 0);
	for (int i = 0; i < WRITERS; i++)
		join(writers[i]);
	assert_int_equal(queue_taken, ITEMS * WRITERS);
	struct ringwake_ev *binding = NULL;
	assert_int_equal(ringwake_ev_of_loop(&binding, loop), 0);
	assert_true(stats_of(ringwake_ev_target(binding)).messages > 0);
	ev_loop_destroy(EV_A); /* libev allows a started watcher here */
	assert_false(ev_is_active(&queue_async));
}

/* An async that only wakes the loop after another thread has started watchers. */
static struct shared {
	pthread_mutex_t lock;
	ev_async notice;
	ev_timer timer;
	unsigned fired;
	struct ev_loop *loop;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void release_shared(EV_P) EV_NOEXCEPT
{
	struct shared *data = ev_userdata(EV_A);
	pthread_mutex_unlock(&data->lock);
}

static void acquire_shared(EV_P) EV_NOEXCEPT
{
	struct shared *data = ev_userdata(EV_A);
	pthread_mutex_lock(&data->lock);
}

static void take_notice(EV_P_ ev_async *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

static void end_loop(EV_P_ ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	shared.fired++;
	ev_break(EV_A_ EVBREAK_ALL);
}

static void *run_shared(void *argument)
{
	struct ev_loop *loop = argument;
	acquire_shared(EV_A);
	ev_run(EV_A_ 0);
	release_shared(EV_A);
	return NULL;
}

static void test_watcher_started_from_outside(void **state)
{
	struct ev_loop *loop = new_loop(state);
	shared.fired = 0;
	ev_async_init(&shared.notice, take_notice);
	ev_async_start(EV_A_ & shared.notice);
	ev_set_userdata(EV_A_ & shared);
	ev_set_loop_release_cb(EV_A_ release_shared, acquire_shared);
	pthread_t runner = start(run_shared, loop);
	ev_timer_init(&shared.timer, end_loop, 0.001, 0.);
	pthread_mutex_lock(&shared.lock);
	ev_timer_start(EV_A_ & shared.timer);
	ev_async_send(EV_A_ & shared.notice);
	pthread_mutex_unlock(&shared.lock);
	join(runner);
	assert_int_equal(shared.fired, 1);
	ev_async_stop(EV_A_ & shared.notice);
	ev_loop_destroy(EV_A);
}

static unsigned calls;

static void count_call(EV_P_ struct ev_async *w, int revents)
{
	(void)loop;
	assert_ptr_equal(w->data, &calls);
	assert_int_equal(revents, EV_ASYNC);
	calls++;
}

/* The other uses of an ev_async, in every spelling that the header defines. */
static void test_the_whole_interface(void **state)
{
	struct ev_loop *loop = new_loop(state);
	void (*send_it)(struct ev_loop *, struct ev_async *) = ev_async_send;
	struct ev_async *async = malloc(sizeof *async);
	struct ringwake_ev *binding = NULL, *again = NULL;
	assert_int_equal(ringwake_ev_of_loop(&binding, loop), 0);
	assert_int_equal(ringwake_ev_of_loop(&again, loop), 0);
	assert_ptr_equal(binding, again);
	calls = 0;
	ev_init(async, count_call);
	ev_async_set(async);
	ev_set_priority(async, EV_MAXPRI);
	async->data = &calls;
	send_it(loop, async);
	assert_false(ev_is_active(async));
	ev_async_start(loop, async);
	assert_true(ev_is_active(async));
	assert_false(ev_async_pending(async));
	ev_async_send(loop, async);
	ev_async_send(loop, async);
	assert_true(ev_async_pending(async));
	ev_run(loop, EVRUN_NOWAIT);
	assert_false(ev_async_pending(async));
	assert_int_equal(calls, 1);
	ev_feed_event(loop, async, EV_ASYNC);
	ev_async_stop(loop, async);
	assert_false(ev_is_pending(async));
	assert_int_equal(ev_run(loop, 0), 0);
	assert_int_equal(calls, 1);
	free(async);
	ev_loop_destroy(loop);
}

static void break_loop(EV_P_ ev_async *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(EV_A_ EVBREAK_ALL);
}

static void test_fork(void **state)
{
	struct ev_loop *loop = new_loop(state);
	ev_async async;
	ev_async_init(&async, break_loop);
	ev_async_start(loop, &async);
	pid_t child = fork();
	if (child == 0) {
		ev_loop_fork(loop);
		ev_async_send(loop, &async);
		ev_run(loop, 0);
		_exit(0);
	}
	int status;
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ev_async_send(loop, &async);
	ev_run(loop, 0);
	ev_async_stop(loop, &async);
	ev_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_queue_from_a_signal_handler),
		ON_ALL(test_queue_from_threads),
		ON_ALL(test_watcher_started_from_outside),
		ON_ALL(test_the_whole_interface),
		ON_ALL(test_fork),
	};
	return RUN_BOUNDED(tests, 60);
}
