/* SPDX-License-Identifier: MIT */
/*
 * examples/sd-event: each message ends the loop's wait and runs, whatever other sources do. Each
 * test runs level-triggered, as in the example, and edge-triggered. The alarm of run_bounded() ends
 * a test that hangs.
 */
#include "sd_event_loop.h"

/* Another source, which sends a message when it is prepared or dispatched. */
struct other {
	sd_event_source *source;
	struct counted message;
	unsigned sent, limit, dispatched;
};

/* One message at a time: the loop blocks until it has run. */
static bool may_send(const struct other *other)
{
	return other->sent < other->limit && other->sent == other->message.count;
}

static void send_one(struct other *other)
{
	if (!may_send(other))
		return;
	other->sent++;
	assert_int_equal(ringwake_send(target, &other->message.msg), 0);
}

static int on_prepare(sd_event_source *source, void *other)
{
	(void)source;
	send_one(other);
	return 0;
}

static int on_other(sd_event_source *source, void *argument)
{
	struct other *other = argument;
	other->dispatched++;
	send_one(other);
	if (other->sent == other->limit)
		sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

static const int priorities[] = {-1, 0, 1};

static void start_other(struct other *other, unsigned limit, int priority)
{
	*other = (struct other){.message.msg.fn = count_message, .limit = limit};
	assert_int_equal(sd_event_add_defer(event, &other->source, on_other, other), 0);
	assert_true(sd_event_source_set_priority(other->source, priority) >= 0);
	sd_event_source_set_enabled(other->source, SD_EVENT_OFF);
}

static void stop_other(struct other *other)
{
	sd_event_source_disable_unref(other->source);
}

/* A source that is pending in each iteration. */
struct busy {
	sd_event_source *source;
	int pipe[2];
	unsigned dispatched;
};

static int on_busy(sd_event_source *source, int fd, uint32_t events, void *busy)
{
	(void)source;
	(void)fd;
	(void)events;
	((struct busy *)busy)->dispatched++;
	return 0;
}

static void start_busy(struct busy *busy)
{
	busy->dispatched = 0;
	assert_int_equal(pipe(busy->pipe), 0);
	assert_int_equal(write(busy->pipe[1], "a", 1), 1);
	assert_true(
		sd_event_add_io(event, &busy->source, busy->pipe[0], EPOLLIN, on_busy, busy) >= 0);
}

static void stop_busy(struct busy *busy)
{
	sd_event_source_disable_unref(busy->source);
	close(busy->pipe[0]);
	close(busy->pipe[1]);
}

static void test_senders(void **state)
{
	(void)state;
	open_all();
	receive_all(MESSAGES);
	assert_blocks();
	close_all();
}

static void test_senders_and_a_busy_source(void **state)
{
	(void)state;
	struct busy busy;
	open_all();
	start_busy(&busy);
	receive_all(MESSAGES / 10);
	assert_true(busy.dispatched > 0);
	stop_busy(&busy);
	assert_blocks();
	close_all();
}

/* An event source that cannot become pending is prepared as well. */
static int on_nothing(sd_event_source *source, int fd, uint32_t events, void *other)
{
	(void)source;
	(void)fd;
	(void)events;
	(void)other;
	return 0;
}

/* Before and after the target's own prepare. */
static void test_sends_from_prepare(void **state)
{
	(void)state;
	int pipes[2];
	open_all();
	assert_int_equal(pipe(pipes), 0);
	for (int i = 0; i < 3; i++) {
		struct other other = {.message.msg.fn = count_message, .limit = 100};
		assert_true(sd_event_add_io(event, &other.source, pipes[0], EPOLLIN, on_nothing,
				    &other) >= 0);
		sd_event_source_set_priority(other.source, priorities[i]);
		sd_event_source_set_prepare(other.source, on_prepare);
		run_until(&other.message.count, 100);
		stop_other(&other);
		assert_blocks();
	}
	close(pipes[0]);
	close(pipes[1]);
	close_all();
}

static void test_sends_from_dispatch(void **state)
{
	(void)state;
	open_all();
	for (int i = 0; i < 3; i++) {
		struct other other;
		start_other(&other, 100, priorities[i]);
		for (unsigned sent = 1; sent <= 100; sent++) {
			sd_event_source_set_enabled(other.source, SD_EVENT_ONESHOT);
			run_until(&other.message.count, sent);
		}
		stop_other(&other);
		assert_blocks();
	}
	close_all();
}

static void test_sends_from_a_post_source(void **state)
{
	(void)state;
	struct other other = {.message.msg.fn = count_message, .limit = 100};
	open_all();
	assert_true(sd_event_add_post(event, &other.source, on_other, &other) >= 0);
	ringwake_wake(target);
	run_until(&other.message.count, 100);
	stop_other(&other);
	assert_blocks();
	close_all();
}

/* sd-event dispatches the other source first. */
static void test_source_of_higher_priority(void **state)
{
	(void)state;
	struct other other;
	struct counted message = {.msg.fn = count_message};
	open_all();
	start_other(&other, 0, -1);
	for (unsigned i = 1; i <= 100; i++) {
		struct late late;
		sd_event_source_set_enabled(other.source, SD_EVENT_ON);
		start_late(&late, target, &message.msg);
		for (int round = 0; round < 5; round++) {
			iterate();
			sd_event_source_set_enabled(other.source, SD_EVENT_ON);
		}
		sd_event_source_set_enabled(other.source, SD_EVENT_OFF);
		run_until(&message.count, i);
		join(late.thread);
	}
	assert_true(other.dispatched >= 100);
	stop_other(&other);
	assert_blocks();
	close_all();
}

/* Callbacks send messages: no doorbell is needed, and the loop does not block while they are
 * queued. */
static unsigned left;
static void send_again(struct ringwake_msg *msg)
{
	if (--left > 0)
		ringwake_send(target, msg);
}

static void test_sends_from_messages(void **state)
{
	(void)state;
	struct ringwake_msg message = {.fn = send_again};
	open_all();
	left = 10000;
	ringwake_send(target, &message);
	while (left > 0)
		iterate();
	assert_int_equal(stats_of(target).doorbells, 0);
	assert_blocks();
	close_all();
}

static int nested_error;
static void run_nested(struct ringwake_msg *msg)
{
	nested_error = sd_event_run(event, 0);
	count_message(msg);
}

static void test_nested_runs_are_refused(void **state)
{
	(void)state;
	struct counted message = {.msg.fn = run_nested}, behind = {.msg.fn = count_message};
	open_all();
	ringwake_send(target, &message.msg);
	ringwake_send(target, &behind.msg);
	run_until(&behind.count, 1);
	assert_int_equal(message.count, 1);
	assert_int_equal(nested_error, -EBUSY);
	assert_blocks();
	close_all();
}

/* Other sources of the same priority run between the batches of a flood. */
static void test_flood(void **state)
{
	(void)state;
	enum { FLOOD = 10240, BATCH = 256 };
	static struct counted messages[FLOOD];
	struct busy busy;
	open_all();
	start_busy(&busy);
	for (int i = 0; i < FLOOD; i++) {
		messages[i] = (struct counted){.msg.fn = count_message};
		ringwake_send(target, &messages[i].msg);
	}
	run_until(&messages[FLOOD - 1].count, 1);
	assert_true(busy.dispatched >= FLOOD / BATCH - 1);
	assert_true(busy.dispatched <= 3 * FLOOD / BATCH);
	stop_busy(&busy);
	assert_blocks();
	close_all();
}

static void test_wake(void **state)
{
	(void)state;
	open_all();
	ringwake_wake(target);
	iterate();
	assert_blocks();
	close_all();
}

/* The message runs before its doorbell is seen, as if the doorbell were late. */
static void test_late_doorbell(void **state)
{
	(void)state;
	struct counted message = {.msg.fn = count_message};
	open_all();
	for (unsigned i = 1; i <= 100; i++) {
		assert_int_equal(sd_event_prepare(event), 0);
		assert_true(ringwake_is_armed(target));
		assert_int_equal(ringwake_send(target, &message.msg), 0);
		assert_int_equal(ringwake_dispatch(target, 0), 1);
		assert_int_equal(sd_event_wait(event, UINT64_MAX), 1);
		assert_true(sd_event_dispatch(event) > 0);
		assert_int_equal(message.count, i);
		assert_blocks();
	}
	close_all();
}

/* Another loop waits for this one's descriptor. */
static void test_inside_another_loop(void **state)
{
	(void)state;
	struct counted message = {.msg.fn = count_message};
	open_all();
	for (unsigned i = 1; i <= 100; i++) {
		struct late late;
		start_late(&late, target, &message.msg);
		while (message.count < i) {
			int ready = sd_event_prepare(event);
			if (ready == 0 && is_readable(sd_event_get_fd(event), -1))
				ready = sd_event_wait(event, 0);
			if (ready > 0)
				assert_true(sd_event_dispatch(event) > 0);
		}
		join(late.thread);
	}
	assert_blocks();
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL_WAYS(test_senders),
		IN_ALL_WAYS(test_senders_and_a_busy_source),
		IN_ALL_WAYS(test_sends_from_prepare),
		IN_ALL_WAYS(test_sends_from_dispatch),
		IN_ALL_WAYS(test_sends_from_a_post_source),
		IN_ALL_WAYS(test_source_of_higher_priority),
		IN_ALL_WAYS(test_sends_from_messages),
		IN_ALL_WAYS(test_nested_runs_are_refused),
		IN_ALL_WAYS(test_flood),
		IN_ALL_WAYS(test_wake),
		IN_ALL_WAYS(test_late_doorbell),
		IN_ALL_WAYS(test_inside_another_loop),
	};
	return RUN_BOUNDED(tests, 120);
}
