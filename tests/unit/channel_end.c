/* SPDX-License-Identifier: MIT */
/* Channels: the target is closed first, or a sender is stopped in the middle of a send. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "channel.h"

static void test_target_closed_while_idle(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 4);
	ringwake_close(consumer.target); /* the channel holds its own reference */
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(try_number(&consumer, i), -ECANCELED);
	assert_int_equal(ringwake_channel_acquire(consumer.channel), -ECANCELED);
	assert_int_equal(ringwake_channel_release(consumer.channel), 0);
	assert_int_equal(consumer.finalized, 1); /* it need not wait for a loop */
	assert_int_equal(consumer.received + consumer.aborted, 0);
	assert_false(consumer.wrong);
}

static void test_target_closed_with_items(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 64);
	fill(&consumer);
	ringwake_close(consumer.target);
	assert_int_equal(consumer.received, 16); /* one batch */
	assert_int_equal(consumer.aborted, 48);
	assert_int_equal(try_number(&consumer, 64), -ECANCELED);
	assert_int_equal(consumer.finalized, 0);
	assert_int_equal(ringwake_channel_release(consumer.channel), 0);
	assert_int_equal(consumer.finalized, 1);
	assert_false(consumer.wrong);
}

static void test_target_closed_after_the_last_release(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 64);
	fill(&consumer);
	assert_int_equal(ringwake_channel_release(consumer.channel), 0);
	ringwake_close(consumer.target);
	assert_int_equal(consumer.received, 16);
	assert_int_equal(consumer.aborted, 48);
	assert_int_equal(consumer.finalized, 1);

	struct consumer empty = {0};
	open_channel(&empty, 64);
	assert_int_equal(ringwake_channel_release(empty.channel), 0);
	ringwake_close(empty.target);
	assert_int_equal(empty.finalized, 1);
}

static void close_target(struct consumer *consumer)
{
	if (consumer->received + consumer->aborted == 3)
		ringwake_close(consumer->target);
}

static void test_target_closed_by_receive(void **state)
{
	(void)state;
	struct consumer consumer = {.hook = close_target};
	open_channel(&consumer, 64);
	fill(&consumer);
	assert_int_equal(ringwake_dispatch(consumer.target, 0), 1);
	assert_int_equal(consumer.received, 16);
	assert_int_equal(consumer.aborted, 48);
	assert_int_equal(ringwake_channel_release(consumer.channel), 0);
	assert_int_equal(consumer.finalized, 1);
	assert_false(consumer.wrong);
}

static void test_target_closed_while_senders_wait(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	struct blocked blocked[3];
	open_channel_with(&consumer, (struct ringwake_channel_params){.capacity = 4, .batch = 1});
	hook_parking();
	fill(&consumer);
	for (unsigned i = 0; i < 3; i++)
		start_blocked(&blocked[i], &consumer, i + 1);
	await_parked(3);
	ringwake_close(consumer.target);
	unsigned accepted = 4;
	for (unsigned i = 0; i < 3; i++) {
		join(blocked[i].thread);
		assert_true(blocked[i].result == 0 || blocked[i].result == -ECANCELED);
		accepted += blocked[i].result == 0;
	}
	unhook();
	assert_int_equal(ringwake_channel_release(consumer.channel), 0);
	assert_int_equal(consumer.received, 1);
	assert_int_equal(consumer.received + consumer.aborted, accepted);
	assert_int_equal(consumer.finalized, 1);
	assert_false(consumer.wrong);
}

/*
 * A sender that is stopped between claiming a slot and filling it. Its item is in an unreadable
 * page, and the handler of the fault blocks.
 */
static struct item *unreadable;
static struct sigaction segv_before;

static void stall(int number)
{
	(void)number;
	pthread_barrier_wait(&reached);
	pthread_barrier_wait(&released);
	mprotect(unreadable, sizeof *unreadable, PROT_READ | PROT_WRITE);
}

static void prepare_stall(void)
{
	hook_doorbell(); /* for the barriers */
	unreadable = mmap(NULL, sizeof *unreadable, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(unreadable != MAP_FAILED);
	*unreadable = (struct item){.sender = 1};
	assert_int_equal(mprotect(unreadable, sizeof *unreadable, PROT_NONE), 0);
	struct sigaction action = {.sa_handler = stall};
	sigaction(SIGSEGV, &action, &segv_before);
}

static void end_stall(void)
{
	sigaction(SIGSEGV, &segv_before, NULL);
	munmap(unreadable, sizeof *unreadable);
	unhook();
}

static int stalled_result;

static void *send_stalled(void *argument)
{
	struct consumer *consumer = argument;
	stalled_result = ringwake_channel_try_send(consumer->channel, unreadable);
	return NULL;
}

static void test_stalled_sender_holds_nobody_but_the_order(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 4);
	prepare_stall();
	pthread_t sender = start(send_stalled, &consumer);
	pthread_barrier_wait(&reached);
	assert_int_equal(fill(&consumer), 3); /* the stopped sender holds a slot */
	assert_int_equal(ringwake_wait(consumer.target, 0), -ETIME); /* and the loop may block */
	assert_true(ringwake_arm(consumer.target));
	doorbell_calls = 0;
	pthread_barrier_wait(&released);
	join(sender);
	assert_int_equal(stalled_result, 0);
	assert_int_equal(doorbell_calls, 1);
	ringwake_disarm(consumer.target);
	assert_int_equal(ringwake_dispatch(consumer.target, 0), 1);
	assert_int_equal(consumer.received, 4);
	assert_int_equal(consumer.next[1], 1);
	end_stall();
	release_and_close(&consumer);
}

static void test_stalled_behind_the_head(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 4);
	prepare_stall();
	assert_int_equal(try_number(&consumer, 0), 0);
	pthread_t sender = start(send_stalled, &consumer);
	pthread_barrier_wait(&reached);
	assert_int_equal(try_number(&consumer, 1), 0);
	assert_int_equal(ringwake_dispatch(consumer.target, 0), 1);
	assert_int_equal(consumer.received, 1);
	assert_int_equal(ringwake_wait(consumer.target, 0), -ETIME);
	pthread_barrier_wait(&released);
	join(sender);
	assert_int_equal(ringwake_dispatch(consumer.target, 0), 1);
	assert_int_equal(consumer.received, 3);
	end_stall();
	release_and_close(&consumer);
}

static void *release_last(void *argument)
{
	struct consumer *consumer = argument;
	return ringwake_channel_release(consumer->channel) == 0 ? NULL : argument;
}

static void test_target_closed_while_a_sender_is_stalled(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel_with(&consumer, (struct ringwake_channel_params){.capacity = 8, .handles = 2});
	prepare_stall();
	pthread_t sender = start(send_stalled, &consumer);
	pthread_barrier_wait(&reached);
	assert_int_equal(fill(&consumer), 7); /* accepted, behind the stopped sender's slot */
	ringwake_close(consumer.target);      /* finds no item to run */
	assert_int_equal(consumer.received + consumer.aborted, 0);
	pthread_barrier_wait(&released);
	join(sender);
	assert_int_equal(stalled_result, -ECANCELED); /* not accepted: the sender keeps the item */
	assert_int_equal(try_number(&consumer, 7), -ECANCELED);
	end_stall();
	assert_int_equal(ringwake_channel_release(consumer.channel), 0);
	assert_int_equal(consumer.finalized, 0);
	pthread_t last = start(release_last, &consumer);
	join(last);
	assert_int_equal(consumer.finalized, 1);
	assert_int_equal(consumer.received, 0);
	assert_int_equal(consumer.aborted, 7);
	assert_int_equal(consumer.next[1], 0);
	assert_true(pthread_equal(consumer.thread, last));
	assert_false(consumer.wrong);
}

static int child_uses(struct consumer *consumer)
{
	struct item item = {0};
	struct ringwake_channel *another;
	const struct ringwake_channel_params params = {
		.item_size = 1, .capacity = 1, .receive = receive_item};
	if (try_number(consumer, 2) != -EOWNERDEAD ||
		ringwake_channel_send(consumer->channel, &item, -1) != -EOWNERDEAD ||
		ringwake_channel_acquire(consumer->channel) != -EOWNERDEAD ||
		ringwake_channel_abort(consumer->channel) != -EOWNERDEAD ||
		ringwake_channel_open(&another, consumer->target, &params) != -EOWNERDEAD ||
		ringwake_channel_release(consumer->channel) != -EOWNERDEAD)
		return 1;
	ringwake_close(consumer->target);
	return consumer->received + consumer->aborted + consumer->finalized == 0 ? 0 : 2;
}

static void test_forked_child(void **state)
{
	(void)state;
	struct consumer consumer = {0};
	open_channel(&consumer, 2);
	fill(&consumer);
	pid_t child = fork();
	if (child == 0)
		_exit(child_uses(&consumer));
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	release_and_close(&consumer);
	assert_int_equal(consumer.received, 2);
}

int main(void)
{
	const struct CMUnitTest channel_end_tests[] = {
		ON_BOTH_PATHS(test_target_closed_while_idle),
		ON_BOTH_PATHS(test_target_closed_with_items),
		ON_BOTH_PATHS(test_target_closed_after_the_last_release),
		ON_BOTH_PATHS(test_target_closed_by_receive),
		ON_BOTH_PATHS(test_target_closed_while_senders_wait),
		ON_BOTH_PATHS(test_stalled_sender_holds_nobody_but_the_order),
		ON_BOTH_PATHS(test_stalled_behind_the_head),
		ON_BOTH_PATHS(test_target_closed_while_a_sender_is_stalled),
		ON_BOTH_PATHS(test_forked_child),
	};
	return RUN_BOUNDED(channel_end_tests, 60);
}
