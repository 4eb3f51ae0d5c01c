/* SPDX-License-Identifier: MIT */
/*
 * A program for preload.test that uses only libev. Its output must be the same with and without
 * ringwake.
 *
 *   bare [STATUS]    exits with STATUS
 *   bare few         starts watchers when few descriptors are left
 *   bare load FILE   loads the module FILE
 */
#include "../blocked.h"
#include "../forbid.h"

#include <dlfcn.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 1000, MANY = 5000, SENDERS = 4, SENDS = 20000 };

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bare: %s\n", what);
	abort();
}
#define CHECK(expression) check(expression, #expression)

static struct ev_loop *new_loop(void)
{
	struct ev_loop *loop = ev_loop_new(0);
	CHECK(loop != NULL);
	return loop;
}

static void start(
	struct ev_loop *loop, ev_async *async, void (*cb)(struct ev_loop *, ev_async *, int))
{
	ev_async_init(async, cb);
	ev_async_start(loop, async);
}

static unsigned calls;

static void on_count(struct ev_loop *loop, ev_async *async, int revents)
{
	(void)loop;
	(void)async;
	CHECK(revents == EV_ASYNC);
	calls++;
}

static unsigned calls_of_iteration(struct ev_loop *loop)
{
	calls = 0;
	ev_run(loop, EVRUN_NOWAIT);
	return calls;
}

/* Two loops send to each other, so each is blocked most of the time. */
struct side {
	struct ev_loop *loop;
	ev_async async;
	pthread_t thread;
	struct side *other;
	unsigned calls;
};

static void on_side(struct ev_loop *loop, ev_async *async, int revents)
{
	struct side *side = async->data;
	CHECK(revents == EV_ASYNC && loop == side->loop);
	side->calls++;
	ev_async_send(side->other->loop, &side->other->async);
	if (side->calls == CALLS)
		ev_async_stop(loop, async);
}

static void *run_side(void *argument)
{
	struct side *side = argument;
	ev_run(side->loop, 0);
	return NULL;
}

static void exchange(void)
{
	static struct side sides[2];
	for (int i = 0; i < 2; i++) {
		sides[i].loop = new_loop();
		sides[i].other = &sides[1 - i];
		start(sides[i].loop, &sides[i].async, on_side);
		sides[i].async.data = &sides[i];
	}
	ev_async_send(sides[0].loop, &sides[0].async);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&sides[i].thread, NULL, run_side, &sides[i]) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(sides[i].thread, NULL) == 0);
	for (int i = 0; i < 2; i++)
		ev_loop_destroy(sides[i].loop);
	printf("%u calls\n", sides[0].calls + sides[1].calls);
}

/* The macro reads the watcher's member directly. */
static void on_pending(struct ev_loop *loop, ev_async *async, int revents)
{
	(void)loop;
	(void)revents;
	printf("pending in the callback: %d\n", ev_async_pending(async) != 0);
}

static void pending(struct ev_loop *loop)
{
	ev_async async;
	ev_async_init(&async, on_pending);
	ev_async_send(loop, &async);
	ev_async_start(loop, &async);
	printf("started: active %d, pending %d\n", ev_is_active(&async) != 0,
		ev_async_pending(&async) != 0);
	ev_async_send(loop, &async);
	printf("sent: pending %d\n", ev_async_pending(&async) != 0);
	ev_run(loop, EVRUN_NOWAIT);
	ev_async_send(loop, &async);
	ev_async_stop(loop, &async);
	ev_run(loop, EVRUN_NOWAIT);
	printf("stopped: active %d\n", ev_is_active(&async) != 0);
	ev_async_start(loop, &async);
	ev_run(loop, EVRUN_NOWAIT);
	printf("started again: pending %d\n", ev_async_pending(&async) != 0);
	ev_async_stop(loop, &async);
}

/* The first callback sees that the other watcher is pending and stops it. */
static ev_async first, second;

static void on_first(struct ev_loop *loop, ev_async *async, int revents)
{
	(void)async;
	(void)revents;
	printf("first: the second is pending: %d", ev_is_pending(&second) != 0);
	printf(", cleared %d", ev_clear_pending(loop, &second) == EV_ASYNC);
	printf(", pending %d\n", ev_is_pending(&second) != 0);
}

static void on_first_stops(struct ev_loop *loop, ev_async *async, int revents)
{
	(void)async;
	(void)revents;
	ev_async_stop(loop, &second);
	printf("first: the second is stopped, pending %d\n", ev_is_pending(&second) != 0);
}

static void on_second(struct ev_loop *loop, ev_async *async, int revents)
{
	(void)loop;
	(void)async;
	(void)revents;
	printf("second\n");
}

static void priorities(struct ev_loop *loop)
{
	ev_async_init(&first, on_first);
	ev_async_init(&second, on_second);
	ev_set_priority(&first, 100);
	ev_set_priority(&second, -100);
	ev_async_start(loop, &second);
	ev_async_start(loop, &first);
	printf("priorities %d and %d\n", ev_priority(&first), ev_priority(&second));
	for (int i = 0; i < 2; i++) {
		ev_async_send(loop, &second);
		ev_async_send(loop, &first);
		ev_run(loop, EVRUN_NOWAIT);
	}
	ev_set_cb(&first, on_first_stops);
	ev_async_send(loop, &second);
	ev_async_send(loop, &first);
	ev_run(loop, EVRUN_NOWAIT);
	ev_async_stop(loop, &first);
	ev_async_start(loop, &second);
	ev_async_send(loop, &second);
	ev_run(loop, EVRUN_NOWAIT);
	ev_async_stop(loop, &second);
}

static void many(struct ev_loop *loop)
{
	ev_async *asyncs = calloc(MANY, sizeof *asyncs);
	CHECK(asyncs != NULL);
	for (int i = 0; i < MANY; i++)
		start(loop, &asyncs[i], on_count);
	for (int i = 0; i < MANY; i += 2)
		ev_async_send(loop, &asyncs[i]);
	unsigned sum = 0, last;
	while ((last = calls_of_iteration(loop)) > 0)
		sum += last;
	for (int i = 0; i < MANY; i++)
		ev_async_stop(loop, &asyncs[i]);
	free(asyncs);
	printf("many: %u\n", sum);
}

/* Each sender writes and then sends. The callback must see the last write. */
struct sender {
	pthread_t thread;
	struct ev_loop *loop;
	ev_async async;
	unsigned written, seen;
};

static void *run_sender(void *argument)
{
	struct sender *sender = argument;
	for (unsigned i = 1; i <= SENDS; i++) {
		__atomic_store_n(&sender->written, i, __ATOMIC_RELAXED);
		ev_async_send(sender->loop, &sender->async);
	}
	return NULL;
}

static void on_sender(struct ev_loop *loop, ev_async *async, int revents)
{
	struct sender *sender = async->data;
	(void)revents;
	sender->seen = __atomic_load_n(&sender->written, __ATOMIC_RELAXED);
	if (sender->seen == SENDS)
		ev_async_stop(loop, async);
}

static void senders(struct ev_loop *loop)
{
	static struct sender all[SENDERS];
	unsigned sum = 0;
	for (int i = 0; i < SENDERS; i++) {
		all[i].loop = loop;
		start(loop, &all[i].async, on_sender);
		all[i].async.data = &all[i];
	}
	for (int i = 0; i < SENDERS; i++)
		CHECK(pthread_create(&all[i].thread, NULL, run_sender, &all[i]) == 0);
	ev_run(loop, 0); /* until the last watcher is stopped */
	for (int i = 0; i < SENDERS; i++) {
		CHECK(pthread_join(all[i].thread, NULL) == 0);
		sum += all[i].seen;
	}
	printf("senders: %u\n", sum);
}

/* Watchers are stopped and started at other addresses while a thread sends to one of them. */
static struct ev_loop *churned;
static ev_async still, moving[2];
static _Atomic bool churning;

static void *run_churn(void *argument)
{
	(void)argument;
	while (churning)
		ev_async_send(churned, &still);
	return NULL;
}

static void on_still(struct ev_loop *loop, ev_async *async, int revents)
{
	static unsigned moves;
	(void)revents;
	ev_async_stop(loop, async);
	ev_async_start(loop, &moving[(moves + 1) % 2]); /* takes the list position of the watcher
							   stopped above */
	ev_async_stop(loop, &moving[moves % 2]);
	if (++moves == CALLS)
		churning = false;
	else
		ev_async_start(loop, async);
}

static void on_never(struct ev_loop *loop, ev_async *async, int revents)
{
	(void)loop;
	(void)async;
	(void)revents;
	printf("a callback ran without a send\n");
}

static void churn(struct ev_loop *loop)
{
	pthread_t thread;
	churned = loop;
	churning = true;
	start(loop, &moving[0], on_never);
	start(loop, &still, on_still);
	ev_async_init(&moving[1], on_never);
	CHECK(pthread_create(&thread, NULL, run_churn, NULL) == 0);
	while (churning)
		ev_run(loop, EVRUN_ONCE);
	CHECK(pthread_join(thread, NULL) == 0);
	for (int i = 0; i < 2; i++)
		ev_async_stop(loop, &moving[i]);
	printf("churn: %d left\n", ev_is_active(&still) != 0);
}

static struct ev_loop *signalled;
static ev_async by_signal;

static void on_signal(int number)
{
	(void)number;
	ev_async_send(signalled, &by_signal);
}

static void signals(struct ev_loop *loop)
{
	signalled = loop;
	start(loop, &by_signal, on_count);
	CHECK(signal(SIGUSR1, on_signal) != SIG_ERR);
	CHECK(raise(SIGUSR1) == 0);
	printf("signals: %u\n", calls_of_iteration(loop));
	ev_async_stop(loop, &by_signal);
	signal(SIGUSR1, SIG_DFL);
}

/* The loop is destroyed while the watcher is started and its memory is already freed. */
static void destroyed(void)
{
	for (int i = 0; i < 3; i++) {
		struct ev_loop *loop = new_loop();
		ev_async *async = malloc(sizeof *async);
		CHECK(async != NULL);
		start(loop, async, on_count);
		memset(async, 0xff, sizeof *async);
		free(async);
		ev_loop_destroy(loop);
	}
	printf("destroyed\n");
}

static void stop_itself(struct ev_loop *loop, ev_async *async, int revents)
{
	(void)revents;
	ev_async_stop(loop, async);
}

static int status_of(pid_t child)
{
	int status = -1;
	CHECK(child > 0 && waitpid(child, &status, 0) == child);
	return status;
}

/* Runs the loop in a child until its watcher is stopped. Without ev_loop_fork() the child's loop
 * keeps using the parent's descriptors, as in a daemon. */
static int status_of_child(bool calls_fork, bool before)
{
	struct ev_loop *loop = new_loop();
	ev_async async;
	start(loop, &async, stop_itself);
	ev_run(loop, EVRUN_NOWAIT);
	if (before)
		ev_async_send(loop, &async);
	pid_t child = fork();
	if (child == 0) {
		alarm(20);
		if (calls_fork)
			ev_loop_fork(loop);
		if (!before)
			ev_async_send(loop, &async);
		ev_run(loop, 0);
		ev_loop_destroy(loop);
		_exit(ev_is_active(&async) ? 1 : 0);
	}
	int status = status_of(child);
	ev_async_stop(loop, &async);
	ev_loop_destroy(loop);
	return status;
}

static void *send_to_side(void *argument)
{
	struct side *side = argument;
	await_blocked_loop();
	ev_async_send(side->loop, &side->async);
	return NULL;
}

/* The process forbids itself io_uring after its loop is attached. Then the loop blocks. */
static int status_of_sandbox(void)
{
	pid_t child = fork();
	if (child == 0) {
		struct side side = {.loop = new_loop()};
		alarm(20);
		start(side.loop, &side.async, stop_itself);
		ev_run(side.loop, EVRUN_NOWAIT);
		CHECK(forbid_io_uring(EPERM));
		for (int i = 0; i < 20; i++) {
			ev_async_start(side.loop, &side.async);
			CHECK(pthread_create(&side.thread, NULL, send_to_side, &side) == 0);
			ev_run(side.loop, 0);
			CHECK(pthread_join(side.thread, NULL) == 0);
		}
		_exit(0);
	}
	return status_of(child);
}

static void with_descriptors(struct ev_loop *loop, int count)
{
	ev_async async[2];
	struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	int last = -1, next;
	while ((next = dup(0)) >= 0)
		last = next;
	for (int i = 0; i < count; i++)
		close(last - i);
	for (int i = 0; i < 2; i++)
		start(loop, &async[i], on_count);
	ev_async_send(loop, &async[0]);
	printf("with %d descriptors: %u\n", count, calls_of_iteration(loop));
	ev_async_stop(loop, &async[0]);
	ev_async_stop(loop, &async[1]);
}

static void with_few_descriptors(struct ev_loop *loop)
{
	for (int i = 2; i < 6; i++) {
		struct ev_loop *other = new_loop();
		pid_t child = fork();
		if (child == 0) {
			with_descriptors(other, i);
			_exit(0);
		}
		CHECK(status_of(child) == 0);
		ev_loop_destroy(other);
	}
	with_descriptors(loop, 1);
}

static void all(struct ev_loop *loop)
{
	exchange();
	pending(loop);
	priorities(loop);
	many(loop);
	senders(loop);
	churn(loop);
	signals(loop);
	destroyed();
	if (ev_backend(loop) == EVBACKEND_IOURING)
		return; /* without io_uring, libev itself hangs in a child or a sandbox */
	printf("child that calls ev_loop_fork(): %d\n", status_of_child(true, false));
	printf("child of a loop with a pending send: %d\n", status_of_child(true, true));
	printf("child that does not call ev_loop_fork(): %d\n", status_of_child(false, false));
	printf("sandbox: %d\n", status_of_sandbox());
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "0";
	setvbuf(stdout, NULL, _IOLBF, 0); /* a child must not inherit buffered output */
	struct ev_loop *loop = ev_default_loop(0);
	CHECK(loop != NULL);
	if (strcmp(what, "few") == 0)
		with_few_descriptors(loop);
	else if (strcmp(what, "load") == 0)
		CHECK(dlopen(arguments[2], RTLD_NOW) != NULL);
	else
		all(loop);
	ev_loop_destroy(loop);
	return atoi(what);
}
