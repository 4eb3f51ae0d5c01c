/* SPDX-License-Identifier: MIT */
/* A bare target: its own ring, its own wait, and a pool of workers. */
#include <stddef.h>
#include <stdlib.h>

#include "peer.h"
#include "question.h"

struct loop {
	struct ringwake *target;
	struct ringwake_pool *pool;
	struct receiver receiver;
	unsigned next_class;
	bool stopped;
};

static struct loop *open_target(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = allocate(1, sizeof *loop);
	loop->receiver = *receiver;
	struct ringwake_params params = {.spin_ns = peer->spin_ns};
	must(ringwake_open(&loop->target, NULL, &params), "ringwake_open");
	return loop;
}

static struct loop *open_pool(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = open_target(peer, receiver);
	struct ringwake_pool_params params = {.threads = WORKERS,
		.spin_ns = peer->spin_ns,
		.record_times = peer->flags & PEER_RECORDS_TIMES};
	must(ringwake_pool_open_with(&loop->pool, &params), "ringwake_pool_open");
	return loop;
}

static void run(struct loop *loop)
{
	while (!loop->stopped)
		must(ringwake_wait(loop->target, -1), "ringwake_wait");
}

static void stop(struct loop *loop)
{
	loop->stopped = true;
}

static void close_target(struct loop *loop)
{
	if (loop->pool)
		ringwake_pool_close(loop->pool, RINGWAKE_POOL_FINISH);
	ringwake_close(loop->target);
	free(loop);
}

static void send_message(struct loop *loop, struct item *item)
{
	item->msg.fn = loop->receiver.deliver;
	must(ringwake_send(loop->target, &item->msg), "ringwake_send");
}

static void send_messages(struct loop *loop, struct ringwake_msg *const *messages, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		messages[i]->fn = loop->receiver.deliver;
	must(ringwake_send_many(loop->target, messages, count), "ringwake_send_many");
}

static void on_worker(struct ringwake_work *work)
{
	(void)work;
	run_job();
}

static void on_done(struct ringwake_work *work, int status)
{
	check(status == 0, "work was cancelled");
	struct job *job = (struct job *)work;
	job->ended(job);
}

static void submit(struct loop *loop, struct job *job)
{
	must(ringwake_pool_submit(loop->pool, loop->target, &job->work, on_worker, on_done),
		"ringwake_pool_submit");
}

/* One piece of work in three is fast, normal and slow. */
static void submit_in_classes(struct loop *loop, struct job *job)
{
	static const struct ringwake_submit_params params[] = {{.work_class = RINGWAKE_WORK_FAST},
		{.work_class = RINGWAKE_WORK_NORMAL}, {.work_class = RINGWAKE_WORK_SLOW}};
	loop->next_class = (loop->next_class + 1) % 3;
	must(ringwake_pool_submit_with(loop->pool, loop->target, &job->work, on_worker, on_done,
		     &params[loop->next_class]),
		"ringwake_pool_submit_with");
}

/* An errand's item is delivered when its work is done. */
static void on_errand(struct ringwake_work *work, int status)
{
	struct errand *errand =
		(struct errand *)(void *)((char *)work - offsetof(struct errand, work));
	check(status == 0, "work was cancelled");
	errand->item.msg.fn(&errand->item.msg);
}

static void do_nothing(struct ringwake_work *work)
{
	(void)work;
}

static void send_errand(struct loop *loop, struct item *item)
{
	item->msg.fn = loop->receiver.deliver;
	must(ringwake_pool_submit(loop->pool, loop->target, &((struct errand *)item)->work,
		     do_nothing, on_errand),
		"ringwake_pool_submit");
}

#define PEER(open_, spin, ...)                                                                     \
	{                                                                                          \
		.open = (open_), .run = run, .stop = stop, .close = close_target,                  \
		.send = send_message, .spin_ns = (spin), __VA_ARGS__                               \
	}

const struct peer peer_ringwake = PEER(open_target, 0);
const struct peer peer_ringwake_many = PEER(open_target, 0, .send_many = send_messages);
const struct peer peer_ringwake_blocking = PEER(open_target, RINGWAKE_SPIN_OFF);
const struct peer peer_ringwake_pool = PEER(open_pool, 0, .submit = submit);
const struct peer peer_ringwake_pool_blocking =
	PEER(open_pool, RINGWAKE_SPIN_OFF, .submit = submit);
const struct peer peer_ringwake_pool_classes = PEER(open_pool, 0, .submit = submit_in_classes);
const struct peer peer_ringwake_pool_times =
	PEER(open_pool, 0, .submit = submit, .flags = PEER_RECORDS_TIMES);
const struct peer peer_errand = {
	.open = open_pool, .run = run, .stop = stop, .close = close_target, .send = send_errand};
