/* SPDX-License-Identifier: MIT */
/*
 * Uses the members that only the later version has. This version refuses them and gives 0 for the
 * new figures; the later version acts on them. See guard.h and grown_core.c.
 */
#include <errno.h>
#include <ringwake/channel.h>
#include <ringwake/pool.h>
#include <ringwake/ringwake.h>

#include "guard.h"

static bool is_grown;

static void on_message(struct ringwake_msg *message)
{
	(void)message;
}

static void try_target(void)
{
	struct ringwake_params params = {.grown = 1}; /* the batch */
	struct ringwake_stats stats;
	struct ringwake_msg messages[2] = {{.fn = on_message}, {.fn = on_message}};
	struct ringwake *target;
	CHECK(ringwake_open(&target, NULL, &params) == (is_grown ? 0 : -EINVAL));
	if (!is_grown)
		CHECK(ringwake_open(&target, NULL, NULL) == 0);
	CHECK(ringwake_send(target, &messages[0]) == 0);
	CHECK(ringwake_send(target, &messages[1]) == 0);
	CHECK(ringwake_dispatch(target, 0) == (is_grown ? 1 : 2));
	CHECK(ringwake_dispatch(target, 0) == (is_grown ? 1 : 0));
	memset(&stats, GUARD_BYTE, sizeof stats);
	ringwake_get_stats(target, &stats, sizeof stats);
	CHECK(stats.messages == 2 && stats.grown == (is_grown ? 30 : 0));
	ringwake_close(target);
}

static void run(struct ringwake_work *work)
{
	(void)work;
}

static void done(struct ringwake_work *work, int status)
{
	(void)work;
	(void)status;
}

static void try_pool(void)
{
	struct ringwake_submit_params submit = {.grown = 1}; /* no_kick */
	struct ringwake_work work;
	struct ringwake *target;
	struct ringwake_pool_params params = {.grown = 3}; /* threads */
	struct ringwake_pool_stats stats;
	static struct ringwake_pool_times times;
	struct ringwake_pool *pool;
	CHECK(ringwake_pool_open_with(&pool, &params) == (is_grown ? 0 : -EINVAL));
	if (!is_grown)
		CHECK(ringwake_pool_open(&pool, 3) == 0);
	memset(&stats, GUARD_BYTE, sizeof stats);
	ringwake_pool_get_stats(pool, &stats, sizeof stats);
	CHECK(stats.threads == 3 && stats.grown == (is_grown ? 30 : 0));
	CHECK(ringwake_open(&target, NULL, NULL) == 0);
	int result = ringwake_pool_submit_with(pool, target, &work, run, done, &submit);
	CHECK(is_grown ? result >= 0 : result == -EINVAL);
	if (result == 1)
		ringwake_pool_kick(pool);
	memset(&times, GUARD_BYTE, sizeof times);
	ringwake_pool_get_times(pool, &times, sizeof times);
	CHECK(times.running.count == 0 && times.grown == (is_grown ? 30 : 0));
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
}

static void receive(void *context, void *item, int status)
{
	(void)context;
	(void)item;
	(void)status;
}

static void try_channel(void)
{
	struct ringwake_channel_params params = {
		.item_size = 1, .capacity = 8, .receive = receive, .grown = 2}; /* the capacity */
	struct ringwake_channel *channel;
	struct ringwake *target;
	CHECK(ringwake_open(&target, NULL, NULL) == 0);
	int result = ringwake_channel_open(&channel, target, &params);
	CHECK(result == (is_grown ? 0 : -EINVAL));
	if (is_grown) {
		CHECK(ringwake_channel_try_send(channel, "") == 0);
		CHECK(ringwake_channel_try_send(channel, "") == 0);
		CHECK(ringwake_channel_try_send(channel, "") == -EAGAIN);
		CHECK(ringwake_channel_release(channel) == 0);
	}
	ringwake_close(target);
}

int main(int argc, char **argv)
{
	is_grown = library_has_grown(argc, argv);
	CHECK((RINGWAKE_VERSION == ringwake_version()) == is_grown);
	try_target();
	try_pool();
	try_channel();
	return 0;
}
