/* SPDX-License-Identifier: MIT */
/* Careless programs that libuv tolerates: they leave loops open or use handles after their end. */
#include "fixture.h"
#include "plain.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <ringwake/uv-compat.h>

static void use_path(void)
{
	setenv("RINGWAKE_PATH", test_path == RINGWAKE_PATH_EVENTFD ? "eventfd" : "", 1);
}

static unsigned calls;
static void count(uv_async_t *handle)
{
	(void)handle;
	calls++;
}

static void count_and_close(uv_async_t *handle)
{
	count(handle);
	uv_close((uv_handle_t *)handle, NULL);
}

static void open_with(uv_loop_t *loop, uv_async_t *handle, uv_async_cb cb)
{
	use_path();
	calls = 0;
	assert_int_equal(uv_loop_init(loop), 0);
	assert_int_equal(uv_async_init(loop, handle, cb), 0);
}

static void end_loop(uv_loop_t *loop)
{
	assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(loop), 0);
}

/* Only the handle's memory still exists. Another handle may have reused its other resources. */
static void test_send_after_loop_close(void **state)
{
	(void)state;
#if UV_VERSION_HEX < 0x012d00
	/* libuv itself aborts in this case. */
	if (getenv("RINGWAKE_UV_PUBLIC"))
		return;
#endif
	uv_loop_t loop;
	uv_async_t closed, other;
	open_with(&loop, &closed, count);
	uv_close((uv_handle_t *)&closed, NULL);
	assert_int_equal(uv_async_send(&closed), 0);
	end_loop(&loop);
	int files[16];
	for (int i = 0; i < 16; i++)
		files[i] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(uv_async_send(&closed), 0);
	open_with(&loop, &other, count);
	for (int i = 0; i < 100; i++)
		assert_int_equal(uv_async_send(&closed), 0);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(calls, 0);
	uv_close((uv_handle_t *)&other, NULL);
	end_loop(&loop);
	assert_int_equal(uv_async_send(&closed), 0);
	assert_int_equal(uv_async_send(&other), 0);
	assert_int_equal(calls, 0);
	for (int i = 0; i < 16; i++)
		close(files[i]);
}

static void test_send_after_detach(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	close_counter(&counter);
	close_loop(&f);
	assert_int_equal(ringwake_uv_async_send(&counter.async), UV_ECANCELED);
	assert_int_equal(counter.calls, 0);
}

static void skip_if_leaks_are_faults(void)
{
#ifdef __SANITIZE_ADDRESS__
	print_message("AddressSanitizer reports loops that are left open\n");
	skip();
#endif
}

/* Loops, with and without handles, are never closed, and new loops reuse their memory. */
static void test_loop_at_the_same_address(void **state)
{
	(void)state;
	uv_loop_t loop;
	uv_async_t handle;
	skip_if_leaks_are_faults();
	for (unsigned i = 1; i <= 3; i++) {
		memset(&loop, 0x55, sizeof loop);
		open_with(&loop, &handle, count_and_close);
		if (i == 3)
			break;
		assert_int_equal(uv_async_send(&handle), 0);
		assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
		assert_int_equal(calls, 1);
	}
	assert_int_equal(uv_async_send(&handle), 0);
	end_loop(&loop);
	assert_int_equal(calls, 1);
}

static void test_attach_at_the_same_address(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	skip_if_leaks_are_faults();
	open_loop(&f); /* never closed */
	memset(&f, 0, sizeof f);
	open_loop(&f);
	open_counter(&f, &counter, 1);
	send_counter(&counter);
	close_loop(&f);
	assert_int_equal(counter.calls, 1);
}

/* One source file uses the compat header and the other does not. One opens a handle, and the other
 * sends and closes it. */
static void test_mixed_source(void **state)
{
	(void)state;
	enum { COUNT = 200 };
	uv_loop_t loop;
	uv_async_t ours, theirs, more[COUNT];
	open_with(&loop, &ours, count);
	assert_int_equal(plain_async_init(&loop, &theirs, count), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(uv_async_init(&loop, &more[i], count), 0);
	assert_int_equal(plain_async_send(&ours), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(plain_async_send(&more[i]), 0);
	assert_int_equal(uv_async_send(&theirs), 0);
	while (calls < COUNT + 2)
		uv_run(&loop, UV_RUN_ONCE);
	plain_close((uv_handle_t *)&ours, NULL);
	uv_close((uv_handle_t *)&theirs, NULL);
	for (int i = 0; i < COUNT; i++)
		i % 2 ? plain_close((uv_handle_t *)&more[i], NULL)
		      : uv_close((uv_handle_t *)&more[i], NULL);
	end_loop(&loop);
	assert_int_equal(calls, COUNT + 2);
}

static void note_work(uv_work_t *request)
{
	(void)request;
}

static void count_work(uv_work_t *request, int status)
{
	(void)request;
	calls += status == 0;
}

/* A source file without the compat header cannot cancel work that was queued with it. */
static void test_plain_cancel(void **state)
{
	(void)state;
	enum { COUNT = 20 };
	uv_loop_t loop;
	uv_async_t handle;
	uv_work_t work[COUNT];
	skip_if_public("libuv can cancel the work");
	open_with(&loop, &handle, count);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(uv_queue_work(&loop, &work[i], note_work, count_work), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(plain_cancel((uv_req_t *)&work[i]), UV_EBUSY);
	uv_close((uv_handle_t *)&handle, NULL);
	end_loop(&loop);
	assert_int_equal(calls, COUNT);
}

static void say_later(uv_work_t *request)
{
	char c = 'x';
	sched_yield();
	if (write(*(int *)request->data, &c, 1) != 1)
		abort();
}

/* A program that exits runs its queued work. */
static void test_work_at_exit(void **state)
{
	(void)state;
	enum { COUNT = 50 };
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer does not support threads in a forked child\n");
	skip();
#endif
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		uv_loop_t loop;
		uv_async_t handle;
		static uv_work_t work[COUNT];
		open_with(&loop, &handle, count);
		for (int i = 0; i < COUNT; i++) {
			work[i].data = &ends[1];
			if (uv_queue_work(&loop, &work[i], say_later, NULL) != 0)
				_exit(1);
		}
		exit(0);
	}
	close(ends[1]);
	char said[COUNT];
	size_t length = 0;
	for (ssize_t got = 1; got > 0; length += (size_t)got)
		got = read(ends[0], said + length, sizeof said - length);
	assert_int_equal(length, COUNT);
	close(ends[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void fill_with_dead(uv_handle_t *handle)
{
	memset(handle, 0x55, sizeof(struct counter));
}

static void close_plainly(uv_handle_t *handle, void *argument)
{
	const struct fixture *f = argument;
	if (handle->data != f->binding && !uv_is_closing(handle))
		plain_close(handle, fill_with_dead);
}

/* libuv's own uv_close() closes ringwake handles, whose memory is freed in the close callbacks. */
static void test_plain_close(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counters[3];
	open_loop(&f);
	for (int i = 0; i < 3; i++) {
		open_counter(&f, &counters[i], 0);
		send_counter(&counters[i]);
	}
	uv_walk(&f.loop, close_plainly, &f);
	assert_int_equal(ringwake_uv_detach(f.binding), UV_EBUSY);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	close_loop(&f);
}

struct closer {
	struct counter counter;
	struct counter *other;
};

static void close_other_plainly(ringwake_uv_async_t *async)
{
	struct closer *closer = (struct closer *)async;
	plain_close(handle_of(closer->other), on_counter_closed);
	close_counter(&closer->counter);
}

/* libuv's own uv_close() closes a handle whose message is the next one in the dispatch. */
static void test_plain_close_in_a_callback(void **state)
{
	(void)state;
	struct fixture f;
	struct closer closer = {0};
	struct counter other;
	open_loop(&f);
	closer.other = &other;
	open_counter(&f, &other, 0);
	assert_int_equal(
		ringwake_uv_async_init(f.binding, &closer.counter.async, close_other_plainly), 0);
	send_counter(&closer.counter);
	send_counter(&other);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_true(other.closed && closer.counter.closed);
	assert_int_equal(other.calls, 0);
	assert_int_equal(ringwake_uv_async_send(&other.async), UV_ECANCELED);
	close_loop(&f);
}

/* A loop is closed while it is attached, and its memory is reused. */
static void test_detach_after_loop_close(void **state)
{
	(void)state;
	for (int again = 0; again < 2; again++) {
		struct fixture f, next;
		open_loop(&f);
		if (getenv("RINGWAKE_UV_PUBLIC")) {
			assert_int_equal(plain_loop_close(&f.loop), UV_EBUSY);
			close_loop(&f);
			continue;
		}
		assert_int_equal(plain_loop_close(&f.loop), 0);
		next = f;
		if (again) {
			assert_int_equal(uv_loop_init(&f.loop), 0);
			f.binding = attach(&f.loop);
		}
		assert_int_equal(ringwake_uv_detach(next.binding), UV_EINVAL);
		if (again)
			close_loop(&f);
	}
}

static unsigned open_descriptors(void)
{
	unsigned number = 0;
	DIR *directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory))
		number++;
	closedir(directory);
	return number;
}

static void do_nothing(uv_work_t *request)
{
	(void)request;
}

/* With no descriptor left, everything that works in plain libuv still works and leaks none. */
static void test_few_descriptors(void **state)
{
	(void)state;
	uv_loop_t loop;
	uv_async_t handle;
	uv_work_t work;
	struct rlimit limit, few;
	use_path();
	unsigned before = open_descriptors();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(uv_loop_init(&loop), 0);
	int next = dup(0);
	close(next);
	few = (struct rlimit){(rlim_t)next, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	calls = 0;
	int inited = uv_async_init(&loop, &handle, count_and_close);
	int queued = uv_queue_work(&loop, &work, do_nothing, NULL);
	int sent = uv_async_send(&handle);
	int alive = uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(inited, 0);
	assert_int_equal(queued, 0);
	assert_int_equal(sent, 0);
	assert_int_equal(alive, 0);
	assert_int_equal(calls, 1);
	assert_int_equal(uv_loop_close(&loop), 0);
	assert_int_equal(open_descriptors(), before);
}

/* An attached loop needs one more descriptor than a plain one, and no temporary one. */
static void test_one_descriptor(void **state)
{
	(void)state;
	struct fixture f;
	struct rlimit limit, one;
	open_loop(&f); /* may skip the test */
	assert_int_equal(ringwake_uv_detach(f.binding), 0);
	unsigned before = open_descriptors();
	int next = dup(0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	one = (struct rlimit){(rlim_t)next + 1, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &one), 0);
	struct ringwake_params params = {.path = test_path};
	int error = ringwake_uv_attach(&f.binding, &f.loop, &params);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(error, 0);
	assert_int_equal(open_descriptors(), before + 1);
	close_loop(&f);
}

static unsigned ended;
static void count_end(uv_work_t *request, int status)
{
	(void)request;
	ended += status == 0;
}

static void *send_from_here(void *handle)
{
	return uv_async_send(handle) == 0 ? NULL : handle;
}

/* A daemon: the child keeps running its parent's loop without uv_loop_fork(). */
static int daemon_status(uv_loop_t *loop, uv_async_t *handle)
{
	uv_work_t work;
	pthread_t thread;
	void *failed;
	calls = 0;
	if (uv_queue_work(loop, &work, do_nothing, count_end) != 0)
		return 1;
	while (ended == 0)
		uv_run(loop, UV_RUN_ONCE);
	if (pthread_create(&thread, NULL, send_from_here, handle) != 0)
		return 2;
	while (calls == 0)
		uv_run(loop, UV_RUN_ONCE);
	if (pthread_join(thread, &failed) != 0 || failed)
		return 3;
	uv_close((uv_handle_t *)handle, NULL);
	return uv_run(loop, UV_RUN_DEFAULT) != 0 || uv_loop_close(loop) != 0;
}

static void test_daemon(void **state)
{
	(void)state;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	print_message("sanitizers do not support threads in a forked child\n");
	skip();
#endif
	for (int with_work = 0; with_work < 2; with_work++) {
		uv_loop_t loop;
		uv_async_t handle;
		uv_work_t work;
		int status;
		open_with(&loop, &handle, count);
		if (with_work) {
			ended = 0;
			assert_int_equal(uv_queue_work(&loop, &work, do_nothing, count_end), 0);
			while (ended == 0)
				uv_run(&loop, UV_RUN_ONCE);
		}
		ended = 0;
		pid_t child = fork();
		if (child == 0)
			_exit(daemon_status(&loop, &handle));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
		uv_close((uv_handle_t *)&handle, NULL);
		end_loop(&loop);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/*
		 * Must be first. Another test's uv_cancel() starts libuv's workers. After that,
		 * exit() in a forked child hangs (glibc 2.43) or crashes (glibc 2.36).
		 */
		ON_BOTH_PATHS(test_work_at_exit),
		ON_BOTH_PATHS(test_send_after_loop_close),
		ON_BOTH_PATHS(test_send_after_detach),
		ON_BOTH_PATHS(test_loop_at_the_same_address),
		ON_BOTH_PATHS(test_attach_at_the_same_address),
		ON_BOTH_PATHS(test_mixed_source),
		ON_BOTH_PATHS(test_plain_cancel),
		ON_BOTH_PATHS(test_plain_close),
		ON_BOTH_PATHS(test_plain_close_in_a_callback),
		ON_BOTH_PATHS(test_detach_after_loop_close),
		ON_BOTH_PATHS(test_few_descriptors),
		ON_BOTH_PATHS(test_one_descriptor),
		ON_BOTH_PATHS(test_daemon),
	};
	return RUN_BOUNDED(tests, 60);
}
