/* SPDX-License-Identifier: MIT */
/* examples/glib: late doorbells, forked children, and callbacks that close the source. */
#include "glib_loop.h"

/* What a test does when the context has prepared and is about to poll. */
static void (*before_poll)(void);

static int hooked_poll(GPollFD *entries, unsigned count, int timeout)
{
	void (*hook)(void) = before_poll;
	before_poll = NULL;
	if (hook)
		hook();
	return g_poll(entries, count, timeout);
}

static struct counted early;

/* The message runs before its doorbell is seen, as if the doorbell were late. */
static void run_early(void)
{
	assert_true(ringwake_is_armed(target));
	assert_int_equal(ringwake_send(target, &early.msg), 0);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
}

static void test_late_doorbell(void **state)
{
	(void)state;
	open_all();
	g_main_context_set_poll_func(context, hooked_poll);
	early = (struct counted){.msg.fn = count_message};
	before_poll = run_early;
	g_main_context_iteration(context, TRUE);
	assert_int_equal(stats_of(target).doorbells, 1);
	assert_blocks();
	close_all();
}

static pid_t child;

/* The doorbell is pending. The child continues and consumes nothing. */
static void fork_rung(void)
{
	early = (struct counted){.msg.fn = count_message};
	assert_int_equal(ringwake_send(target, &early.msg), 0);
	child = fork();
	if (child != 0) {
		assert_child_succeeds(child);
		assert_true(is_readable(ringwake_fd(target), PATIENCE_SECONDS * 1000));
	}
}

static int child_iterates(void)
{
	for (int i = 0; i < 5; i++)
		g_main_context_iteration(context, FALSE);
	CHILD_EXPECT(early.count == 0);
	CHILD_EXPECT(ringwake_send(target, &early.msg) == -EOWNERDEAD);
	wake_source_close(source);
	return 0;
}

static void test_child_takes_nothing(void **state)
{
	(void)state;
	open_all();
	g_main_context_set_poll_func(context, hooked_poll);
	before_poll = fork_rung;
	g_main_context_iteration(context, TRUE);
	if (child == 0)
		_exit(child_iterates());
	run_until(&early.count, 1);
	assert_blocks();
	close_all();
}

static int child_receives(void)
{
	start_senders(target, 1000);
	while (running_senders > 0)
		g_main_context_iteration(context, TRUE);
	for (int i = 0; i < SENDERS; i++) {
		CHILD_EXPECT(pthread_join(senders[i].thread, NULL) == 0);
		CHILD_EXPECT(senders[i].expected == senders[i].limit);
	}
	wake_source_close(source);
	g_main_context_unref(context);
	return 0;
}

static int child_reopens(void)
{
	CHILD_EXPECT(ringwake_is_inherited(target));
	CHILD_EXPECT(wake_source_reopen(source) == 0);
	target = wake_source_target(source);
	CHILD_EXPECT(!ringwake_is_inherited(target));
	return child_receives();
}

static int child_opens_another(void)
{
	wake_source_close(source);
	context = g_main_context_new();
	CHILD_EXPECT(open_source() == 0);
	return child_receives();
}

static void check_child(int (*run)(void))
{
	struct counted message = {.msg.fn = count_message};
	open_all();
	g_main_context_iteration(context, FALSE);
	ringwake_send(target, &message.msg); /* the parent's to deliver */
	child = fork();
	if (child == 0)
		_exit(run());
	assert_child_succeeds(child);
	run_until(&message.count, 1);
	receive_all(1000);
	assert_blocks();
	close_all();
}

static void test_child_reopens(void **state)
{
	(void)state;
	check_child(child_reopens);
}

static void test_child_opens_another(void **state)
{
	(void)state;
	check_child(child_opens_another);
}

/* A callback closes; the messages behind it run, and the context has one source less. */
static void close_source(struct ringwake_msg *msg)
{
	count_message(msg);
	wake_source_close(source);
}

static void test_close_in_a_callback(void **state)
{
	(void)state;
	struct counted closing = {.msg.fn = close_source}, behind = {.msg.fn = count_message};
	open_all();
	ringwake_send(target, &closing.msg);
	ringwake_send(target, &behind.msg);
	run_until(&closing.count, 1);
	assert_int_equal(behind.count, 1);
	assert_false(g_main_context_iteration(context, FALSE));
	g_main_context_unref(context);
}

static void close_nested(struct ringwake_msg *msg)
{
	struct counted closing = {.msg.fn = close_source};
	ringwake_send(target, &closing.msg);
	run_until(&closing.count, 1);
	count_message(msg);
}

static void test_close_in_a_nested_run(void **state)
{
	(void)state;
	struct counted outer = {.msg.fn = close_nested};
	open_all();
	ringwake_send(target, &outer.msg);
	run_until(&outer.count, 1);
	assert_false(g_main_context_iteration(context, FALSE));
	g_main_context_unref(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_late_doorbell),
		ON_BOTH_PATHS(test_child_takes_nothing),
		ON_BOTH_PATHS(test_child_reopens),
		ON_BOTH_PATHS(test_child_opens_another),
		ON_BOTH_PATHS(test_close_in_a_callback),
		ON_BOTH_PATHS(test_close_in_a_nested_run),
	};
	return RUN_BOUNDED(tests, 120);
}
