/* SPDX-License-Identifier: MIT */
/*
 * No wake is lost, whatever callbacks do. Three threads send, and wait for the answer to each send.
 * Meanwhile callbacks of every kind and priority run the loop again, break it, start and stop
 * watchers, queue work and fork, chosen by random numbers. In a forked child a thread sends to the
 * child's loop. RINGWAKE_SEED repeats the random numbers, but not the timing.
 */
#include "common.h"

#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#define SENDERS  3
#define SENDS    100 /* per sender and round */
#define EXTRAS   4
#define CHILDREN 2 /* per round */
#define DEEPEST  4
#define SECONDS  2 /* per test */

/* Signals by an async and by a message alternately. */
struct sender {
	ringwake_ev_async async;
	struct ringwake_msg msg;
	sem_t answers;
	unsigned sends;
};

static struct sender senders[SENDERS];
static ringwake_ev_async extras[EXTRAS], end;
static ev_prepare prepare;
static ev_check check;
static ev_idle idle;
static ev_timer timer, far;
static ev_io ready;
static ringwake_ev_work work;
static struct ringwake_pool *pool;
static pid_t children[CHILDREN];
static unsigned child_count;
static _Atomic unsigned running; /* senders */
static bool is_over;             /* a later ev_run() would cancel ev_break() */
static bool is_child;
static uint64_t random_state;

static unsigned draw(unsigned below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % below;
}

static int draw_priority(void)
{
	return (int)draw(EV_MAXPRI - EV_MINPRI + 1) + EV_MINPRI;
}

/* cmocka's assertions do not work in another thread or in a child. */
static void expect(bool condition, const char *what)
{
	if (condition)
		return;
	print_message("# %s%s\n", what, is_child ? " in a child" : "");
	abort();
}

static void await_answer(struct sender *sender)
{
	struct timespec deadline;
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_SECONDS;
	int error;
	while ((error = sem_timedwait(&sender->answers, &deadline)) < 0 && errno == EINTR)
		;
	expect(error == 0, "a wake was lost");
}

/* A child's loop may not have a target yet. */
static void signal_async(struct sender *sender)
{
	int result = ringwake_ev_async_send(&sender->async);
	expect(result == 0 || (is_child && result == -EOWNERDEAD), "a send failed");
}

static void *send_and_wait(void *argument)
{
	struct sender *sender = argument;
	for (unsigned i = 0; i < sender->sends; i++) {
		if (i % 2 == 0 || is_child)
			signal_async(sender);
		else
			expect(ringwake_send(ringwake_ev_target(binding), &sender->msg) == 0,
				"a message was refused");
		await_answer(sender);
		for (unsigned pause = i % 5; pause > 0; pause--)
			sched_yield();
	}
	if (is_child)
		_exit(0);
	if (atomic_fetch_sub(&running, 1) == 1)
		ringwake_ev_async_send(&end);
	return NULL;
}

static void start_sender(struct sender *sender, pthread_t *thread)
{
	expect(pthread_create(thread, NULL, send_and_wait, sender) == 0,
		"a thread cannot be created");
}

/* A thread may hold the sanitizer's own locks during the fork. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAY_FORK false
#else
#define MAY_FORK true
#endif

static void become_child(struct ev_loop *in)
{
	pthread_t thread;
	is_child = true;
	alarm(PATIENCE_SECONDS * 2);
	ev_loop_fork(in);
	struct sender *sender = &senders[draw(SENDERS)];
	sem_init(&sender->answers, 0, 0);
	/* The child also answers a send of the parent's sender. */
	if (ringwake_ev_async_pending(&sender->async) || ev_is_pending(&sender->async))
		sem_trywait(&sender->answers);
	sender->sends = 10;
	start_sender(sender, &thread);
	pthread_detach(thread);
}

static void fork_here(struct ev_loop *in)
{
	if (!MAY_FORK || is_child || child_count == CHILDREN || draw(20) != 0)
		return;
	pid_t child = fork();
	if (child == 0)
		become_child(in);
	else
		children[child_count++] = child;
}

static void run_again(struct ev_loop *in)
{
	static const int flags[] = {0, EVRUN_ONCE, EVRUN_NOWAIT};
	if (ev_depth(in) < DEEPEST)
		ev_run(in, flags[draw(3)]);
}

static void queue_work(void)
{
	if (is_child || ev_is_active(&work) || ev_is_pending(&work))
		return;
	ev_set_priority(&work, draw_priority());
	expect(ringwake_ev_queue_work(binding, pool, &work) == 0, "work was refused");
}

static void toggle_extra(ringwake_ev_async *extra)
{
	if (ev_is_active(extra)) {
		ringwake_ev_async_stop(extra);
	} else {
		ev_set_priority(extra, draw_priority());
		ringwake_ev_async_start(binding, extra);
	}
}

/* libev's io_uring backend cannot stop an io watcher before it fires, so its callback stops it. */
#define START(type, watcher)                                                                       \
	do {                                                                                       \
		if (!ev_is_active(watcher) && !ev_is_pending(watcher)) {                           \
			ev_set_priority(watcher, draw_priority());                                 \
			ev_##type##_start(in, watcher);                                            \
		}                                                                                  \
	} while (0)

static void act(struct ev_loop *in)
{
	if (is_over || binding == NULL)
		return;
	ringwake_ev_async *extra = &extras[draw(EXTRAS)];
	switch (draw(12)) {
	case 0:
	case 1:
		run_again(in);
		break;
	case 2:
	case 3:
		if (ev_depth(in) > 1)
			ev_break(in, EVBREAK_ONE);
		break;
	case 4:
		toggle_extra(extra);
		break;
	case 5:
		if (ev_is_active(extra))
			ringwake_ev_async_send(extra);
		break;
	case 6:
		START(prepare, &prepare);
		break;
	case 7:
		START(check, &check);
		break;
	case 8:
		START(idle, &idle);
		break;
	case 9:
		START(timer, &timer);
		break;
	case 10:
		START(io, &ready);
		break;
	case 11:
		queue_work();
		break;
	}
	fork_here(in);
}

static void on_prepare(struct ev_loop *in, ev_prepare *watcher, int revents)
{
	(void)revents;
	ev_prepare_stop(in, watcher);
	act(in);
}

static void on_check(struct ev_loop *in, ev_check *watcher, int revents)
{
	(void)revents;
	ev_check_stop(in, watcher);
	act(in);
}

static void on_idle(struct ev_loop *in, ev_idle *watcher, int revents)
{
	(void)revents;
	ev_idle_stop(in, watcher);
	act(in);
}

static void on_timer(struct ev_loop *in, ev_timer *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	act(in);
}

static void on_ready(struct ev_loop *in, ev_io *watcher, int revents)
{
	(void)revents;
	ev_io_stop(in, watcher);
	act(in);
}

static void on_far(struct ev_loop *in, ev_timer *watcher, int revents)
{
	(void)in;
	(void)watcher;
	(void)revents;
}

static void on_extra(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	(void)async;
	(void)revents;
	act(in);
}

static void on_async(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	(void)revents;
	sem_post(&((struct sender *)async)->answers);
	act(in);
}

static void on_message(struct ringwake_msg *msg)
{
	struct sender *sender = (struct sender *)((char *)msg - offsetof(struct sender, msg));
	sem_post(&sender->answers);
	act(loop);
}

static void on_end(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	(void)async;
	(void)revents;
	is_over = true;
	ev_break(in, EVBREAK_ALL);
}

static void run_work(ringwake_ev_work *in_pool)
{
	(void)in_pool;
	sched_yield();
}

static void on_work(struct ev_loop *in, ringwake_ev_work *done, int revents)
{
	(void)done;
	(void)revents;
	act(in);
}

/* The step that attaches the loop and starts its first async. */
static const struct variant *variant;
static pthread_t threads[SENDERS];

static void attach_and_start(void)
{
	binding = attach_to(loop, variant);
	for (int i = 0; i < EXTRAS; i++)
		ringwake_ev_async_init(&extras[i], on_extra);
	ringwake_ev_async_init(&end, on_end);
	ringwake_ev_async_start(binding, &end);
	atomic_store(&running, SENDERS);
	for (int i = 0; i < SENDERS; i++) {
		ringwake_ev_async_init(&senders[i].async, on_async);
		ev_set_priority(&senders[i].async, draw_priority());
		ringwake_ev_async_start(binding, &senders[i].async);
		senders[i].msg.fn = on_message;
		senders[i].sends = SENDS;
		sem_init(&senders[i].answers, 0, 0);
		start_sender(&senders[i], &threads[i]);
	}
}

static void attach_in_prepare(struct ev_loop *in, ev_prepare *watcher, int revents)
{
	(void)revents;
	ev_prepare_stop(in, watcher);
	ev_set_cb(watcher, on_prepare);
	attach_and_start();
}

static void attach_in_check(struct ev_loop *in, ev_check *watcher, int revents)
{
	(void)revents;
	ev_check_stop(in, watcher);
	ev_set_cb(watcher, on_check);
	attach_and_start();
	ev_run(in, EVRUN_NOWAIT);
}

static void init_watchers(void)
{
	ev_prepare_init(&prepare, on_prepare);
	ev_check_init(&check, on_check);
	ev_idle_init(&idle, on_idle);
	ev_timer_init(&timer, on_timer, 0, 0);
	ev_timer_init(&far, on_far, 3600, 0);
	ringwake_ev_work_init(&work, run_work, on_work);
	child_count = 0;
	is_over = false;
	binding = NULL;
}

static void await_children(void)
{
	for (unsigned i = 0; i < child_count; i++) {
		int status;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
}

static void leave_loop(void)
{
	while (ev_is_active(&work) || ev_is_active(&ready)) {
		ev_run(loop, EVRUN_ONCE);
		while (ev_is_active(&idle))
			ev_idle_stop(loop, &idle);
	}
	ringwake_ev_async_stop(&end);
	for (int i = 0; i < EXTRAS; i++)
		ringwake_ev_async_stop(&extras[i]);
	for (int i = 0; i < SENDERS; i++)
		ringwake_ev_async_stop(&senders[i].async);
	if (draw(2))
		assert_int_equal(ringwake_ev_detach(binding), 0);
	ev_loop_destroy(loop);
}

static void run_round(void)
{
	loop = make_loop(variant, 0);
	init_watchers();
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	ev_io_init(&ready, on_ready, fd, EV_READ);
	ev_timer_start(loop, &far);
	ev_set_priority(&prepare, draw_priority());
	ev_set_priority(&check, draw_priority());
	switch (draw(3)) {
	case 0:
		attach_and_start();
		break;
	case 1:
		ev_set_cb(&prepare, attach_in_prepare);
		ev_prepare_start(loop, &prepare);
		break;
	case 2:
		ev_set_cb(&check, attach_in_check);
		ev_check_start(loop, &check);
		ev_timer_start(loop, &timer);
		break;
	}
	ev_run(loop, 0);
	assert_true(is_over);
	for (int i = 0; i < SENDERS; i++)
		join(threads[i]);
	await_children();
	leave_loop();
	close(fd);
}

static void test_no_wake_is_lost(void **state)
{
	variant = *state;
	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	time_t deadline = time(NULL) + SECONDS;
	do
		run_round();
	while (time(NULL) < deadline);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

int main(void)
{
	const char *seed = getenv("RINGWAKE_SEED");
	random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	print_message("# RINGWAKE_SEED=%llu\n", (unsigned long long)random_state);
	fflush(NULL);
	const struct CMUnitTest tests[] = {ON_ALL(test_no_wake_is_lost)};
	return RUN_BOUNDED(tests, 240);
}
