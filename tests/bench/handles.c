/* SPDX-License-Identifier: MIT */
/* G: one handle signalled among many, the loop blocked, both threads on one core. */
#include "futex.h"
#include "peer.h"
#include "question.h"

struct many {
	struct host host;
	uint32_t signals;
	_Atomic uint32_t answers; /* callbacks, and the futex on which the signaller waits */
	_Atomic uint64_t last;
};

static void answer(struct ringwake_msg *msg)
{
	struct item *item = (struct item *)msg;
	struct many *many = item->context;
	atomic_store(&many->last, item->value);
	uint32_t answers = atomic_fetch_add(&many->answers, 1) + 1;
	futex_wake(&many->answers);
	if (answers == many->signals)
		stop_host(&many->host);
}

static void signal_handles(struct many *many, uint64_t count)
{
	for (uint32_t i = 0; i < many->signals; i++) {
		struct item item = {.value = i * UINT64_C(2654435761) % count};
		send_to(&many->host, &item);
		while (atomic_load(&many->answers) == i)
			futex_wait(&many->answers, i);
		check(atomic_load(&many->last) == item.value, "another handle was called");
	}
}

static void run(const void *peer, long count, double *values)
{
	struct many many = {.host.peer = peer};
	many.signals = (uint32_t)amount(peer == &peer_uv && count > 1000 ? 100 : 20000);
	many.host.receiver =
		(struct receiver){.deliver = answer, .wake.context = &many, .handles = count};
	start_host(&many.host, 0);
	int64_t start = now_ns();
	signal_handles(&many, (uint64_t)count);
	values[0] = (double)(now_ns() - start) / (double)many.signals / 1000;
	end_hosts(&many.host, 1);
	check(atomic_load(&many.answers) == many.signals, "callbacks are missing");
}

#define UV    "uv_async"
#define EDGES "ringwake, libuv attached"
#define RING  "ringwake, libuv on the ring"

static const struct variant variants[] = {{.name = EDGES, .what = &peer_uv_attached, BOTH_PATHS},
	{.name = RING, .what = &peer_uv_ring, BOTH_PATHS}, {.name = UV, .what = &peer_uv}};
static const struct metric metrics[] = {{"a wake, answered", "us", false}};

#define FLAT(variant)                                                                              \
	{                                                                                          \
		.subject = variant, .peer = variant, .point = 1000000, .peer_point = 1,            \
		.comparison = AT_MOST, .limit = 1.5                                                \
	}
#define FASTER(variant)                                                                            \
	{                                                                                          \
		.subject = variant, .peer = UV, .point = 1000000, .comparison = AT_LEAST,          \
		.limit = 1000                                                                      \
	}
static const struct reach reaches[] = {FLAT(EDGES), FASTER(EDGES), FLAT(RING), FASTER(RING)};
static const long points[] = {1, 10, 100, 1000, 10000, 100000, 1000000};

const struct question question_handles = {.name = "G",
	.title = "One handle signalled among many",
	.how = "both threads pinned to one core; the callback answers by futex",
	.placement = ONE_CORE,
	.point = "handles",
	.points = ALL(points),
	.metrics = ALL(metrics),
	.variants = ALL(variants),
	.run = run,
	.reaches = ALL(reaches)};
