/* SPDX-License-Identifier: MIT */
/* A loop in a forked child, after uv_loop_fork() and ringwake_uv_fork(). */
#include "fixture.h"

#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* The child ends with 0 if all it says is true; the number of the line that is not, else. */
#define CHILD_ASSERT(condition)                                                                    \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "child: line %d: %s\n", __LINE__, #condition);             \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static void assert_child_succeeds(pid_t child)
{
	int status;
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void *send_from_here(void *argument)
{
	struct counter *counter = argument;
	if (ringwake_uv_async_send(&counter->async) != 0)
		abort();
	return NULL;
}

static void do_nothing(uv_work_t *request)
{
	(void)request;
}

static void count_end(uv_work_t *request, int status)
{
	if (status == 0)
		++*(unsigned *)request->data;
}

/*
 * Sanitizers do not bear a fork while another thread starts: a child may find their locks held. So
 * all workers meet first; what each does from there on takes no lock but ours.
 */
#define WORKERS 4

static void block(uv_work_t *request)
{
	pthread_barrier_wait(request->data);
}

static void settle_workers(struct fixture *f)
{
	pthread_barrier_t barrier;
	uv_work_t work[WORKERS];
	pthread_barrier_init(&barrier, NULL, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		work[i].data = &barrier;
		assert_int_equal(ringwake_uv_queue_work(f->attached, &work[i], block, NULL), 0);
	}
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	pthread_barrier_destroy(&barrier);
}

static void use_in_child(struct fixture *f, struct counter *counter, bool on_ring)
{
	unsigned ends = 0;
	uv_work_t work = {.data = &ends};
	pthread_t thread;
	CHILD_ASSERT(ringwake_uv_async_send(&counter->async) == -EOWNERDEAD);
	CHILD_ASSERT(uv_loop_fork(&f->loop) == 0);
	CHILD_ASSERT(ringwake_uv_fork(f->attached) == 0);
	CHILD_ASSERT(ringwake_get_path(ringwake_uv_target(f->attached)) == test_path);
	for (unsigned i = 1; i <= 10; i++) {
		CHILD_ASSERT(pthread_create(&thread, NULL, send_from_here, counter) == 0);
		while (counter->calls < i)
			on_ring ? ringwake_uv_run(f->attached, UV_RUN_ONCE)
				: uv_run(&f->loop, UV_RUN_ONCE);
		CHILD_ASSERT(pthread_join(thread, NULL) == 0);
	}
	CHILD_ASSERT(ringwake_uv_queue_work(f->attached, &work, do_nothing, count_end) == 0);
	close_counter(counter);
	CHILD_ASSERT(uv_run(&f->loop, UV_RUN_DEFAULT) == 0);
	CHILD_ASSERT(counter->closed);
	CHILD_ASSERT(ends == 1);
	CHILD_ASSERT(ringwake_uv_detach(f->attached) == 0);
	CHILD_ASSERT(uv_loop_close(&f->loop) == 0);
}

static void test_child_has_a_loop_of_its_own(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not bear threads in a forked child\n");
	skip();
#endif
	for (int on_ring = 0; on_ring < 2; on_ring++) {
		struct fixture f, other;
		struct counter counter;
		unsigned ends = 0;
		uv_work_t work = {.data = &ends}, others_work = {.data = &ends};
		open_loop(&f);
		open_loop(&other);
		settle_workers(&f);
		open_counter(&f, &counter, 0);
		send_counter(&counter);
		on_ring ? ringwake_uv_run(f.attached, UV_RUN_ONCE) : uv_run(&f.loop, UV_RUN_ONCE);
		assert_int_equal(counter.calls, 1);
		counter.calls = 0;
		/* The parent has workers, and a wake that is its own. */
		assert_int_equal(
			ringwake_uv_queue_work(f.attached, &work, do_nothing, count_end), 0);
		while (ends == 0)
			uv_run(&f.loop, UV_RUN_ONCE);
		assert_int_equal(
			ringwake_uv_queue_work(other.attached, &others_work, do_nothing, count_end),
			0);
		assert_int_equal(uv_run(&other.loop, UV_RUN_DEFAULT), 0);
		send_counter(&counter);
		pid_t child = fork();
		if (child == 0) {
			use_in_child(&f, &counter, on_ring);
			_exit(0);
		}
		assert_child_succeeds(child);
		assert_int_equal(counter.calls, 0);
		assert_int_not_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
		assert_int_equal(counter.calls, 1);
		close_counter(&counter);
		close_loop(&f);
		close_loop(&other);
	}
}

/* What the parent waits for does not keep the child's loop alive. */
static unsigned threads_here(void)
{
	unsigned count = 0;
	DIR *tasks = opendir("/proc/self/task");
	while (tasks && readdir(tasks))
		count++;
	if (tasks)
		closedir(tasks);
	return count;
}

static void queue_too_early(struct fixture *f)
{
	unsigned ends = 0;
	uv_work_t work = {.data = &ends};
	unsigned threads = threads_here();
	CHILD_ASSERT(
		ringwake_uv_queue_work(f->attached, &work, do_nothing, count_end) == -EOWNERDEAD);
	CHILD_ASSERT(threads_here() == threads);
	CHILD_ASSERT(!uv_loop_alive(&f->loop));
	CHILD_ASSERT(uv_loop_fork(&f->loop) == 0);
	CHILD_ASSERT(ringwake_uv_fork(f->attached) == 0);
	CHILD_ASSERT(ringwake_uv_queue_work(f->attached, &work, do_nothing, count_end) == 0);
	CHILD_ASSERT(uv_run(&f->loop, UV_RUN_DEFAULT) == 0);
	CHILD_ASSERT(ends == 1);
	CHILD_ASSERT(ringwake_uv_detach(f->attached) == 0);
	CHILD_ASSERT(uv_loop_close(&f->loop) == 0);
}

/* The child's first work comes before its loop is told of the fork. */
static void test_work_before_the_loop_is_told(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not bear threads in a forked child\n");
	skip();
#endif
	struct fixture f;
	open_loop(&f);
	pid_t child = fork();
	if (child == 0) {
		queue_too_early(&f);
		_exit(0);
	}
	assert_child_succeeds(child);
	close_loop(&f);
}

static void test_work_is_the_parents(void **state)
{
	(void)state;
	struct fixture f;
	pthread_barrier_t barrier;
	uv_work_t work = {.data = &barrier};
	open_loop(&f);
	settle_workers(&f);
	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(ringwake_uv_queue_work(f.attached, &work, block, NULL), 0);
	pid_t child = fork();
	if (child == 0) {
		CHILD_ASSERT(uv_loop_fork(&f.loop) == 0);
		CHILD_ASSERT(ringwake_uv_fork(f.attached) == 0);
		CHILD_ASSERT(uv_run(&f.loop, UV_RUN_DEFAULT) == 0);
		CHILD_ASSERT(ringwake_uv_detach(f.attached) == 0);
		CHILD_ASSERT(uv_loop_close(&f.loop) == 0);
		_exit(0);
	}
	assert_child_succeeds(child);
	pthread_barrier_wait(&barrier);
	close_loop(&f);
	pthread_barrier_destroy(&barrier);
}

/* A handle that waits for its message as it closes does so in both. */
static void test_closing_goes_on_in_both(void **state)
{
	(void)state;
	struct fixture f;
	struct counter pending, idle;
	open_loop(&f);
	open_counter(&f, &pending, 0);
	open_counter(&f, &idle, 0);
	send_counter(&pending);
	close_counter(&pending);
	close_counter(&idle);
	pid_t child = fork();
	if (child == 0) {
		CHILD_ASSERT(uv_loop_fork(&f.loop) == 0);
		CHILD_ASSERT(ringwake_uv_fork(f.attached) == 0);
		CHILD_ASSERT(ringwake_uv_async_send(&idle.async) == UV_ECANCELED);
		CHILD_ASSERT(uv_run(&f.loop, UV_RUN_DEFAULT) == 0);
		CHILD_ASSERT(pending.closed && idle.closed);
		CHILD_ASSERT(pending.calls == 0);
		CHILD_ASSERT(ringwake_uv_detach(f.attached) == 0);
		CHILD_ASSERT(uv_loop_close(&f.loop) == 0);
		_exit(0);
	}
	assert_child_succeeds(child);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_true(pending.closed && idle.closed);
	close_loop(&f);
}

/* The fork may be made by a callback, in the midst of a dispatch. */
struct forker {
	struct counter counter;
	struct fixture *f;
	struct counter *later; /* its message is next in the dispatch: the parent's */
	pid_t child;
};

static void fork_now(ringwake_uv_async_t *async)
{
	struct forker *forker = (struct forker *)async;
	count_call(async);
	if (forker->counter.calls == 1) {
		send_counter(forker->later);
		forker->child = fork();
		if (forker->child == 0) {
			CHILD_ASSERT(uv_loop_fork(&forker->f->loop) == 0);
			CHILD_ASSERT(ringwake_uv_fork(forker->f->attached) == 0);
		}
	}
	if (forker->child == 0 && forker->counter.calls == 1) {
		send_counter(&forker->counter); /* the child's loop goes on */
		return;
	}
	close_counter(&forker->counter);
	close_counter(forker->later);
}

static void test_fork_in_a_callback(void **state)
{
	(void)state;
	for (int on_ring = 0; on_ring < 2; on_ring++) {
		struct fixture f;
		struct counter later;
		struct forker forker = {.f = &f, .later = &later};
		open_loop(&f);
		open_counter(&f, &later, 0);
		assert_int_equal(
			ringwake_uv_async_init(f.attached, &forker.counter.async, fork_now), 0);
		send_counter(&forker.counter);
		int alive = on_ring ? ringwake_uv_run(f.attached, UV_RUN_DEFAULT)
				    : uv_run(&f.loop, UV_RUN_DEFAULT);
		if (forker.child == 0) {
			CHILD_ASSERT(alive == 0);
			CHILD_ASSERT(forker.counter.calls == 2 && later.calls == 0);
			CHILD_ASSERT(ringwake_uv_detach(f.attached) == 0);
			CHILD_ASSERT(uv_loop_close(&f.loop) == 0);
			_exit(0);
		}
		assert_int_equal(alive, 0);
		assert_child_succeeds(forker.child);
		close_loop(&f);
	}
}

struct splitter {
	struct counter counter;
	uv_timer_t timer;
	pid_t child;
};

static void end_child(uv_timer_t *timer)
{
	(void)timer;
	_exit(0);
}

static void fork_once(ringwake_uv_async_t *async)
{
	struct splitter *splitter = (struct splitter *)async;
	count_call(async);
	if (splitter->counter.calls > 1)
		return;
	splitter->child = fork();
	if (splitter->child == 0)
		uv_timer_start(&splitter->timer, end_child, 20, 0);
	else
		assert_child_succeeds(splitter->child);
}

/* A child that goes on, without uv_loop_fork(), until a timer of its own. The parent waits for it,
 * and goes on with its ring. */
static void test_child_that_goes_on(void **state)
{
	(void)state;
	for (int on_ring = 0; on_ring < 2; on_ring++) {
		struct fixture f;
		struct splitter splitter = {.counter.close_at = 100, .child = -1};
		open_loop(&f);
		assert_int_equal(uv_timer_init(&f.loop, &splitter.timer), 0);
		assert_int_equal(
			ringwake_uv_async_init(f.attached, &splitter.counter.async, fork_once), 0);
		/* No thread is there at the fork: ThreadSanitizer would miss it in the child. */
		send_counter(&splitter.counter);
		while (splitter.counter.calls < 1 || splitter.child == 0)
			on_ring ? ringwake_uv_run(f.attached, UV_RUN_ONCE)
				: uv_run(&f.loop, UV_RUN_ONCE);
		for (unsigned i = 2; i <= 100; i++) {
			pthread_t thread = start(send_from_here, &splitter.counter);
			while (splitter.counter.calls < i)
				on_ring ? ringwake_uv_run(f.attached, UV_RUN_ONCE)
					: uv_run(&f.loop, UV_RUN_ONCE);
			join(thread);
		}
		uv_close((uv_handle_t *)&splitter.timer, NULL);
		close_loop(&f);
	}
}

/* libuv bears uv_loop_fork() in a process that has not forked. */
static void test_fork_without_a_fork(void **state)
{
	(void)state;
	for (int on_ring = 0; on_ring < 2; on_ring++) {
		struct fixture f;
		struct counter counter;
		unsigned ends = 0;
		uv_work_t work = {.data = &ends};
		open_loop(&f);
		open_counter(&f, &counter, 0);
		for (unsigned i = 1; i <= 3; i++) {
			assert_int_equal(
				ringwake_uv_queue_work(f.attached, &work, do_nothing, count_end),
				0);
			send_counter(&counter);
			assert_int_equal(uv_loop_fork(&f.loop), 0);
			assert_int_equal(ringwake_uv_fork(f.attached), 0);
			while (counter.calls < i || ends < i)
				on_ring ? ringwake_uv_run(f.attached, UV_RUN_ONCE)
					: uv_run(&f.loop, UV_RUN_ONCE);
		}
		close_counter(&counter);
		close_loop(&f);
	}
}

/* A child that has no use for the loop just goes. */
static void test_child_that_ends_at_once(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 1);
	pid_t child = fork();
	if (child == 0)
		exit(0);
	assert_child_succeeds(child);
	pthread_t thread = start(send_from_here, &counter);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	join(thread);
	close_loop(&f);
}

static void in_an_hour(uv_timer_t *timer)
{
	(void)timer;
}

/* A child that did not call uv_loop_fork() shares the parent's epoll, and leaves it alone. */
static void test_child_that_only_closes(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	uv_timer_t timer;
	open_loop(&f);
	uv_timer_init(&f.loop, &timer);
	uv_timer_start(&timer, in_an_hour, 3600000, 0);
	uv_run(&f.loop, UV_RUN_NOWAIT); /* epoll watches */
	uv_close((uv_handle_t *)&timer, NULL);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	pid_t child = fork();
	if (child == 0) {
		CHILD_ASSERT(ringwake_uv_detach(f.attached) == 0);
		CHILD_ASSERT(uv_loop_close(&f.loop) == 0);
		_exit(0);
	}
	assert_child_succeeds(child);
	open_counter(&f, &counter, 1);
	uv_run(&f.loop, UV_RUN_NOWAIT);
	send_counter(&counter);
	struct pollfd epoll = {.fd = uv_backend_fd(&f.loop), .events = POLLIN};
	assert_int_equal(poll(&epoll, 1, 0), 1);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	close_loop(&f);
}

/* Two loops have given the parent's workers work; the child's are told of one, and the other ends.
 */
static void test_workers_of_the_child(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not bear threads in a forked child\n");
	skip();
#endif
	struct fixture f, other;
	open_loop(&f);
	open_loop(&other);
	settle_workers(&f);
	uv_work_t work;
	assert_int_equal(ringwake_uv_queue_work(other.attached, &work, do_nothing, NULL), 0);
	assert_int_equal(uv_run(&other.loop, UV_RUN_DEFAULT), 0);
	pid_t child = fork();
	if (child == 0) {
		unsigned ends = 0;
		work.data = &ends;
		CHILD_ASSERT(uv_loop_fork(&f.loop) == 0 && ringwake_uv_fork(f.attached) == 0);
		for (unsigned i = 1; i <= 2; i++) {
			CHILD_ASSERT(ringwake_uv_queue_work(
					     f.attached, &work, do_nothing, count_end) == 0);
			CHILD_ASSERT(uv_run(&f.loop, UV_RUN_DEFAULT) == 0);
			CHILD_ASSERT(ends == i);
			if (i == 1)
				CHILD_ASSERT(uv_loop_fork(&other.loop) == 0 &&
					ringwake_uv_fork(other.attached) == 0 &&
					ringwake_uv_detach(other.attached) == 0);
		}
		CHILD_ASSERT(ringwake_uv_detach(f.attached) == 0);
		_exit(0);
	}
	assert_child_succeeds(child);
	close_loop(&f);
	close_loop(&other);
}

/* Work that waits in the parent's queue is not the child's to take back. */
static void test_cancel_in_the_child(void **state)
{
	(void)state;
	struct fixture f;
	pthread_barrier_t barrier;
	uv_work_t work[WORKERS + 1];
	open_loop(&f);
	settle_workers(&f);
	pthread_barrier_init(&barrier, NULL, WORKERS + 1);
	for (int i = 0; i <= WORKERS; i++) {
		work[i].data = &barrier;
		assert_int_equal(ringwake_uv_queue_work(f.attached, &work[i],
					 i < WORKERS ? block : do_nothing, NULL),
			0);
	}
	pid_t child = fork();
	if (child == 0) {
		CHILD_ASSERT(uv_loop_fork(&f.loop) == 0 && ringwake_uv_fork(f.attached) == 0);
		CHILD_ASSERT(ringwake_uv_cancel((uv_req_t *)&work[WORKERS]) == UV_EBUSY);
		_exit(0);
	}
	assert_child_succeeds(child);
	pthread_barrier_wait(&barrier);
	close_loop(&f);
	pthread_barrier_destroy(&barrier);
}

/* The parent's loop sleeps on a ring; in the child, which forks in a callback, there is none. */
struct ringless {
	struct fixture f;
	struct counter counter;
	uv_timer_t timer, again;
	bool in_timer;
	unsigned turns;
	pid_t child;
};

static void lose_the_ring(struct ringless *ringless)
{
	ringless->child = fork();
	if (ringless->child != 0)
		return;
	setenv("RINGWAKE_PATH", "eventfd", 1);
	CHILD_ASSERT(uv_loop_fork(&ringless->f.loop) == 0);
	CHILD_ASSERT(ringwake_uv_fork(ringless->f.attached) == 0);
	CHILD_ASSERT(ringwake_get_path(ringwake_uv_target(ringless->f.attached)) ==
		RINGWAKE_PATH_EVENTFD);
}

static void send_now(uv_timer_t *timer)
{
	struct ringless *ringless = timer->data;
	send_counter(&ringless->counter);
	uv_close((uv_handle_t *)timer, NULL);
}

/* The loop sleeps once more before the message. */
static void fork_then_send(uv_timer_t *timer)
{
	struct ringless *ringless = timer->data;
	if (ringless->in_timer)
		lose_the_ring(ringless);
	uv_timer_start(timer, send_now, 5, 0);
}

static void fork_when_called(ringwake_uv_async_t *async)
{
	struct ringless *ringless = async->data;
	if (!ringless->in_timer && ringless->turns == 0)
		lose_the_ring(ringless);
	if (!ringless->in_timer && ringless->child == 0 && ++ringless->turns == 1) {
		uv_timer_init(&ringless->f.loop, &ringless->again);
		ringless->again.data = ringless;
		uv_timer_start(&ringless->again, send_now, 5, 0);
		return;
	}
	count_call(async);
}

static void lose_the_ring_in(bool in_timer)
{
	struct ringless ringless = {.in_timer = in_timer, .child = -1};
	open_loop(&ringless.f); /* skips */
	assert_int_equal(ringwake_uv_detach(ringless.f.attached), 0);
	assert_int_equal(ringwake_uv_attach(&ringless.f.attached, &ringless.f.loop, NULL), 0);
	ringless.counter.close_at = 1;
	assert_int_equal(ringwake_uv_async_init(
				 ringless.f.attached, &ringless.counter.async, fork_when_called),
		0);
	ringless.counter.async.data = &ringless;
	uv_timer_init(&ringless.f.loop, &ringless.timer);
	ringless.timer.data = &ringless;
	uv_timer_start(&ringless.timer, fork_then_send, 5, 0);
	int alive = ringwake_uv_run(ringless.f.attached, UV_RUN_DEFAULT);
	if (ringless.child == 0)
		_exit(alive != 0 || !ringless.counter.closed);
	assert_int_equal(alive, 0);
	assert_child_succeeds(ringless.child);
	close_loop(&ringless.f);
}

static void test_child_without_a_ring(void **state)
{
	(void)state;
	lose_the_ring_in(true);
	lose_the_ring_in(false);
}

/*
 * There is no descriptor for a target of the child's. Sends are refused, the loop goes on, and a
 * later try succeeds.
 */
static void try_twice(struct fixture *f, struct counter *counter, bool on_ring)
{
	struct rlimit limit, none;
	CHILD_ASSERT(uv_loop_fork(&f->loop) == 0);
	CHILD_ASSERT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){0, limit.rlim_max};
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &none) == 0);
	for (int i = 0; i < 2; i++) {
		CHILD_ASSERT(ringwake_uv_fork(f->attached) < 0);
		CHILD_ASSERT(ringwake_uv_async_send(&counter->async) == -EOWNERDEAD);
		on_ring ? ringwake_uv_run(f->attached, UV_RUN_NOWAIT)
			: uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHILD_ASSERT(ringwake_uv_fork(f->attached) == 0);
	CHILD_ASSERT(ringwake_uv_async_send(&counter->async) == 0);
	on_ring ? ringwake_uv_run(f->attached, UV_RUN_DEFAULT) : uv_run(&f->loop, UV_RUN_DEFAULT);
	CHILD_ASSERT(counter->closed && counter->calls == 1);
	CHILD_ASSERT(ringwake_uv_detach(f->attached) == 0);
	CHILD_ASSERT(uv_loop_close(&f->loop) == 0);
}

static void detach_after_failure(struct fixture *f, struct counter *counter)
{
	struct rlimit limit, none;
	CHILD_ASSERT(uv_loop_fork(&f->loop) == 0);
	CHILD_ASSERT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){0, limit.rlim_max};
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHILD_ASSERT(ringwake_uv_fork(f->attached) < 0);
	CHILD_ASSERT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	close_counter(counter);
	CHILD_ASSERT(uv_run(&f->loop, UV_RUN_DEFAULT) == 0);
	CHILD_ASSERT(counter->closed);
	CHILD_ASSERT(ringwake_uv_detach(f->attached) == 0);
	CHILD_ASSERT(uv_loop_close(&f->loop) == 0);
}

static void test_failed_reopen(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		struct fixture f;
		struct counter counter;
		open_loop(&f);
		if (way == 1)
			ringwake_uv_ring(f.attached); /* there is one even on eventfd */
		open_counter(&f, &counter, 1);
		pid_t child = fork();
		if (child == 0) {
			way < 2 ? try_twice(&f, &counter, way == 1)
				: detach_after_failure(&f, &counter);
			_exit(0);
		}
		assert_child_succeeds(child);
		send_counter(&counter);
		close_loop(&f);
	}
}

int main(void)
{
	setenv("UV_THREADPOOL_SIZE", "4", 1); /* WORKERS */
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_child_has_a_loop_of_its_own),
		ON_BOTH_PATHS(test_work_before_the_loop_is_told),
		ON_BOTH_PATHS(test_work_is_the_parents),
		ON_BOTH_PATHS(test_closing_goes_on_in_both),
		ON_BOTH_PATHS(test_fork_in_a_callback),
		ON_BOTH_PATHS(test_child_that_goes_on),
		ON_BOTH_PATHS(test_fork_without_a_fork),
		ON_BOTH_PATHS(test_child_that_ends_at_once),
		ON_BOTH_PATHS(test_child_that_only_closes),
		ON_BOTH_PATHS(test_workers_of_the_child),
		ON_BOTH_PATHS(test_cancel_in_the_child),
		ON_BOTH_PATHS(test_child_without_a_ring),
		ON_BOTH_PATHS(test_failed_reopen),
	};
	return RUN_BOUNDED(tests, 60);
}
