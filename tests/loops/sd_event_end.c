/* SPDX-License-Identifier: MIT */
/* examples/sd-event: loops that exit, callbacks that close, and forked children. */
#include "sd_event_loop.h"

static void exit_loop(struct ringwake_msg *msg)
{
	count_message(msg);
	sd_event_exit(event, 7);
}

static int close_at_exit(sd_event_source *source, void *closed)
{
	(void)source;
	wake_event_close(&wake);
	++*(unsigned *)closed;
	return 0;
}

static int send_at_exit(sd_event_source *source, void *message)
{
	(void)source;
	assert_int_equal(ringwake_send(target, message), 0);
	return 0;
}

static void test_exit_delivers_all(void **state)
{
	(void)state;
	struct counted last = {.msg.fn = exit_loop}, late = {.msg.fn = count_message};
	sd_event_source *source;
	unsigned closed = 0;
	open_all();
	assert_true(sd_event_add_exit(event, NULL, close_at_exit, &closed) >= 0);
	assert_true(sd_event_add_exit(event, &source, send_at_exit, &late) >= 0);
	sd_event_source_set_priority(source, -1);
	ringwake_send(target, &last.msg);
	assert_int_equal(sd_event_loop(event), 7);
	assert_int_equal(closed, 1);
	assert_int_equal(last.count, 1);
	assert_int_equal(late.count, 1);
	sd_event_source_unref(source);
	sd_event_unref(event);
}

static void close_here(struct ringwake_msg *msg)
{
	count_message(msg);
	wake_event_close(&wake);
}

static void test_close_in_a_callback(void **state)
{
	(void)state;
	struct counted closing = {.msg.fn = close_here}, behind = {.msg.fn = count_message};
	open_all();
	ringwake_send(target, &closing.msg);
	ringwake_send(target, &behind.msg);
	run_until(&closing.count, 1);
	assert_int_equal(behind.count, 1);
	assert_int_equal(sd_event_run(event, 0), 0);
	sd_event_unref(event);
}

static int child_opens_another(void)
{
	CHILD_EXPECT(sd_event_run(event, 0) == -ECHILD);
	CHILD_EXPECT(ringwake_is_inherited(target));
	wake_event_close(&wake);
	sd_event_unref(event);
	CHILD_EXPECT(open_loop() >= 0);
	start_senders(target, 1000);
	while (running_senders > 0)
		CHILD_EXPECT(sd_event_run(event, UINT64_MAX) >= 0);
	for (int i = 0; i < SENDERS; i++) {
		CHILD_EXPECT(pthread_join(senders[i].thread, NULL) == 0);
		CHILD_EXPECT(senders[i].expected == senders[i].limit);
	}
	wake_event_close(&wake);
	sd_event_unref(event);
	return 0;
}

/* The loop is armed and notified: the child consumes nothing. */
static void test_fork(void **state)
{
	(void)state;
	struct counted message = {.msg.fn = count_message};
	open_all();
	assert_int_equal(sd_event_prepare(event), 0);
	ringwake_send(target, &message.msg);
	pid_t child = fork();
	if (child == 0)
		_exit(child_opens_another());
	assert_child_succeeds(child);
	assert_int_equal(sd_event_wait(event, UINT64_MAX), 1);
	assert_true(sd_event_dispatch(event) > 0);
	assert_int_equal(message.count, 1);
	receive_all(1000);
	assert_blocks();
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL_WAYS(test_exit_delivers_all),
		IN_ALL_WAYS(test_close_in_a_callback),
		IN_ALL_WAYS(test_fork),
	};
	return RUN_BOUNDED(tests, 120);
}
