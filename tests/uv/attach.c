/* SPDX-License-Identifier: MIT */
/* Attach and detach, and what is visible in the loop. */
#include "fixture.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/resource.h>

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void test_second_attach_is_refused(void **state)
{
	(void)state;
	struct fixture f;
	open_loop(&f);
	struct ringwake_uv *second = NULL;
	assert_int_equal(ringwake_uv_attach(&second, &f.loop, NULL), UV_EBUSY);
	assert_null(second);
	assert_int_equal(ringwake_uv_detach(f.binding), 0);
	f.binding = attach(&f.loop);
	close_loop(&f);
}

static void test_detach_with_live_handle_is_refused(void **state)
{
	(void)state;
	struct fixture f;
	struct counter counter;
	open_loop(&f);
	open_counter(&f, &counter, 0);
	assert_int_equal(ringwake_uv_detach(f.binding), UV_EBUSY);
	close_counter(&counter);
	assert_int_equal(ringwake_uv_detach(f.binding), UV_EBUSY);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_true(counter.closed);
	close_loop(&f);
}

static void fail_on_handle(uv_handle_t *handle, void *argument)
{
	(void)argument;
	fail_msg("uv_walk() reports a handle of type %s", uv_handle_type_name(handle->type));
}

static void test_helpers_are_invisible(void **state)
{
	(void)state;
	struct fixture f;
	skip_if_public("uv_walk() reports the helper handles");
	open_loop(&f);
	uv_walk(&f.loop, fail_on_handle, NULL);
	assert_false(uv_loop_alive(&f.loop));
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_ONCE), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_NOWAIT), 0);
	uv_walk(&f.loop, fail_on_handle, NULL);
	assert_false(uv_loop_alive(&f.loop));
	close_loop(&f);
}

static void test_detach_without_an_iteration(void **state)
{
	(void)state;
	struct fixture f;
	open_loop(&f);
	assert_int_equal(ringwake_uv_detach(f.binding), 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

/* The loop continues as if no target had been attached. */
static void count_timer(uv_timer_t *timer)
{
	++*(unsigned *)timer->data;
}

static void test_loop_works_after_detach(void **state)
{
	(void)state;
	struct fixture f;
	unsigned ticks = 0;
	uv_timer_t timer = {.data = &ticks};
	open_loop(&f);
	uv_timer_init(&f.loop, &timer);
	uv_timer_start(&timer, count_timer, 1, 0);
	assert_int_equal(ringwake_uv_detach(f.binding), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(ticks, 1);
	f.binding = attach(&f.loop);
	uv_timer_start(&timer, count_timer, 1, 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(ticks, 2);
	uv_close((uv_handle_t *)&timer, NULL);
	close_loop(&f);
}

static void test_detach_delivers_what_was_sent(void **state)
{
	(void)state;
	struct fixture f;
	struct counted messages[3];
	open_loop(&f);
	for (unsigned i = 0; i < 3; i++) {
		messages[i] = (struct counted){.msg.fn = count_message};
		assert_int_equal(ringwake_send(ringwake_uv_target(f.binding), &messages[i].msg), 0);
	}
	assert_int_equal(ringwake_uv_detach(f.binding), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(messages[i].count, 1);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

struct detaching {
	struct ringwake_msg msg;
	struct ringwake_uv *binding;
	int result;
};

static void detach_now(struct ringwake_msg *msg)
{
	struct detaching *message = (struct detaching *)msg;
	message->result = ringwake_uv_detach(message->binding);
}

static void test_detach_in_a_callback(void **state)
{
	(void)state;
	struct fixture f;
	unsigned ticks = 0;
	uv_timer_t timer = {.data = &ticks};
	open_loop(&f);
	uv_timer_init(&f.loop, &timer);
	uv_timer_start(&timer, count_timer, 5, 0);
	struct detaching message = {{.fn = detach_now}, f.binding, 1};
	assert_int_equal(ringwake_send(ringwake_uv_target(f.binding), &message.msg), 0);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(message.result, 0);
	assert_int_equal(ticks, 1);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&f.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

static void attach_and_use(uv_loop_t *loop)
{
	struct fixture f = {.binding = attach(loop)};
	struct counter counter;
	open_counter(&f, &counter, 1);
	send_counter(&counter);
	assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
	assert_true(counter.closed);
	assert_int_equal(ringwake_uv_detach(f.binding), 0);
}

/* In the iteration that attaches, the prepare callbacks of the helpers do not run any more. */
struct late {
	struct ringwake_msg msg;
	uv_loop_t loop;
	struct ringwake_uv *binding;
	bool arrived;
};

static void arrive(struct ringwake_msg *msg)
{
	struct late *late = (struct late *)msg;
	late->arrived = true;
	uv_stop(&late->loop);
}

static void attach_late(uv_prepare_t *prepare)
{
	struct late *late = prepare->data;
	uv_prepare_stop(prepare);
	late->binding = attach(&late->loop);
	assert_int_equal(ringwake_send(ringwake_uv_target(late->binding), &late->msg), 0);
}

static void in_an_hour(uv_timer_t *timer)
{
	(void)timer;
}

static void test_attach_in_a_prepare_callback(void **state)
{
	(void)state;
	struct late late = {.msg = {.fn = arrive}};
	uv_prepare_t prepare = {.data = &late};
	uv_timer_t timer;
	assert_int_equal(uv_loop_init(&late.loop), 0);
	ringwake_uv_detach(attach(&late.loop)); /* may skip the test */
	uv_prepare_init(&late.loop, &prepare);
	uv_prepare_start(&prepare, attach_late);
	uv_timer_init(&late.loop, &timer);
	uv_timer_start(&timer, in_an_hour, 3600000, 0);
	uv_run(&late.loop, UV_RUN_DEFAULT);
	assert_true(late.arrived);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_close((uv_handle_t *)&prepare, NULL);
	assert_int_equal(uv_run(&late.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(ringwake_uv_detach(late.binding), 0);
	assert_int_equal(uv_loop_close(&late.loop), 0);
}

static void test_nothing_leaks(void **state)
{
	(void)state;
	uv_loop_t loop;
	assert_int_equal(uv_loop_init(&loop), 0);
	for (int i = 0; i < 5; i++) /* the first rounds make the allocations that are kept */
		attach_and_use(&loop);
	unsigned descriptors = open_descriptors();
	size_t memory = mallinfo2().uordblks;
	for (int i = 0; i < 300; i++)
		attach_and_use(&loop);
	assert_int_equal(open_descriptors(), descriptors);
	assert_true(mallinfo2().uordblks <= memory);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_failed_attach_leaves_nothing(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct ringwake_uv *binding = NULL;
	struct ringwake_params params = {.path = (enum ringwake_path)99};
	assert_int_equal(uv_loop_init(&loop), 0);
	unsigned descriptors = open_descriptors();
	assert_int_equal(ringwake_uv_attach(&binding, &loop, &params), UV_EINVAL);
	assert_null(binding);
	assert_int_equal(open_descriptors(), descriptors);
	attach_and_use(&loop);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_no_descriptor_left(void **state)
{
	(void)state;
	uv_loop_t loop;
	struct ringwake_uv *binding = NULL;
	struct ringwake_params params = {.path = test_path};
	struct rlimit limit, none;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){0, limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int error = ringwake_uv_attach(&binding, &loop, &params);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(error == UV_EMFILE || (test_path == RINGWAKE_PATH_MSG_RING && error < 0));
	assert_null(binding);
	uv_walk(&loop, fail_on_handle, NULL);
	attach_and_use(&loop);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_second_attach_is_refused),
		ON_BOTH_PATHS(test_detach_with_live_handle_is_refused),
		ON_BOTH_PATHS(test_helpers_are_invisible),
		ON_BOTH_PATHS(test_detach_without_an_iteration),
		ON_BOTH_PATHS(test_loop_works_after_detach),
		ON_BOTH_PATHS(test_detach_delivers_what_was_sent),
		ON_BOTH_PATHS(test_detach_in_a_callback),
		ON_BOTH_PATHS(test_attach_in_a_prepare_callback),
		ON_BOTH_PATHS(test_nothing_leaks),
		ON_BOTH_PATHS(test_failed_attach_leaves_nothing),
		ON_BOTH_PATHS(test_no_descriptor_left),
	};
	return RUN_BOUNDED(tests, 60);
}
