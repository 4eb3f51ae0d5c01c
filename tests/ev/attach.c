/* SPDX-License-Identifier: MIT */
/* Attaches to a loop, which continues to work as before. */
#include "common.h"

#include <dirent.h>

static void test_helpers_do_not_keep_the_loop_alive(void **state)
{
	open_loop(state);
	assert_int_equal(ev_run(loop, 0), 0);
	assert_int_equal(ev_run(loop, EVRUN_ONCE), 0);
	close_loop();
}

static void test_second_attach_is_busy(void **state)
{
	open_loop(state);
	struct ringwake_ev *second = NULL;
	assert_int_equal(ringwake_ev_attach(&second, loop, NULL), -EBUSY);
	assert_null(second);
	assert_int_equal(ringwake_ev_detach(binding), 0);
	binding = attach_to(loop, *state);
	close_loop();
}

static void test_bad_parameter_leaves_nothing(void **state)
{
	open_loop(state);
	assert_int_equal(ringwake_ev_detach(binding), 0);
	struct ringwake_params params = {.path = (enum ringwake_path)9};
	assert_int_equal(ringwake_ev_attach(&binding, loop, &params), -EINVAL);
	binding = attach_to(loop, *state);
	close_loop();
}

struct noted {
	struct ringwake_msg msg;
	pthread_t ran_on;
	unsigned count;
};

static void note_thread(struct ringwake_msg *msg)
{
	struct noted *noted = (struct noted *)msg;
	noted->ran_on = pthread_self();
	noted->count++;
	ev_break(loop, EVBREAK_ALL);
}

static void *send_noted(void *argument)
{
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), argument), 0);
	return NULL;
}

static void do_nothing(struct ev_loop *in, ev_timer *timer, int revents)
{
	(void)in;
	(void)timer;
	(void)revents;
}

/* A loop with only a distant timer blocks until it is woken. */
static void test_message_runs_on_the_loops_thread(void **state)
{
	open_loop(state);
	ev_timer far;
	ev_timer_init(&far, do_nothing, 1000, 0);
	ev_timer_start(loop, &far);
	struct noted noted = {.msg.fn = note_thread};
	for (unsigned i = 1; i <= 20; i++) {
		pthread_t sender = start(send_noted, &noted);
		ev_run(loop, 0);
		join(sender);
		assert_int_equal(noted.count, i);
		assert_true(pthread_equal(noted.ran_on, pthread_self()));
	}
	ev_timer_stop(loop, &far);
	close_loop();
}

static void test_polling_runs_deliver(void **state)
{
	open_loop(state);
	struct noted noted = {.msg.fn = note_thread};
	send_noted(&noted);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(noted.count, 1);
	send_noted(&noted);
	ev_run(loop, EVRUN_ONCE);
	assert_int_equal(noted.count, 2);
	close_loop();
}

static void test_detach_delivers_what_was_accepted(void **state)
{
	open_loop(state);
	struct noted noted = {.msg.fn = note_thread};
	struct ringwake *target = ringwake_ref(ringwake_ev_target(binding));
	send_noted(&noted);
	assert_int_equal(ringwake_ev_detach(binding), 0);
	assert_int_equal(noted.count, 1);
	assert_int_equal(ringwake_send(target, &noted.msg), -ECANCELED);
	ringwake_unref(target);
	assert_int_equal(ev_run(loop, 0), 0);
	ev_loop_destroy(loop);
}

static void detach_inside(struct ringwake_msg *msg)
{
	(void)msg;
	assert_int_equal(ringwake_ev_detach(binding), 0);
}

static void test_detach_in_a_callback(void **state)
{
	open_loop(state);
	struct ringwake_msg first = {.fn = detach_inside};
	struct counted second = {.msg.fn = count_message};
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &first), 0);
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &second.msg), 0);
	ev_run(loop, EVRUN_ONCE);
	assert_int_equal(second.count, 1);
	assert_int_equal(ev_run(loop, EVRUN_NOWAIT), 0);
	ev_loop_destroy(loop);
}

static struct watched late;

static void run_work(ringwake_ev_work *work)
{
	(void)work;
}

static void complete_work(struct ev_loop *in, ringwake_ev_work *work, int revents)
{
	(void)in;
	(void)work;
	(void)revents;
}

static struct ringwake_pool *pool;

static void use_what_is_detached(struct ringwake_msg *msg)
{
	ringwake_ev_work work;
	struct ringwake_ev *second;
	count_message(msg);
	assert_int_equal(ringwake_ev_detach(binding), -EALREADY);
	assert_int_equal(ringwake_ev_attach(&second, loop, NULL), -EBUSY);
	start_watched(&late, 0);
	assert_false(ev_is_active(&late.async));
	assert_int_equal(ringwake_ev_async_send(&late.async), -ECANCELED);
	ringwake_ev_work_init(&work, run_work, complete_work);
	assert_int_equal(ringwake_ev_queue_work(binding, pool, &work), -ECANCELED);
	ev_run(loop, EVRUN_NOWAIT);
}

static void test_callbacks_that_detach_runs(void **state)
{
	open_loop(state);
	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	struct counted message = {.msg.fn = use_what_is_detached};
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &message.msg), 0);
	assert_int_equal(ringwake_ev_detach(binding), 0);
	assert_int_equal(message.count, 1);
	assert_int_equal(ev_run(loop, EVRUN_NOWAIT), 0);
	binding = attach_to(loop, *state);
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &message.msg), 0);
	ev_loop_destroy(loop);
	assert_int_equal(message.count, 2);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

static void destroy_what_is_detached(struct ringwake_msg *msg)
{
	count_message(msg);
	ev_loop_destroy(loop);
}

static void test_callback_that_detach_runs_destroys_the_loop(void **state)
{
	open_loop(state);
	ev_run(loop, EVRUN_NOWAIT);
	struct counted message = {.msg.fn = destroy_what_is_detached};
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &message.msg), 0);
	assert_int_equal(ringwake_ev_detach(binding), 0);
	assert_int_equal(message.count, 1);
}

static unsigned waits;

static void count_release(struct ev_loop *in) EV_NOEXCEPT
{
	(void)in;
	waits++;
}

static void run_and_expect(unsigned expected)
{
	struct watched watched;
	start_watched(&watched, 1);
	waits = 0;
	assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
	ev_run(loop, 0);
	assert_int_equal(watched.count, 1);
	assert_int_equal(waits > 0, expected);
	ringwake_ev_async_stop(&watched.async);
}

/* The application's callbacks around the wait are kept, whenever they were set. */
static void test_release_callback_stays(void **state)
{
	loop = make_loop(*state, 0);
	ev_set_loop_release_cb(loop, count_release, NULL);
	binding = attach_to(loop, *state);
	run_and_expect(1);
	assert_int_equal(ringwake_ev_detach(binding), 0);
	binding = attach_to(loop, *state);
	run_and_expect(1);
	ev_set_loop_release_cb(loop, NULL, NULL);
	run_and_expect(0);
	assert_int_equal(ringwake_ev_detach(binding), 0);
	binding = attach_to(loop, *state);
	run_and_expect(0);
	ev_set_loop_release_cb(loop, count_release, NULL);
	run_and_expect(1);
	close_loop();
}

static void test_loop_destroy_detaches(void **state)
{
	open_loop(state);
	struct ringwake *target = ringwake_ref(ringwake_ev_target(binding));
	struct watched watched;
	start_watched(&watched, 0);
	assert_int_equal(ringwake_ev_detach(binding), -EBUSY);
	assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
	ev_loop_destroy(loop);
	assert_false(ev_is_active(&watched.async));
	assert_int_equal(watched.count, 0);
	assert_int_equal(ringwake_wake(target), -ECANCELED);
	ringwake_unref(target);
}

static void test_default_loop(void **state)
{
	const struct variant *variant = *state;
	if (!(ev_supported_backends() & variant->backend))
		skip();
	loop = ev_default_loop(variant->backend | EVFLAG_NOENV);
	assert_non_null(loop);
	binding = attach_to(loop, variant);
	struct watched watched;
	start_watched(&watched, 1);
	pthread_t sender = start(send_once, &watched.async);
	ev_run(loop, 0);
	join(sender);
	assert_int_equal(watched.count, 1);
	ringwake_ev_async_stop(&watched.async);
	close_loop();
}

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

/* Each round watches a new ring whose descriptor number was used before. */
static void test_many_attachments_leave_nothing(void **state)
{
	open_loop(state);
	unsigned before = 0;
	for (int i = 0; i < 300; i++) {
		struct watched watched;
		start_watched(&watched, 1);
		assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
		ev_run(loop, 0);
		assert_int_equal(watched.count, 1);
		ringwake_ev_async_stop(&watched.async);
		if (i == 1)
			before = open_descriptors();
		if (i > 1)
			assert_int_equal(open_descriptors(), before);
		assert_int_equal(ringwake_ev_detach(binding), 0);
		binding = attach_to(loop, *state);
	}
	close_loop();
}

static void *run_loop(void *argument)
{
	(void)argument;
	ev_run(loop, 0);
	return NULL;
}

static void test_made_in_one_thread_and_run_in_another(void **state)
{
	open_loop(state);
	struct watched watched;
	start_watched(&watched, 1);
	pthread_t runner = start(run_loop, NULL);
	assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
	join(runner);
	assert_int_equal(watched.count, 1);
	ringwake_ev_async_stop(&watched.async);
	close_loop();
}

static void test_without_io_uring(void **state)
{
	(void)state;
	setenv("RINGWAKE_PATH", "eventfd", 1);
	loop = ev_loop_new(EVFLAG_NOENV);
	assert_int_equal(ringwake_ev_attach(&binding, loop, NULL), 0);
	assert_int_equal(ringwake_get_path(ringwake_ev_target(binding)), RINGWAKE_PATH_EVENTFD);
	unsetenv("RINGWAKE_PATH");
	close_loop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_helpers_do_not_keep_the_loop_alive),
		ON_ALL(test_second_attach_is_busy),
		ON_ALL(test_bad_parameter_leaves_nothing),
		ON_ALL(test_message_runs_on_the_loops_thread),
		ON_ALL(test_polling_runs_deliver),
		ON_ALL(test_detach_delivers_what_was_accepted),
		ON_ALL(test_detach_in_a_callback),
		ON_ALL(test_callbacks_that_detach_runs),
		ON_ALL(test_callback_that_detach_runs_destroys_the_loop),
		ON_ALL(test_release_callback_stays),
		ON_ALL(test_loop_destroy_detaches),
		ON_ALL(test_default_loop),
		ON_ALL(test_many_attachments_leave_nothing),
		ON_ALL(test_made_in_one_thread_and_run_in_another),
		cmocka_unit_test(test_without_io_uring),
	};
	return RUN_BOUNDED(tests, 60);
}
