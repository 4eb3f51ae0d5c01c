/* SPDX-License-Identifier: MIT */
/*
 * examples/glib: each message ends the context's poll and runs, whatever other sources and nested
 * runs do. The alarm of run_bounded() ends a test that hangs.
 */
#include "glib_loop.h"

/* Another source, which sends a message at one step of each iteration. */
enum step { PREPARE, CHECK, DISPATCH };
struct other {
	GSource source;
	enum step step;
	struct counted message;
	unsigned sent, limit, dispatched;
	gboolean is_ready;
};

/* One message at a time: the context blocks until it has run. */
static bool may_send(const struct other *other)
{
	return other->sent < other->limit && other->sent == other->message.count;
}

static void step(GSource *base, enum step now)
{
	struct other *other = (struct other *)base;
	if (other->step != now || !may_send(other))
		return;
	other->sent++;
	assert_int_equal(ringwake_send(target, &other->message.msg), 0);
}

static gboolean other_prepare(GSource *base, int *timeout)
{
	struct other *other = (struct other *)base;
	/* For check to send, the poll must end without the target's doorbell. */
	*timeout = other->step == CHECK && may_send(other) ? 0 : -1;
	step(base, PREPARE);
	return other->is_ready || (other->step == DISPATCH && may_send(other));
}

static gboolean other_check(GSource *base)
{
	step(base, CHECK);
	return ((struct other *)base)->is_ready;
}

static gboolean other_dispatch(GSource *base, GSourceFunc callback, gpointer data)
{
	(void)callback;
	(void)data;
	((struct other *)base)->dispatched++;
	step(base, DISPATCH);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs other_functions = {
	.prepare = other_prepare, .check = other_check, .dispatch = other_dispatch};

static struct other *add_other(enum step at, unsigned limit, int priority)
{
	struct other *other = (struct other *)g_source_new(&other_functions, sizeof *other);
	other->step = at;
	other->limit = limit;
	other->message = (struct counted){.msg.fn = count_message};
	g_source_set_priority(&other->source, priority);
	g_source_attach(&other->source, context);
	return other;
}

static void remove_other(struct other *other)
{
	g_source_destroy(&other->source);
	g_source_unref(&other->source);
}

static void test_senders(void **state)
{
	(void)state;
	open_all();
	receive_all(MESSAGES);
	assert_blocks();
	close_all();
}

static gboolean on_idle(gpointer count)
{
	++*(unsigned *)count;
	return G_SOURCE_CONTINUE;
}

static void test_senders_and_an_idle_source(void **state)
{
	(void)state;
	unsigned idles = 0;
	open_all();
	GSource *idle = g_idle_source_new();
	g_source_set_callback(idle, on_idle, &idles, NULL);
	g_source_set_priority(idle, G_PRIORITY_DEFAULT);
	g_source_attach(idle, context);
	receive_all(MESSAGES / 10);
	g_source_destroy(idle);
	g_source_unref(idle);
	assert_true(idles > 0);
	assert_blocks();
	close_all();
}

static const int priorities[] = {G_PRIORITY_HIGH, G_PRIORITY_DEFAULT, G_PRIORITY_LOW};

/* Before and after the target's own prepare. */
static void test_sends_from_prepare(void **state)
{
	(void)state;
	open_all();
	for (int i = 0; i < 3; i++) {
		struct other *other = add_other(PREPARE, 100, priorities[i]);
		run_until(&other->message.count, 100);
		remove_other(other);
		assert_blocks();
	}
	close_all();
}

static void test_sends_from_check(void **state)
{
	(void)state;
	open_all();
	for (int i = 0; i < 3; i++) {
		struct other *other = add_other(CHECK, 100, priorities[i]);
		run_until(&other->message.count, 100);
		remove_other(other);
		assert_blocks();
	}
	close_all();
}

static void test_sends_from_dispatch(void **state)
{
	(void)state;
	open_all();
	for (int i = 0; i < 3; i++) {
		struct other *other = add_other(DISPATCH, 100, priorities[i]);
		run_until(&other->message.count, 100);
		remove_other(other);
		assert_blocks();
	}
	close_all();
}

/* check has disarmed: a send to an awake loop makes no system call. */
static void test_no_doorbell_while_dispatching(void **state)
{
	(void)state;
	open_all();
	struct other *other = add_other(DISPATCH, 100, G_PRIORITY_DEFAULT);
	run_until(&other->message.count, 100);
	assert_int_equal(stats_of(target).doorbells, 0);
	remove_other(other);
	close_all();
}

/* GLib then skips the target's prepare and check. */
static void test_source_of_higher_priority(void **state)
{
	(void)state;
	open_all();
	struct other *other = add_other(DISPATCH, 0, G_PRIORITY_HIGH);
	struct counted message = {.msg.fn = count_message};
	for (unsigned i = 1; i <= 100; i++) {
		other->is_ready = i % 2 == 0; /* armed in the one, left out in the other */
		struct late late;
		start_late(&late, target, &message.msg);
		if (other->is_ready)
			for (int round = 0; round < 5; round++)
				g_main_context_iteration(context, FALSE);
		other->is_ready = FALSE;
		run_until(&message.count, i);
		join(late.thread);
	}
	assert_true(other->dispatched > 0);
	remove_other(other);
	assert_blocks();
	close_all();
}

/* GLib skips check after prepare has armed: the poll made a source of a higher priority ready. */
static gboolean ready_in_check(GSource *base)
{
	return ((struct other *)base)->is_ready;
}

static gboolean never_in_prepare(GSource *base, int *timeout)
{
	(void)base;
	*timeout = 0;
	return FALSE;
}

static void test_stays_armed(void **state)
{
	(void)state;
	GSourceFuncs functions = other_functions;
	functions.prepare = never_in_prepare;
	functions.check = ready_in_check;
	open_all();
	struct other *other = (struct other *)g_source_new(&functions, sizeof *other);
	struct counted message = {.msg.fn = count_message};
	other->step = DISPATCH;
	g_source_set_priority(&other->source, G_PRIORITY_HIGH);
	g_source_attach(&other->source, context);
	for (unsigned i = 1; i <= 100; i++) {
		other->is_ready = TRUE;
		g_main_context_iteration(context, TRUE);
		assert_true(ringwake_is_armed(target));
		assert_int_equal(ringwake_send(target, &message.msg), 0);
		if (i % 2)
			g_main_context_iteration(context, TRUE);
		other->is_ready = FALSE;
		run_until(&message.count, i);
	}
	assert_int_equal(stats_of(target).doorbells, 100);
	remove_other(other);
	assert_blocks();
	close_all();
}

/* A callback that runs the context until the next message of its row has been received. */
struct row {
	struct counted messages[8];
	struct late late[8];
	unsigned begun;
};
static struct row row;

static void on_nested(struct ringwake_msg *msg)
{
	unsigned own = (unsigned)((struct counted *)msg - row.messages), next = own + 1;
	row.begun++;
	if (next < 8) {
		start_late(&row.late[next], target, &row.messages[next].msg);
		run_until(&row.messages[next].count, 1);
		join(row.late[next].thread);
	}
	row.messages[own].count++;
}

static void prepare_row(void)
{
	row = (struct row){.begun = 0};
	for (int i = 0; i < 8; i++)
		row.messages[i].msg.fn = on_nested;
}

static void test_nested_in_a_message(void **state)
{
	(void)state;
	open_all();
	for (int i = 0; i < 50; i++) {
		struct counted behind = {.msg.fn = count_message};
		prepare_row();
		ringwake_send(target, &row.messages[0].msg);
		ringwake_send(target, &behind.msg);
		run_until(&row.messages[0].count, 1);
		run_until(&behind.count, 1);
		assert_int_equal(row.begun, 8);
		assert_blocks();
	}
	close_all();
}

static gboolean run_nested(gpointer done)
{
	ringwake_send(target, &row.messages[0].msg);
	run_until(&row.messages[0].count, 1);
	++*(unsigned *)done;
	return G_SOURCE_REMOVE;
}

static void test_nested_in_another_source(void **state)
{
	(void)state;
	open_all();
	for (int i = 0; i < 3; i++) {
		unsigned done = 0;
		struct counted pending = {.msg.fn = count_message};
		GSource *idle = g_idle_source_new();
		g_source_set_callback(idle, run_nested, &done, NULL);
		g_source_set_priority(idle, priorities[i]);
		g_source_attach(idle, context);
		prepare_row();
		ringwake_send(target, &pending.msg); /* both sources are ready at once */
		run_until(&done, 1);
		run_until(&pending.count, 1);
		g_source_unref(idle);
		assert_blocks();
	}
	close_all();
}

/* Other sources of the same priority run between the batches of a flood. */
static void test_flood(void **state)
{
	(void)state;
	enum { FLOOD = 10240, BATCH = 256 };
	static struct counted messages[FLOOD];
	open_all();
	struct other *other = add_other(DISPATCH, 0, G_PRIORITY_DEFAULT);
	other->is_ready = TRUE;
	for (int i = 0; i < FLOOD; i++) {
		messages[i] = (struct counted){.msg.fn = count_message};
		ringwake_send(target, &messages[i].msg);
	}
	run_until(&messages[FLOOD - 1].count, 1);
	assert_true(other->dispatched >= FLOOD / BATCH - 1);
	remove_other(other);
	assert_blocks();
	close_all();
}

static void test_wake(void **state)
{
	(void)state;
	open_all();
	ringwake_wake(target);
	g_main_context_iteration(context, TRUE);
	assert_blocks();
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_senders),
		ON_BOTH_PATHS(test_senders_and_an_idle_source),
		ON_BOTH_PATHS(test_sends_from_prepare),
		ON_BOTH_PATHS(test_sends_from_check),
		ON_BOTH_PATHS(test_sends_from_dispatch),
		ON_BOTH_PATHS(test_no_doorbell_while_dispatching),
		ON_BOTH_PATHS(test_source_of_higher_priority),
		ON_BOTH_PATHS(test_stays_armed),
		ON_BOTH_PATHS(test_nested_in_a_message),
		ON_BOTH_PATHS(test_nested_in_another_source),
		ON_BOTH_PATHS(test_flood),
		ON_BOTH_PATHS(test_wake),
	};
	return RUN_BOUNDED(tests, 120);
}
