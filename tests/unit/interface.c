/* SPDX-License-Identifier: MIT */
/* The interface can grow: reserved members, sizes and versions. Also tests small query functions.
 */
#include <ringwake/channel.h>
#include <ringwake/liburing-compat.h>
#include <ringwake/pool.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../common.h"
#include "config.h"

static void receive(void *context, void *item, int status)
{
	(void)context;
	(void)item;
	(void)status;
}

/* The first or the last reserved member. */
#define RESERVED(params, is_last)                                                                  \
	(params).reserved[(is_last) ? sizeof(params).reserved / sizeof *(params).reserved - 1 : 0]

/* The library must refuse members of a later version that it does not know. */
static void test_reserved_members_are_zero(void **state)
{
	(void)state;
	struct ringwake *target = NULL;
	struct ringwake_pool *pool = NULL;
	struct ringwake_channel *channel = NULL;
	for (int is_last = 0; is_last <= 1; is_last++) {
		struct ringwake_params params = {.path = RINGWAKE_PATH_EVENTFD};
		RESERVED(params, is_last) = 1;
		assert_int_equal(ringwake_open(&target, NULL, &params), -EINVAL);
		struct ringwake_pool_params pool_params = {.threads = 1};
		RESERVED(pool_params, is_last) = 1;
		assert_int_equal(ringwake_pool_open_with(&pool, &pool_params), -EINVAL);
	}
	test_path = RINGWAKE_PATH_EVENTFD;
	target = open_target(NULL);
	for (int is_last = 0; is_last <= 1; is_last++) {
		struct ringwake_channel_params params = {
			.item_size = 1, .capacity = 1, .receive = receive};
		RESERVED(params, is_last) = 1;
		assert_int_equal(ringwake_channel_open(&channel, target, &params), -EINVAL);
	}
	ringwake_close(target);
}

static void test_figures_of_another_size(void **state)
{
	(void)state;
	struct {
		struct ringwake_stats stats;
		uint64_t later;
	} larger;
	test_path = RINGWAKE_PATH_EVENTFD;
	struct ringwake *target = open_target(NULL);
	struct counted message = {.msg.fn = count_message};
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	assert_int_equal(ringwake_dispatch(target, 0), 1);

	memset(&larger, 0xff, sizeof larger);
	ringwake_get_stats(target, &larger.stats, sizeof larger);
	assert_int_equal(larger.stats.longest_batch, 1);
	assert_int_equal(larger.later, 0);

	memset(&larger, 0xff, sizeof larger);
	ringwake_get_stats(target, &larger.stats, sizeof(uint64_t));
	assert_int_equal(larger.stats.messages, 1);
	assert_int_equal(larger.stats.doorbells, UINT64_MAX);

	struct {
		struct ringwake_pool_stats stats;
		uint64_t later;
	} workers;
	struct ringwake_pool *pool;
	struct ringwake_pool_params params = {.threads = 2};
	assert_int_equal(ringwake_pool_open_with(&pool, &params), 0);
	memset(&workers, 0xff, sizeof workers);
	ringwake_pool_get_stats(pool, &workers.stats, sizeof workers);
	assert_int_equal(workers.stats.threads, 2);
	assert_int_equal(workers.later, 0);
	memset(&workers, 0xff, sizeof workers);
	ringwake_pool_get_stats(pool, &workers.stats, sizeof(uint64_t));
	assert_int_equal(workers.stats.submitted, 0);
	assert_int_equal(workers.stats.completed, UINT64_MAX);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

static void test_version(void **state)
{
	(void)state;
	assert_int_equal(ringwake_version(), RINGWAKE_VERSION);
	assert_string_equal(ringwake_version_string(), PACKAGE_VERSION);
}

static void test_was_refused(void **state)
{
	(void)state;
	const int refused[] = {-EINVAL, -ECANCELED, -EOWNERDEAD};
	const int accepted[] = {0, 1, -ENOMEM, -EPERM, -EBADF, -EIO};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_true(ringwake_was_refused(refused[i]));
	for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
		assert_false(ringwake_was_refused(accepted[i]));
}

static unsigned event_calls;
static void count_event(struct ringwake_event *event)
{
	(void)event;
	event_calls++;
}

static void test_event_is_pending(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_event event;
	ringwake_event_init(&event, target, count_event);
	assert_ptr_equal(ringwake_event_target(&event), target);
	assert_false(ringwake_event_is_pending(&event));
	assert_int_equal(ringwake_event_send(&event), 0);
	assert_true(ringwake_event_is_pending(&event));
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_false(ringwake_event_is_pending(&event));
	assert_int_equal(ringwake_event_send(&event), 0);
	ringwake_event_close(&event);
	assert_false(ringwake_event_is_pending(&event));
	ringwake_close(target);
}

static void test_event_reopen(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct ringwake_event event;
	event_calls = 0;
	ringwake_event_init(&event, target, count_event);
	assert_int_equal(ringwake_event_reopen(&event), -EINVAL);
	for (int was_sent = 0; was_sent < 2; was_sent++) {
		if (was_sent)
			assert_int_equal(ringwake_event_send(&event), 0);
		assert_int_equal(ringwake_event_close(&event), 0);
		assert_int_equal(ringwake_event_send(&event), -ECANCELED);
		assert_int_equal(ringwake_event_reopen(&event), 0);
		assert_false(ringwake_event_is_pending(&event));
		assert_int_equal(ringwake_dispatch(target, 0), 0);
	}
	assert_int_equal(ringwake_event_send(&event), 0);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_int_equal(event_calls, 1);
	ringwake_event_close(&event);
	ringwake_close(target);
}

static void test_process_number(void **state)
{
	(void)state;
	int64_t own = ringwake_process_number();
	assert_true(own > 0);
	assert_true(ringwake_process_number() == own);
	pid_t child = fork();
	if (child == 0) {
		int64_t childs = ringwake_process_number();
		_exit(childs > 0 && childs != own && childs == ringwake_process_number() ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_sync_msg_ring_as_a_function(void **state)
{
	(void)state;
	struct io_uring_sqe sqe = {.opcode = IORING_OP_MSG_RING, .fd = -1};
	errno = 0;
	assert_int_equal(
		ringwake_register_sync_msg_ring(&sqe), io_uring_register_sync_msg_ring(&sqe));
	assert_int_equal(ringwake_register_sync_msg_ring((struct io_uring_sqe *)UINTPTR_MAX),
		io_uring_register_sync_msg_ring((struct io_uring_sqe *)UINTPTR_MAX));
	assert_int_equal(errno, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reserved_members_are_zero),
		cmocka_unit_test(test_figures_of_another_size),
		cmocka_unit_test(test_version),
		cmocka_unit_test(test_was_refused),
		ON_BOTH_PATHS(test_event_is_pending),
		ON_BOTH_PATHS(test_event_reopen),
		cmocka_unit_test(test_process_number),
		cmocka_unit_test(test_sync_msg_ring_as_a_function),
	};
	return RUN_BOUNDED(tests, 60);
}
