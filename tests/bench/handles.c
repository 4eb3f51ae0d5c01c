/* SPDX-License-Identifier: MIT */
/* G: one handle signalled among many, loop asleep, both threads on one core. */
#include <linux/futex.h>
#include <ringwake/uv.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine.h"
#include "questions.h"

struct many {
	long count;
	uint32_t signals;
	uv_loop_t loop;
	struct ringwake_uv *attached; /* NULL: libuv's own handles */
	uv_async_t *plain;
	ringwake_uv_async_t *ringwake;
	_Atomic uint32_t heard; /* callbacks, and the futex that the signaller waits on */
	_Atomic long last;
	pthread_barrier_t begin;
	double time;
};

static void hear(struct many *many, long index)
{
	atomic_store(&many->last, index);
	atomic_fetch_add(&many->heard, 1);
	syscall(SYS_futex, &many->heard, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	if (atomic_load(&many->heard) == many->signals)
		uv_stop(&many->loop);
}

static void on_plain(uv_async_t *async)
{
	struct many *many = async->loop->data;
	hear(many, async - many->plain);
}

static void on_ringwake(ringwake_uv_async_t *async)
{
	struct many *many = async->handle.loop->data;
	hear(many, async - many->ringwake);
}

static void *signal_handles(void *argument)
{
	struct many *many = argument;
	pthread_barrier_wait(&many->begin);
	int64_t start = now_ns();
	for (uint32_t i = 0; i < many->signals; i++) {
		long index = (long)(i * UINT64_C(2654435761) % (uint64_t)many->count);
		if (many->attached)
			must(ringwake_uv_async_send(&many->ringwake[index]), "send");
		else
			must(uv_async_send(&many->plain[index]), "send");
		while (atomic_load(&many->heard) == i)
			syscall(SYS_futex, &many->heard, FUTEX_WAIT_PRIVATE, i, NULL, NULL, 0);
		check(atomic_load(&many->last) == index, "another handle was called");
	}
	many->time = (double)(now_ns() - start) / (double)many->signals / 1000;
	return NULL;
}

static void open_handles(struct many *many)
{
	size_t count = (size_t)many->count;
	must(uv_loop_init(&many->loop), "uv_loop_init");
	many->loop.data = many;
	if (many->attached == NULL) {
		many->plain = calloc(count, sizeof many->plain[0]);
		check(many->plain != NULL, "memory");
		for (size_t i = 0; i < count; i++)
			uv_async_init(&many->loop, &many->plain[i], on_plain);
		return;
	}
	must(ringwake_uv_attach(&many->attached, &many->loop, NULL), "ringwake_uv_attach");
	many->ringwake = calloc(count, sizeof many->ringwake[0]);
	check(many->ringwake != NULL, "memory");
	for (size_t i = 0; i < count; i++)
		ringwake_uv_async_init(many->attached, &many->ringwake[i], on_ringwake);
}

static void close_handles(struct many *many)
{
	for (long i = 0; i < many->count; i++) {
		if (many->attached)
			ringwake_uv_close((uv_handle_t *)&many->ringwake[i], NULL);
		else
			uv_close((uv_handle_t *)&many->plain[i], NULL);
	}
	uv_run(&many->loop, UV_RUN_DEFAULT);
	if (many->attached)
		must(ringwake_uv_detach(many->attached), "ringwake_uv_detach");
	must(uv_loop_close(&many->loop), "uv_loop_close");
	free(many->plain);
	free(many->ringwake);
}

enum kind { PLAIN, ATTACHED, ON_RING };
static const enum kind plain = PLAIN, attached = ATTACHED, on_ring = ON_RING;

static void run(const void *what, long count, double *values)
{
	enum kind kind = *(const enum kind *)what;
	/* Any pointer but NULL: the kind, until the handles are open. */
	struct many many = {.count = count, .attached = kind == PLAIN ? NULL : (void *)&many};
	many.signals = (uint32_t)(kind == PLAIN && count > 1000 ? amount(100) : amount(20000));
	pin(0);
	open_handles(&many);
	pthread_barrier_init(&many.begin, NULL, 2);
	pthread_t thread = start_thread(signal_handles, &many, 0);
	pthread_barrier_wait(&many.begin);
	if (kind == ON_RING)
		ringwake_uv_run(many.attached, UV_RUN_DEFAULT);
	else
		uv_run(&many.loop, UV_RUN_DEFAULT);
	pthread_join(thread, NULL);
	check(atomic_load(&many.heard) == many.signals, "callbacks are missing");
	close_handles(&many);
	pthread_barrier_destroy(&many.begin);
	pin(-1);
	values[0] = many.time;
}

#define UV    "uv_async"
#define EDGES "ringwake, libuv attached"
#define RING  "ringwake, libuv on the ring"

static const struct variant variants[] = {{.name = EDGES, .what = &attached},
	{.name = RING, .what = &on_ring}, {.name = UV, .what = &plain}};
static const struct metric metrics[] = {{"a wake, answered", "us", false}};
static const struct reach reaches[] = {{.subject = EDGES,
					       .peer = EDGES,
					       .point = 1000000,
					       .peer_point = 1,
					       .comparison = AT_MOST,
					       .limit = 1.5},
	{.subject = EDGES, .peer = UV, .point = 1000000, .comparison = AT_LEAST, .limit = 1000},
	{.subject = RING,
		.peer = RING,
		.point = 1000000,
		.peer_point = 1,
		.comparison = AT_MOST,
		.limit = 1.5},
	{.subject = RING, .peer = UV, .point = 1000000, .comparison = AT_LEAST, .limit = 1000}};
static const long points[] = {1, 1000, 1000000};

const struct question question_handles = {.name = "G",
	.title = "One handle signalled among many",
	.how = "both threads pinned to one core; the callback answers by futex",
	.point = "handles",
	.points = points,
	.point_count = COUNT(points),
	.metrics = metrics,
	.metric_count = COUNT(metrics),
	.variants = variants,
	.variant_count = COUNT(variants),
	.run = run,
	.reaches = reaches,
	.reach_count = COUNT(reaches)};
