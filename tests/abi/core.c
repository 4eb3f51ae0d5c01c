/* SPDX-License-Identifier: MIT */
/* Uses every structure of the core that a caller allocates. See guard.h. */
#include <errno.h>
#include <ringwake/channel.h>
#include <ringwake/pool.h>
#include <ringwake/ringwake.h>

#include "guard.h"

enum { JOBS = 8, ITEMS = 5 };

static bool is_grown;
static unsigned called;
static GUARDED(struct ringwake_msg) messages[3];
static GUARDED(struct ringwake_event) event;
static GUARDED(struct ringwake_work) jobs[JOBS];

static struct ringwake *open_target(void)
{
	GUARDED(struct ringwake_params) params;
	struct ringwake *target;
	GUARD(params);
	params.it.batch = 100;
	CHECK(ringwake_open(&target, NULL, &params.it) == 0);
	CHECK_GUARDS(params);
	return target;
}

static void on_message(struct ringwake_msg *message)
{
	CHECK((message->ROOM != NULL) == is_grown);
	called++;
}

static void try_messages(struct ringwake *target)
{
	struct ringwake_msg *all[3];
	GUARDED(struct ringwake_stats) stats;
	for (int i = 0; i < 3; i++) {
		GUARD(messages[i]);
		messages[i].it.fn = on_message;
		all[i] = &messages[i].it;
	}
	CHECK(ringwake_send(target, all[0]) == 0);
	CHECK(ringwake_send_many(target, all + 1, 2) == 0);
	CHECK(ringwake_wait(target, -1) == 3 && called == 3);
	for (int i = 0; i < 3; i++)
		CHECK_GUARDS(messages[i]);
	GUARD(stats);
	ringwake_get_stats(target, &stats.it, sizeof stats.it);
	CHECK(stats.it.messages == 3);
	CHECK_GUARDS(stats);
}

static void on_event(struct ringwake_event *sent)
{
	CHECK(sent == &event.it);
	called++;
}

static void try_event(struct ringwake *target)
{
	called = 0;
	GUARD(event);
	ringwake_event_init(&event.it, target, on_event);
	CHECK((event.it.ROOM[1] != NULL) == is_grown);
	CHECK(ringwake_event_send(&event.it) == 0 && ringwake_event_send(&event.it) == 0);
	CHECK(ringwake_event_is_pending(&event.it));
	CHECK(ringwake_wait(target, -1) == 1 && called == 1);
	CHECK(ringwake_event_close(&event.it) == 0);
	CHECK(ringwake_event_send(&event.it) == -ECANCELED);
	CHECK(ringwake_event_reopen(&event.it) == 0 && ringwake_event_send(&event.it) == 0);
	CHECK(ringwake_wait(target, -1) == 1 && called == 2);
	CHECK(ringwake_event_close(&event.it) == 0);
	CHECK_GUARDS(event);
}

static void run(struct ringwake_work *job)
{
	CHECK((job->ROOM[0] != NULL) == is_grown);
}

static void done(struct ringwake_work *job, int status)
{
	CHECK(job != NULL && status == 0);
	called++;
}

static void try_pool(struct ringwake *target)
{
	GUARDED(struct ringwake_pool_params) params;
	GUARDED(struct ringwake_pool_stats) stats;
	GUARDED(struct ringwake_submit_params) submit;
	static GUARDED(struct ringwake_pool_times) times;
	struct ringwake_pool *pool;
	called = 0;
	GUARD(params);
	GUARD(submit);
	params.it.threads = 2;
	submit.it.work_class = RINGWAKE_WORK_FAST;
	params.it.record_times = true;
	CHECK(ringwake_pool_open_with(&pool, &params.it) == 0);
	CHECK_GUARDS(params);
	for (int i = 0; i < JOBS; i++) {
		GUARD(jobs[i]);
		if (i % 3 == 0)
			CHECK(ringwake_pool_submit(pool, target, &jobs[i].it, run, done) == 0);
		else if (i % 3 == 1)
			CHECK(ringwake_pool_submit_with(
				      pool, target, &jobs[i].it, run, done, &submit.it) == 0);
		else if (ringwake_pool_enqueue(pool, target, &jobs[i].it, run, done) == 1)
			ringwake_pool_kick(pool);
	}
	while (called < JOBS)
		CHECK(ringwake_wait(target, -1) >= 0);
	for (int i = 0; i < JOBS; i++)
		CHECK_GUARDS(jobs[i]);
	CHECK_GUARDS(submit);
	GUARD(stats);
	ringwake_pool_get_stats(pool, &stats.it, sizeof stats.it);
	CHECK(stats.it.submitted == JOBS && stats.it.threads == 2 && stats.it.queued == 0);
	CHECK_GUARDS(stats);
	GUARD(times);
	ringwake_pool_get_times(pool, &times.it, sizeof times.it);
	CHECK(times.it.waiting.count == JOBS && times.it.running.count == JOBS);
	CHECK_GUARDS(times);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

static GUARDED(struct ringwake_batch) batch;

static void batch_done(struct ringwake_batch *ended)
{
	CHECK(ended == &batch.it);
	CHECK((ended->ROOM[3] != NULL) == is_grown);
	called++;
}

static void try_batch(struct ringwake *target)
{
	struct ringwake_work *works[JOBS];
	struct ringwake_pool *pool;
	called = 0;
	CHECK(ringwake_pool_open(&pool, 2) == 0);
	GUARD(batch);
	for (int i = 0; i < JOBS; i++) {
		GUARD(jobs[i]);
		works[i] = &jobs[i].it;
	}
	CHECK(ringwake_pool_submit_batch(
		      pool, target, &batch.it, works, 3, run, batch_done, NULL) == 0);
	CHECK(ringwake_pool_submit_many(pool, target, works + 3, JOBS - 3, run, done, NULL) == 0);
	while (called < JOBS - 2)
		CHECK(ringwake_wait(target, -1) >= 0);
	for (int i = 0; i < JOBS; i++) {
		CHECK_GUARDS(jobs[i]);
		CHECK(ringwake_work_status(works[i]) == 0);
	}
	CHECK_GUARDS(batch);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

static void receive(void *context, void *item, int status)
{
	CHECK(status == 0);
	*(int *)context += *(int *)item;
}

static void finalize(void *context)
{
	*(int *)context += 1000;
}

static void try_channel(struct ringwake *target)
{
	GUARDED(struct ringwake_channel_params) params;
	struct ringwake_channel *channel;
	int sum = 0;
	GUARD(params);
	params.it.item_size = sizeof(int);
	params.it.capacity = 8;
	params.it.context = &sum;
	params.it.receive = receive;
	params.it.finalize = finalize;
	CHECK(ringwake_channel_open(&channel, target, &params.it) == 0);
	CHECK_GUARDS(params);
	for (int i = 1; i <= ITEMS; i++)
		CHECK(ringwake_channel_try_send(channel, &i) == 0);
	CHECK(ringwake_channel_release(channel) == 0);
	while (sum < 1000)
		CHECK(ringwake_wait(target, -1) >= 0);
	CHECK(sum == 1000 + ITEMS * (ITEMS + 1) / 2);
}

int main(int argc, char **argv)
{
	is_grown = library_has_grown(argc, argv);
	struct ringwake *target = open_target();
	try_messages(target);
	try_event(target);
	try_pool(target);
	try_batch(target);
	try_channel(target);
	ringwake_close(target);
	return 0;
}
