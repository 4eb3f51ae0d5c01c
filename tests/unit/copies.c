/* SPDX-License-Identifier: MIT */
/* Two copies of the library in one program: each refuses the other's objects and does no harm. */
#include <ringwake/channel.h>
#include <sys/wait.h>

#include "shared.h"

static struct shared_library library;
static struct ringwake *theirs;

static void open_theirs(void)
{
	struct ringwake_params params = {.path = test_path};
	open_library(&library);
	int error = library.open(&theirs, NULL, &params);
	if (error < 0 && test_path == RINGWAKE_PATH_MSG_RING) {
		print_message("this kernel has no sync MSG_RING: %s\n", strerror(-error));
		skip();
	}
	assert_int_equal(error, 0);
}

static void close_theirs(void)
{
	struct counted message = {.msg.fn = count_message};
	assert_int_equal(library.send(theirs, &message.msg), 0);
	assert_int_equal(library.wait(theirs, -1), 1);
	assert_int_equal(message.count, 1);
	library.close(theirs);
	assert_int_equal(dlclose(library.handle), 0);
}

static void receive(void *context, void *item, int status)
{
	(void)item;
	(void)status;
	++*(unsigned *)context;
}

static void do_nothing(struct ringwake_work *work)
{
	(void)work;
}

static unsigned dones;
static void count_done(struct ringwake_work *work, int status)
{
	(void)work;
	dones += status == 0;
}

static void refuse_a_target(void)
{
	struct counted message = {.msg.fn = count_message};
	struct ringwake_event event;
	struct ringwake_channel *channel;
	struct ringwake_channel_params params = {.item_size = 1, .capacity = 1, .receive = receive};
	assert_int_equal(ringwake_send(theirs, &message.msg), -EOWNERDEAD);
	assert_int_equal(ringwake_send_many(theirs, (struct ringwake_msg *[]){&message.msg}, 1),
		-EOWNERDEAD);
	assert_int_equal(ringwake_wake(theirs), -EOWNERDEAD);
	assert_int_equal(ringwake_post(theirs, 1, 2), -EOWNERDEAD);
	assert_int_equal(ringwake_wait(theirs, -1), -EOWNERDEAD);
	ringwake_event_init(&event, theirs, NULL);
	assert_int_equal(ringwake_event_send(&event), -EOWNERDEAD);
	assert_int_equal(ringwake_event_close(&event), 0);
	assert_int_equal(ringwake_channel_open(&channel, theirs, &params), -EOWNERDEAD);
	ringwake_unref(ringwake_ref(theirs));
	ringwake_close(theirs);
}

/* Must be the first test: this copy must not have opened anything. */
static void test_before_anything_was_opened(void **state)
{
	(void)state;
	skip_without_library();
	open_theirs();
	refuse_a_target();
	close_theirs();
}

static void test_targets(void **state)
{
	(void)state;
	skip_without_library();
	open_theirs();
	struct ringwake *ours = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	refuse_a_target();
	assert_int_equal(library.send(ours, &message.msg), -EOWNERDEAD);
	assert_int_equal(library.wait(ours, -1), -EOWNERDEAD);
	assert_int_equal(ringwake_send(ours, &message.msg), 0);
	assert_int_equal(ringwake_wait(ours, -1), 1);
	assert_int_equal(message.count, 1);
	ringwake_close(ours);
	close_theirs();
}

static void test_pools(void **state)
{
	(void)state;
	skip_without_library();
	struct ringwake_work work;
	struct ringwake_pool *our_pool, *their_pool;
	open_theirs();
	struct ringwake *ours = open_target(NULL);
	assert_int_equal(ringwake_pool_open(&our_pool, 1), 0);
	assert_int_equal(library.pool_open(&their_pool, 1), 0);
	assert_int_equal(
		ringwake_pool_submit(our_pool, theirs, &work, do_nothing, count_done), -EOWNERDEAD);
	assert_int_equal(
		ringwake_pool_submit(their_pool, ours, &work, do_nothing, count_done), -EOWNERDEAD);
	assert_int_equal(ringwake_pool_enqueue(their_pool, theirs, &work, do_nothing, count_done),
		-EOWNERDEAD);
	assert_int_equal(ringwake_pool_cancel(their_pool, &work), -EOWNERDEAD);
	ringwake_pool_kick(their_pool);
	ringwake_pool_close(their_pool, RINGWAKE_POOL_FINISH);
	/* The object still works. */
	dones = 0;
	assert_int_equal(library.pool_submit(their_pool, theirs, &work, do_nothing, count_done), 0);
	while (dones == 0)
		assert_true(library.wait(theirs, -1) >= 0);
	library.pool_close(their_pool, RINGWAKE_POOL_FINISH);
	ringwake_pool_close(our_pool, RINGWAKE_POOL_FINISH);
	ringwake_close(ours);
	close_theirs();
}

static void test_channels(void **state)
{
	(void)state;
	skip_without_library();
	unsigned received = 0;
	struct ringwake_channel_params params = {
		.item_size = 1, .capacity = 1, .receive = receive, .context = &received};
	struct ringwake_channel *channel;
	open_theirs();
	assert_int_equal(library.channel_open(&channel, theirs, &params), 0);
	assert_int_equal(ringwake_channel_try_send(channel, ""), -EOWNERDEAD);
	assert_int_equal(ringwake_channel_send(channel, "", -1), -EOWNERDEAD);
	assert_int_equal(ringwake_channel_acquire(channel), -EOWNERDEAD);
	assert_int_equal(ringwake_channel_abort(channel), -EOWNERDEAD);
	assert_int_equal(ringwake_channel_release(channel), -EOWNERDEAD);
	assert_int_equal(library.channel_try_send(channel, ""), 0);
	assert_int_equal(library.wait(theirs, -1), 1);
	assert_int_equal(received, 1);
	assert_int_equal(library.channel_release(channel), 0);
	assert_int_equal(library.wait(theirs, -1), 1);
	close_theirs();
}

/* In a child, both copies refuse inherited objects. */
static void test_fork(void **state)
{
	(void)state;
	skip_without_library();
	open_theirs();
	struct ringwake *ours = open_target(NULL);
	pid_t child = fork();
	if (child == 0) {
		struct counted message = {.msg.fn = count_message};
		struct ringwake *own;
		struct ringwake_params params = {.path = test_path};
		bool good = ringwake_open(&own, NULL, &params) == 0 &&
			ringwake_send(ours, &message.msg) == -EOWNERDEAD &&
			ringwake_send(theirs, &message.msg) == -EOWNERDEAD &&
			library.send(theirs, &message.msg) == -EOWNERDEAD &&
			library.send(own, &message.msg) == -EOWNERDEAD &&
			ringwake_send(own, &message.msg) == 0 && ringwake_wait(own, -1) == 1;
		ringwake_close(ours);
		library.close(theirs);
		_exit(!good);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ringwake_close(ours);
	close_theirs();
}

int main(void)
{
	const struct CMUnitTest copies_tests[] = {
		ON_BOTH_PATHS(test_before_anything_was_opened),
		ON_BOTH_PATHS(test_targets),
		ON_BOTH_PATHS(test_pools),
		ON_BOTH_PATHS(test_channels),
		ON_BOTH_PATHS(test_fork),
	};
	return RUN_BOUNDED(copies_tests, 60);
}
