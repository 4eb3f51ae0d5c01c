/* SPDX-License-Identifier: MIT */
/* E: what a send costs while the loop is busy. */
#include <ringwake/ringwake.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "effort.h"
#include "question.h"

#define BATCH 64
#define MANY  (1 << 16)

/* A shared place for messages, and how a loop that never blocks empties it. */
struct place {
	void (*open)(void);
	void (*send)(struct ringwake_msg *msg);
	long (*empty)(void); /* returns how many there were, if the place counts */
	void (*close)(void);
	bool counts;
};

static struct ringwake *target;

static void ignore(struct ringwake_msg *msg)
{
	(void)msg;
}

static void open_target(void)
{
	must(ringwake_open(&target, NULL, NULL), "ringwake_open");
}

static void send_target(struct ringwake_msg *msg)
{
	ringwake_send(target, msg);
}

static long empty_target(void)
{
	return ringwake_dispatch(target, 0);
}

static void close_target(void)
{
	ringwake_close(target);
}

static const struct place place_ringwake = {
	open_target, send_target, empty_target, close_target, true};

static struct {
	alignas(64) _Atomic uintptr_t word;
} line;

static void open_line(void)
{
	atomic_init(&line.word, 0);
}

static void exchange_line(struct ringwake_msg *msg)
{
	atomic_exchange_explicit(&line.word, (uintptr_t)msg, memory_order_acq_rel);
}

static long empty_line(void)
{
	if (atomic_load_explicit(&line.word, memory_order_relaxed) == 0)
		return 0;
	return atomic_exchange_explicit(&line.word, 0, memory_order_acq_rel) != 0;
}

static const struct place place_line = {open_line, exchange_line, empty_line, open_line, false};

/* Each has a cache line of its own, as most messages are part of a larger structure. */
static struct {
	alignas(64) struct ringwake_msg msg;
} messages[MANY];
static _Atomic bool stopped;
static long taken;

static double alone(const struct place *place)
{
	int64_t sending = 0;
	long batches = amount(2000);
	place->open();
	for (long i = 0; i < batches; i++) {
		int64_t start = now_ns();
		for (int j = 0; j < BATCH; j++)
			place->send(&messages[j].msg);
		sending += now_ns() - start;
		check(place->empty() == BATCH || !place->counts, "messages are missing");
	}
	place->close();
	return (double)sending / (double)(batches * BATCH);
}

static void *stay_busy(void *argument)
{
	const struct place *place = argument;
	taken = 0;
	while (!atomic_load_explicit(&stopped, memory_order_acquire)) {
		long count = place->empty();
		taken += count;
		if (count == 0)
			relax();
	}
	/* A dispatch may only reverse a part of a long list, so 0 does not mean empty. */
	int64_t deadline = now_ns() + 5 * INT64_C(1000000000);
	while (place->counts && taken < MANY && now_ns() < deadline)
		taken += place->empty();
	return NULL;
}

static void beside(const struct place *place, double *values)
{
	place->open();
	atomic_store(&stopped, false);
	pthread_t loop = start_thread(stay_busy, (void *)(uintptr_t)place, 1);
	struct effort effort;
	effort_begin(&effort, true);
	for (long i = 0; i < MANY; i++)
		place->send(&messages[i].msg);
	effort_end(&effort);
	values[1] = (double)(effort.end_ns - effort.start_ns) / MANY;
	values[2] = effort.calls / MANY;
	atomic_store(&stopped, true);
	pthread_join(loop, NULL);
	check(taken == MANY || !place->counts, "messages are missing");
	place->close();
}

static void run(const void *what, long point, double *values)
{
	(void)point;
	for (long i = 0; i < MANY; i++)
		messages[i].msg.fn = ignore;
	pin(0);
	values[0] = alone(what);
	beside(what, values);
}

#define RINGWAKE "ringwake_send"
#define LINE     "one bare atomic exchange"

static const struct variant variants[] = {{.name = RINGWAKE, .what = &place_ringwake, BOTH_PATHS},
	{.name = LINE, .what = &place_line}};
static const struct metric metrics[] = {{"alone", "ns", false},
	{"a loop on the other core takes them", "ns", false}, {"system calls", "a send", false}};
static const struct reach reaches[] = {
	{.subject = RINGWAKE, .peer = LINE, .metric = 0, .comparison = AT_MOST, .limit = 2},
	{.subject = RINGWAKE, .peer = LINE, .metric = 1, .comparison = AT_MOST, .limit = 2},
	{.subject = RINGWAKE, .metric = 2, .comparison = BELOW, .limit = 0}};

const struct question question_busy = {.name = "E",
	.title = "Send to a busy loop",
	.how = "sender pinned to one core; clock ticks are not subtracted",
	ONE_POINT,
	.metrics = ALL(metrics),
	.variants = ALL(variants),
	.run = run,
	.reaches = ALL(reaches),
	.repeat = 9};
