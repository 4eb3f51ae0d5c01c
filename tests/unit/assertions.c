/* SPDX-License-Identifier: MIT */
/* Each rule that a debug build checks: a child that breaks it prints the rule and aborts. */
#include <ringwake/channel.h>
#include <ringwake/pool.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "../../lib/target.h"
#include "../common.h"

struct child {
	pid_t id;
	int output;
};

static struct child start_child(void (*function)(void))
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	struct child child = {.id = fork(), .output = ends[0]};
	if (child.id == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		function();
		_exit(0);
	}
	close(ends[1]);
	return child;
}

static char said[1024];

/* Returns what the child prints before it aborts, or "". */
static const char *abort_message_of(struct child child)
{
	int status;
	size_t length = 0;
	ssize_t count;
	while ((count = read(child.output, said + length, sizeof said - 1 - length)) > 0)
		length += (size_t)count;
	said[length] = '\0';
	close(child.output);
	assert_int_equal(waitpid(child.id, &status, 0), child.id);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? said : "";
}

static const char *abort_message(void (*breaks_rule)(void))
{
	return abort_message_of(start_child(breaks_rule));
}

#define assert_breaks(function, rule) assert_non_null(strstr(abort_message(function), rule))

/* Skips the test if the path is not available, because a child cannot skip it. */
static void need_path(void)
{
	ringwake_close(open_target(NULL));
}

static struct counted message = {.msg.fn = count_message};
static struct ringwake *target;

static void open_in_child(void)
{
	struct ringwake_params params = {.path = test_path};
	if (ringwake_open(&target, NULL, &params) != 0)
		_exit(1);
}

static void send_twice(void)
{
	open_in_child();
	ringwake_send(target, &message.msg);
	ringwake_send(target, &message.msg);
}

static void send_event_message(void)
{
	struct ringwake_event event;
	open_in_child();
	ringwake_event_init(&event, target, NULL);
	ringwake_event_send(&event);
	ringwake_send(target, &event.msg);
}

static void test_queued_message(void **state)
{
	(void)state;
	need_path();
	assert_breaks(send_twice, "sent again before its callback has started");
	assert_breaks(send_event_message, "sent again before its callback has started");
}

static void clear_callback(void)
{
	open_in_child();
	ringwake_send(target, &message.msg);
	message.msg.fn = NULL;
	ringwake_dispatch(target, 0);
}

static void test_callback_is_null(void **state)
{
	(void)state;
	need_path();
	assert_breaks(clear_callback, "the callback of a queued message is NULL");
}

static void drop_too_often(void)
{
	open_in_child();
	ringwake_close(target);
	ringwake_unref(target);
}

static void reference_too_late(void)
{
	open_in_child();
	ringwake_close(target);
	ringwake_ref(target);
}

static void send_too_late(void)
{
	open_in_child();
	ringwake_close(target);
	ringwake_send(target, &message.msg);
}

static void close_twice(void)
{
	open_in_child();
	ringwake_ref(target);
	ringwake_close(target);
	ringwake_close(target);
}

static void test_target_that_is_gone(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("the sanitizer itself reports a use after free\n");
	skip();
#endif
	need_path();
	assert_breaks(drop_too_often, "after its last reference was dropped");
	assert_breaks(reference_too_late, "after its last reference was dropped");
	assert_breaks(send_too_late, "after its last reference was dropped");
	assert_breaks(close_twice, "closed twice");
}

static void count_wrong(void)
{
	open_in_child();
	ringwake_arm(target);
	target->calls_expected -= 2;
	ringwake_disarm(target);
}

static void test_sums(void **state)
{
	(void)state;
	need_path();
	assert_breaks(count_wrong, "more doorbells have ended than were begun");
}

static struct ringwake_event event;

static void *close_event(void *unused)
{
	ringwake_event_close(&event);
	return unused;
}

static void *dispatch(void *unused)
{
	ringwake_dispatch(target, 0);
	return unused;
}

static void *arm(void *unused)
{
	ringwake_arm(target);
	return unused;
}

static void *disarm(void *unused)
{
	ringwake_disarm(target);
	return unused;
}

static void *wait_for_message(void *unused)
{
	ringwake_wait(target, -1);
	return unused;
}

static void *close_target(void *unused)
{
	ringwake_close(target);
	return unused;
}

static void *(*foreign)(void *unused);

static void *use_target_in_use(void *unused)
{
	while (atomic_load(&target->debug.thread) == 0)
		sched_yield();
	return foreign(unused);
}

static void use_beside_wait(void)
{
	open_in_child();
	ringwake_event_init(&event, target, NULL);
	start(use_target_in_use, NULL);
	ringwake_wait(target, -1);
}

static void use_beside_armed_loop(void)
{
	open_in_child();
	ringwake_event_init(&event, target, NULL);
	ringwake_arm(target);
	join(start(foreign, NULL));
}

static void test_another_thread(void **state)
{
	(void)state;
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer itself reports this as a race\n");
	skip();
#endif
	need_path();
	static const struct {
		void *(*function)(void *unused);
		const char *rule;
		bool moves_loop; /* so it is allowed while the loop is armed */
	} uses[] = {
		{close_event, "ringwake_event_close() is for the loop's thread", false},
		{dispatch, "ringwake_dispatch() is for the loop's thread", false},
		{arm, "ringwake_arm() is for the loop's thread", true},
		{disarm, "ringwake_disarm() is for the loop's thread", true},
		{wait_for_message, "ringwake_wait() is for the loop's thread", false},
		{close_target, "ringwake_close() is for the loop's thread", false},
	};
	/* All run at the same time, because each looks for a second whether the other thread ends.
	 */
	enum { COUNT = sizeof uses / sizeof *uses };
	struct child waits[COUNT], armed[COUNT] = {0};
	for (size_t i = 0; i < COUNT; i++) {
		foreign = uses[i].function;
		waits[i] = start_child(use_beside_wait);
		if (!uses[i].moves_loop)
			armed[i] = start_child(use_beside_armed_loop);
	}
	for (size_t i = 0; i < COUNT; i++) {
		assert_non_null(strstr(abort_message_of(waits[i]), uses[i].rule));
		if (!uses[i].moves_loop)
			assert_non_null(strstr(abort_message_of(armed[i]), uses[i].rule));
	}
}

/* These calls look similar and are allowed. */
static void keep_rules(void)
{
	open_in_child();
	ringwake_event_init(&event, target, NULL);
	join(start(arm, NULL)); /* the thread ends, and another thread runs the loop */
	ringwake_disarm(target);
	for (int i = 0; i < 3; i++) {
		ringwake_send(target, &message.msg);
		join(start(dispatch, NULL));
	}
	foreign = disarm; /* opened here, used in the other thread */
	ringwake_arm(target);
	join(start(foreign, NULL));
	ringwake_ref(target);
	ringwake_close(target);
	if (ringwake_send(target, &message.msg) != -ECANCELED ||
		ringwake_send(target, &message.msg) != -ECANCELED)
		abort();
	ringwake_unref(target);
}

static void test_rules_that_are_kept(void **state)
{
	(void)state;
	need_path();
	assert_string_equal(abort_message(keep_rules), "");
}

static void test_missing_callback(void **state)
{
	(void)state;
	need_path();
	struct ringwake_msg without = {0};
	struct ringwake *opened = open_target(NULL);
	assert_int_equal(ringwake_send(opened, &without), -EINVAL);
	ringwake_event_init(&event, opened, NULL);
	assert_int_equal(ringwake_event_close_async(&event, NULL), -EINVAL);
	assert_int_equal(ringwake_event_close(&event), 0);
	assert_int_equal(ringwake_wait(opened, 0), -ETIME);
	ringwake_close(opened);
}

static struct ringwake_pool *pool;
static struct ringwake_work work;

static void run_nothing(struct ringwake_work *ran)
{
	(void)ran;
}

static void done_nothing(struct ringwake_work *finished, int status)
{
	(void)finished;
	(void)status;
}

static void submit_twice(void)
{
	open_in_child();
	if (ringwake_pool_open(&pool, 1) != 0)
		return;
	for (int i = 0; i < 2; i++)
		ringwake_pool_submit(pool, target, &work, run_nothing, done_nothing);
}

static void done_with_batch(struct ringwake_batch *batch)
{
	(void)batch;
}

static void submit_batch_twice(void)
{
	static struct ringwake_batch batch;
	open_in_child();
	if (ringwake_pool_open(&pool, 1) != 0)
		return;
	for (int i = 0; i < 2; i++)
		ringwake_pool_submit_batch(
			pool, target, &batch, NULL, 0, run_nothing, done_with_batch, NULL);
}

static void submit_after_done(void)
{
	open_in_child();
	if (ringwake_pool_open(&pool, 1) != 0)
		abort();
	for (int i = 0; i < 3; i++) {
		ringwake_pool_submit(pool, target, &work, run_nothing, done_nothing);
		while (ringwake_wait(target, -1) != 1)
			;
	}
}

static void test_work(void **state)
{
	(void)state;
	need_path();
	assert_breaks(submit_twice, "work is submitted again before its done was called");
	assert_breaks(submit_batch_twice, "a batch is submitted again before its done was called");
	assert_string_equal(abort_message(submit_after_done), "");
	struct ringwake *opened = open_target(NULL);
	assert_int_equal(ringwake_pool_open(&pool, 1), 0);
	assert_int_equal(ringwake_pool_submit(pool, opened, &work, NULL, done_nothing), -EINVAL);
	assert_int_equal(ringwake_pool_submit(pool, opened, &work, run_nothing, NULL), -EINVAL);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(opened);
}

static void receive_nothing(void *context, void *item, int status)
{
	(void)context;
	(void)item;
	(void)status;
}

static void release_twice(void)
{
	struct ringwake_channel *channel;
	struct ringwake_channel_params params = {
		.item_size = 1, .capacity = 1, .receive = receive_nothing};
	open_in_child();
	if (ringwake_channel_open(&channel, target, &params) != 0)
		return;
	ringwake_channel_release(channel);
	ringwake_channel_release(channel);
}

static void test_channel(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("the sanitizer itself reports a use after free\n");
	skip();
#endif
	need_path();
	assert_breaks(release_twice, "released more often than it was acquired");
}

int main(void)
{
	const struct CMUnitTest assertion_tests[] = {
		ON_BOTH_PATHS(test_queued_message),
		ON_BOTH_PATHS(test_callback_is_null),
		ON_BOTH_PATHS(test_target_that_is_gone),
		ON_BOTH_PATHS(test_sums),
		ON_BOTH_PATHS(test_another_thread),
		ON_BOTH_PATHS(test_rules_that_are_kept),
		ON_BOTH_PATHS(test_missing_callback),
		ON_BOTH_PATHS(test_work),
		ON_BOTH_PATHS(test_channel),
	};
	return RUN_BOUNDED(assertion_tests, 120);
}
