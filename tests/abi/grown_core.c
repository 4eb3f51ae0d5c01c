/* SPDX-License-Identifier: MIT */
/*
 * What the later version of the core does with its new members. The functions of this version are
 * compiled under the names with ungrown_ in front; grown.test reads these names from here.
 */
#include <errno.h>
#include <ringwake/channel.h>
#include <ringwake/pool.h>
#include <ringwake/ringwake.h>

extern __typeof__(ringwake_open) ungrown_ringwake_open;
extern __typeof__(ringwake_get_stats) ungrown_ringwake_get_stats;
extern __typeof__(ringwake_send) ungrown_ringwake_send;
extern __typeof__(ringwake_send_many) ungrown_ringwake_send_many;
extern __typeof__(ringwake_event_init) ungrown_ringwake_event_init;
extern __typeof__(ringwake_event_send) ungrown_ringwake_event_send;
extern __typeof__(ringwake_pool_open_with) ungrown_ringwake_pool_open_with;
extern __typeof__(ringwake_pool_get_stats) ungrown_ringwake_pool_get_stats;
extern __typeof__(ringwake_pool_get_times) ungrown_ringwake_pool_get_times;
extern __typeof__(ringwake_pool_submit) ungrown_ringwake_pool_submit;
extern __typeof__(ringwake_pool_submit_with) ungrown_ringwake_pool_submit_with;
extern __typeof__(ringwake_pool_submit_many) ungrown_ringwake_pool_submit_many;
extern __typeof__(ringwake_pool_submit_batch) ungrown_ringwake_pool_submit_batch;
extern __typeof__(ringwake_pool_enqueue) ungrown_ringwake_pool_enqueue;
extern __typeof__(ringwake_channel_open) ungrown_ringwake_channel_open;

int ringwake_open(
	struct ringwake **out, struct io_uring *ring, const struct ringwake_params *params)
{
	struct ringwake_params read = params ? *params : (struct ringwake_params){0};
	if (read.grown != 0)
		read.batch = (unsigned)read.grown;
	return ungrown_ringwake_open(out, ring, &read);
}

void ringwake_get_stats(const struct ringwake *target, struct ringwake_stats *stats, size_t size)
{
	ungrown_ringwake_get_stats(target, stats, size);
	if (size >= sizeof *stats)
		stats->grown = 30;
}

int ringwake_send(struct ringwake *target, struct ringwake_msg *msg)
{
	msg->grown = msg;
	return ungrown_ringwake_send(target, msg);
}

int ringwake_send_many(
	struct ringwake *target, struct ringwake_msg *const *messages, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		messages[i]->grown = messages[i];
	return ungrown_ringwake_send_many(target, messages, count);
}

void ringwake_event_init(struct ringwake_event *event, struct ringwake *target,
	void (*fn)(struct ringwake_event *event))
{
	ungrown_ringwake_event_init(event, target, fn);
	event->msg.grown = event->grown[0] = event->grown[1] = event;
}

int ringwake_event_send(struct ringwake_event *event)
{
	if (event->msg.grown != event || event->grown[0] != event || event->grown[1] != event)
		return -EFAULT;
	return ungrown_ringwake_event_send(event);
}

int ringwake_pool_open_with(struct ringwake_pool **out, const struct ringwake_pool_params *params)
{
	struct ringwake_pool_params read = params ? *params : (struct ringwake_pool_params){0};
	if (read.grown != 0)
		read.threads = (unsigned)read.grown;
	return ungrown_ringwake_pool_open_with(out, &read);
}

void ringwake_pool_get_stats(
	struct ringwake_pool *pool, struct ringwake_pool_stats *stats, size_t size)
{
	ungrown_ringwake_pool_get_stats(pool, stats, size);
	if (size >= sizeof *stats)
		stats->grown = 30;
}

void ringwake_pool_get_times(
	struct ringwake_pool *pool, struct ringwake_pool_times *times, size_t size)
{
	ungrown_ringwake_pool_get_times(pool, times, size);
	if (size >= sizeof *times)
		times->grown = 30;
}

static void use_room(struct ringwake_work *work)
{
	work->msg.grown = work;
	for (size_t i = 0; i < sizeof work->grown / sizeof *work->grown; i++)
		work->grown[i] = work;
}

int ringwake_pool_submit(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status))
{
	use_room(work);
	return ungrown_ringwake_pool_submit(pool, target, work, run, done);
}

int ringwake_pool_submit_with(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status),
	const struct ringwake_submit_params *params)
{
	struct ringwake_submit_params read =
		params ? *params : (struct ringwake_submit_params){.no_kick = false};
	if (read.grown != 0)
		read.no_kick = true;
	use_room(work);
	return ungrown_ringwake_pool_submit_with(pool, target, work, run, done, &read);
}

int ringwake_pool_submit_many(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *const *works, size_t count, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status),
	const struct ringwake_submit_params *params)
{
	for (size_t i = 0; i < count; i++)
		use_room(works[i]);
	return ungrown_ringwake_pool_submit_many(pool, target, works, count, run, done, params);
}

int ringwake_pool_submit_batch(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_batch *batch, struct ringwake_work *const *works, size_t count,
	void (*run)(struct ringwake_work *work), void (*done)(struct ringwake_batch *batch),
	const struct ringwake_submit_params *params)
{
	batch->msg.grown = batch;
	for (size_t i = 0; i < sizeof batch->grown / sizeof *batch->grown; i++)
		batch->grown[i] = batch;
	for (size_t i = 0; i < count; i++)
		use_room(works[i]);
	return ungrown_ringwake_pool_submit_batch(
		pool, target, batch, works, count, run, done, params);
}

int ringwake_pool_enqueue(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status))
{
	use_room(work);
	return ungrown_ringwake_pool_enqueue(pool, target, work, run, done);
}

int ringwake_channel_open(struct ringwake_channel **out, struct ringwake *target,
	const struct ringwake_channel_params *params)
{
	struct ringwake_channel_params read = *params;
	if (read.grown != 0)
		read.capacity = (unsigned)read.grown;
	return ungrown_ringwake_channel_open(out, target, &read);
}
