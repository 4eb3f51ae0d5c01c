/* SPDX-License-Identifier: MIT */
/* L: what the shapes in list-shapes.c cost, among many senders and alone. */
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "credit.h"
#include "list-shapes.h"
#include "machine.h"
#include "questions.h"

#define MAX_PRODUCERS 64

struct producer {
	struct credit credit;
	alignas(64) struct node nodes[WINDOW];
	uint64_t count;
	struct race *race;
};

struct race {
	const struct shape *shape;
	struct list list;
	alignas(64) _Atomic uint32_t bell;
	_Atomic uint32_t go;
	uint32_t heard;
	struct producer producers[MAX_PRODUCERS];
};

static void ring_bell(struct race *race)
{
	atomic_fetch_add(&race->bell, 1);
	syscall(SYS_futex, &race->bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void sleep_for_bell(struct race *race)
{
	while (atomic_load(&race->bell) == race->heard)
		syscall(SYS_futex, &race->bell, FUTEX_WAIT_PRIVATE, race->heard, NULL, NULL, 0);
	race->heard = atomic_load(&race->bell);
}

static void *produce(void *argument)
{
	struct producer *producer = argument;
	struct race *race = producer->race;
	while (!atomic_load(&race->go))
		sched_yield();
	for (uint64_t i = 0; i < producer->count; i++) {
		credit_take(&producer->credit, i);
		struct node *node = &producer->nodes[i % WINDOW];
		node->producer = producer;
		node->value = i;
		if (race->shape->push(&race->list, node))
			ring_bell(race);
	}
	return NULL;
}

static uint64_t consume(struct race *race, uint64_t total)
{
	uint64_t bells = 0;
	while (total > 0) {
		struct node *node = race->shape->pop(&race->list);
		if (node == NULL) {
			if (race->shape->fall_asleep(&race->list)) {
				sleep_for_bell(race);
				bells++;
			}
			race->shape->wake_up(&race->list);
			continue;
		}
		struct producer *producer = node->producer;
		check(node->value == producer->credit.counted,
			"a message is missing or out of order");
		credit_give(&producer->credit);
		total--;
	}
	return bells;
}

/* placement: 0 all on one core; 1 producers on one, the consumer on the other; 2 producers on both
 */
static void run_race(const struct shape *shape, long producers, int placement, double *values)
{
	static struct race race;
	pthread_t threads[MAX_PRODUCERS];
	uint64_t each = (uint64_t)amount(2000000) / (uint64_t)producers;
	race.shape = shape;
	shape->init(&race.list);
	atomic_store(&race.go, 0);
	race.heard = atomic_load(&race.bell);
	pin(placement == 0 ? 0 : 1);
	if (placement != 0)
		start_spinners();
	for (long i = 0; i < producers; i++) {
		struct producer *producer = &race.producers[i];
		credit_init(&producer->credit);
		producer->count = each;
		producer->race = &race;
		threads[i] = start_thread(produce, producer, placement == 2 ? (int)(i % 2) : 0);
	}
	int64_t start = now_ns();
	atomic_store(&race.go, 1);
	uint64_t bells = consume(&race, each * (uint64_t)producers);
	int64_t end = now_ns();
	for (long i = 0; i < producers; i++)
		pthread_join(threads[i], NULL);
	if (placement != 0)
		stop_spinners();
	values[0] = (double)(end - start) / (double)(each * (uint64_t)producers);
	values[1] = (double)bells / (double)(each * (uint64_t)producers);
}

static void run_on_one_core(const void *what, long producers, double *values)
{
	run_race(what, producers, 0, values);
}

static void run_on_two_cores(const void *what, long producers, double *values)
{
	run_race(what, producers, 1, values);
}

static void run_on_both_cores(const void *what, long producers, double *values)
{
	run_race(what, producers, 2, values);
}

static const struct variant shapes[] = {{.name = "stack, load + CAS", .what = &shape_stack},
	{.name = "stack, CAS without the load", .what = &shape_stack_guess},
	{.name = "stack, prefetch + CAS", .what = &shape_stack_prefetch},
	{.name = "stack, exchange + link", .what = &shape_stack_exchange},
	{.name = "queue, exchange + link", .what = &shape_queue}};
static const long producer_counts[] = {1, 2, 4, 8, 16, 64};
static const struct metric race_metrics[] = {
	{"time", "ns/message", false}, {"wakes", "a message", false}};

#define RACE_QUESTION(id, number, where, function)                                                 \
	const struct question question_list_##id = {.name = number,                                \
		.title = "List shapes: many senders, one consumer",                                \
		.how = where ", 4,096 messages a sender under way, order checked",                 \
		.point = "producers",                                                              \
		.points = producer_counts,                                                         \
		.point_count = COUNT(producer_counts),                                             \
		.metrics = race_metrics,                                                           \
		.metric_count = COUNT(race_metrics),                                               \
		.variants = shapes,                                                                \
		.variant_count = COUNT(shapes),                                                    \
		.run = function}

RACE_QUESTION(one, "L1", "all on one core", run_on_one_core);
RACE_QUESTION(two, "L2", "senders on one core, consumer on another", run_on_two_cores);
RACE_QUESTION(both, "L3", "senders on both cores, consumer on one", run_on_both_cores);

/* The peer: what any push has to do at least, one exchange on a line that others write. */
static bool bare_push(struct list *list, struct node *node)
{
	atomic_exchange_explicit(&list->word, (uintptr_t)node, memory_order_acq_rel);
	return false;
}

static struct node *bare_pop(struct list *list)
{
	if (atomic_load_explicit(&list->word, memory_order_relaxed) == 0)
		return NULL;
	atomic_exchange_explicit(&list->word, 0, memory_order_acq_rel);
	return &list->stub;
}

static const struct shape shape_bare = {
	.name = "one exchange, no list", .push = bare_push, .pop = bare_pop};

#define BATCH 64

/* One thread: pushes a batch, then takes it. */
static void run_alone(const struct shape *shape, double *values)
{
	static struct list list;
	static struct node nodes[BATCH];
	long batches = amount(40000);
	int64_t pushing = 0, popping = 0;
	if (shape->init)
		shape->init(&list);
	pin(0);
	for (long i = 0; i < batches; i++) {
		int64_t start = now_ns();
		for (int j = 0; j < BATCH; j++)
			shape->push(&list, &nodes[j]);
		int64_t middle = now_ns();
		for (int j = 0; j < BATCH; j++) {
			struct node *node = shape->pop(&list);
			check(shape->init == NULL || node == &nodes[j], "order");
		}
		popping += now_ns() - middle;
		pushing += middle - start;
	}
	values[0] = (double)pushing / (double)(batches * BATCH);
	values[1] = shape->init ? (double)popping / (double)(batches * BATCH) : 0;
}

struct chase {
	const struct shape *shape;
	struct list list;
	alignas(64) _Atomic bool stop;
};

static void *chase(void *argument)
{
	struct chase *chase = argument;
	while (!atomic_load_explicit(&chase->stop, memory_order_relaxed)) {
		if (chase->shape->pop(&chase->list) == NULL)
			relax();
	}
	return NULL;
}

/* A consumer on the other core that is always awake and takes what there is. */
static void run_busy(const struct shape *shape, double *values)
{
	static struct chase chase_state;
	static struct node nodes[1 << 18];
	struct chase *state = &chase_state;
	long count = amount(1 << 18);
	state->shape = shape;
	atomic_store(&state->stop, false);
	if (shape->init)
		shape->init(&state->list);
	pthread_t thread = start_thread(chase, state, 1);
	int64_t start = now_ns();
	for (long i = 0; i < count; i++)
		shape->push(&state->list, &nodes[i]);
	values[2] = (double)(now_ns() - start) / (double)count;
	atomic_store(&state->stop, true);
	pthread_join(thread, NULL);
}

static void run_push(const void *what, long point, double *values)
{
	(void)point;
	run_alone(what, values);
	run_busy(what, values);
}

static const struct variant push_variants[] = {
	{.name = "one exchange, no list", .what = &shape_bare},
	{.name = "stack, load + CAS", .what = &shape_stack},
	{.name = "stack, CAS without the load", .what = &shape_stack_guess},
	{.name = "stack, prefetch + CAS", .what = &shape_stack_prefetch},
	{.name = "stack, exchange + link", .what = &shape_stack_exchange},
	{.name = "queue, exchange + link", .what = &shape_queue}};
static const struct metric push_metrics[] = {{"push, alone", "ns", false},
	{"pop, alone", "ns", false}, {"push to a busy consumer on the other core", "ns", false}};
static const struct reach push_reaches[] = {{.subject = "stack, load + CAS",
	.peer = "one exchange, no list",
	.metric = 2,
	.comparison = AT_MOST,
	.limit = 2}};
static const long one_point[] = {1};

const struct question question_list_push = {.name = "L4",
	.title = "List shapes: one push, one pop",
	.how = "64 pushes, then 64 pops; and pushes in a row to a consumer that never sleeps",
	.points = one_point,
	.point_count = 1,
	.metrics = push_metrics,
	.metric_count = COUNT(push_metrics),
	.variants = push_variants,
	.variant_count = COUNT(push_variants),
	.run = run_push,
	.reaches = push_reaches,
	.reach_count = COUNT(push_reaches)};
