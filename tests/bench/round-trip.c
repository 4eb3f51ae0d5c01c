/* SPDX-License-Identifier: MIT */
/* A, B, C, D, J: two loops that wake each other in turn. */
#include <stdatomic.h>

#include "kernel.h"
#include "machine.h"
#include "questions.h"
#include "way.h"

struct player {
	const struct way *way;
	struct player *other;
	void *loop;
	long woken, rounds;
	bool begins;
	pthread_barrier_t *barrier;
	int64_t start, end;
};

static void on_woken(void *owner)
{
	struct player *player = owner;
	player->woken++;
	if (player->woken < player->rounds || !player->begins)
		player->way->wake(player->other->loop);
	if (player->woken == player->rounds)
		player->way->stop(player->loop);
}

static void *play(void *argument)
{
	struct player *player = argument;
	player->loop = player->way->open(on_woken, player);
	pthread_barrier_wait(player->barrier);
	player->start = now_ns();
	if (player->begins)
		player->way->wake(player->other->loop);
	player->way->run(player->loop);
	player->end = now_ns();
	pthread_barrier_wait(player->barrier);
	player->way->close(player->loop);
	return NULL;
}

static double round_trip(const struct way *way, long rounds, int processors)
{
	pthread_barrier_t barrier;
	pthread_barrier_init(&barrier, NULL, 2);
	struct player players[2] = {
		{.way = way, .rounds = rounds, .begins = true, .barrier = &barrier},
		{.way = way, .rounds = rounds, .barrier = &barrier}};
	players[0].other = &players[1];
	players[1].other = &players[0];
	pthread_t first = start_thread(play, &players[0], 0);
	pthread_t second = start_thread(play, &players[1], processors - 1);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	pthread_barrier_destroy(&barrier);
	check(players[0].woken == rounds && players[1].woken == rounds, "a wake is missing");
	return (double)(players[0].end - players[0].start) / (double)rounds / 1000;
}

static void run_on_one_core(const void *what, long point, double *values)
{
	(void)point;
	values[0] = round_trip(what, amount(4000), 1);
}

static void run_on_two_cores(const void *what, long point, double *values)
{
	(void)point;
	start_spinners();
	values[0] = round_trip(what, amount(2000), 2);
	stop_spinners();
}

static const struct metric metrics[] = {{"round trip", "us", false}};
static const long one_point[] = {1};

#define ROUND_TRIP(id, letter, text, where, variants_, reaches_, function)                         \
	const struct question question_##id = {.name = letter,                                     \
		.title = text,                                                                     \
		.how = where,                                                                      \
		.points = one_point,                                                               \
		.point_count = 1,                                                                  \
		.metrics = metrics,                                                                \
		.metric_count = 1,                                                                 \
		.variants = variants_,                                                             \
		.variant_count = COUNT(variants_),                                                 \
		.reaches = reaches_,                                                               \
		.reach_count = COUNT(reaches_),                                                    \
		.run = function,                                                                   \
		.repeat = 9}

#define FUTEX          "futex(2)"
#define LINE           "one cache line, both spin"
#define READ           "READ of an eventfd on a ring"
#define RINGWAKE       "ringwake"
#define SPIN           "ringwake, spin_ns 50,000"
#define UV             "uv_async"
#define UV_RING        "ringwake, libuv on the ring"
#define UV_RING_SPIN   "ringwake, libuv on the ring, spin_ns 50,000"
#define EV_RING_EDGES  "ringwake, libev on io_uring"
#define EV_RING        "ev_async, libev on io_uring"
#define EV_EPOLL_EDGES "ringwake, libev on epoll"
#define EV_EPOLL       "ev_async, libev on epoll"
#define UV_EDGES       "ringwake, libuv attached"
#define ONE_CORE       "both loops pinned to one core, each asleep when it is woken"
#define TWO_CORES      "one loop a core, SCHED_IDLE spinners keep both cores awake"

static const struct variant variants_a[] = {{.name = RINGWAKE, .what = &way_ringwake},
	{.name = FUTEX, .what = &way_futex}, {.name = "pipe", .what = &way_pipe},
	{.name = "eventfd + epoll, edge-triggered", .what = &way_eventfd_edge},
	{.name = "eventfd + epoll + read", .what = &way_eventfd_level},
	{.name = READ, .what = &way_ring_read},
	{.name = "FUTEX_WAIT on a ring", .what = &way_ring_futex, NEEDS_FUTEX_WAIT},
	{.name = "async MSG_RING, locked sender ring", .what = &way_ring_async},
	{.name = "sync MSG_RING, no library", .what = &way_ring_sync, NEEDS_SYNC_MSG_RING}};
static const struct reach reaches_a[] = {
	{.subject = RINGWAKE, .peer = FUTEX, .comparison = AT_MOST, .limit = 1.0},
	{.subject = RINGWAKE, .peer = READ, .comparison = AT_LEAST, .limit = 1.55}};
ROUND_TRIP(blocked, "A", "Blocked round trip, bare target", ONE_CORE, variants_a, reaches_a,
	run_on_one_core);

static const struct variant variants_b[] = {
	{.name = UV_RING, .what = &way_uv_ring}, {.name = UV, .what = &way_uv}};
static const struct reach reaches_b[] = {
	{.subject = UV_RING, .peer = UV, .comparison = AT_LEAST, .limit = 1.5}};
ROUND_TRIP(uv_ring, "B", "Blocked round trip, libuv loop on the ring", ONE_CORE, variants_b,
	reaches_b, run_on_one_core);

static const struct variant variants_c[] = {
	{.name = UV_EDGES, .what = &way_uv_attached}, {.name = UV, .what = &way_uv}};
static const struct reach reaches_c[] = {
	{.subject = UV_EDGES, .peer = UV, .comparison = AT_LEAST, .limit = 1.1}};
ROUND_TRIP(uv_attached, "C", "Blocked round trip, libuv attached", ONE_CORE, variants_c, reaches_c,
	run_on_one_core);

static const struct variant variants_d[] = {{.name = EV_RING_EDGES, EV_WAY(way_ringwake_ev_ring)},
	{.name = EV_RING, EV_WAY(way_ev_ring)},
	{.name = EV_EPOLL_EDGES, EV_WAY(way_ringwake_ev_epoll)},
	{.name = EV_EPOLL, EV_WAY(way_ev_epoll)}};
static const struct reach reaches_d[] = {
	{.subject = EV_RING_EDGES, .peer = EV_RING, .comparison = AT_LEAST, .limit = 10},
	{.subject = EV_EPOLL_EDGES, .peer = EV_EPOLL, .comparison = AT_LEAST, .limit = 1.1}};
ROUND_TRIP(ev, "D", "Blocked round trip, libev", ONE_CORE, variants_d, reaches_d, run_on_one_core);

static const struct variant variants_j[] = {{.name = SPIN, .what = &way_ringwake_spin},
	{.name = UV_RING_SPIN, .what = &way_uv_ring_spin},
	{.name = RINGWAKE, .what = &way_ringwake}, {.name = LINE, .what = &way_cache_line},
	{.name = UV, .what = &way_uv}, {.name = FUTEX, .what = &way_futex},
	{.name = "eventfd + epoll, edge-triggered", .what = &way_eventfd_edge},
	{.name = READ, .what = &way_ring_read}};
static const struct reach reaches_j[] = {
	{.subject = SPIN, .peer = LINE, .comparison = AT_MOST, .limit = 3.0}};
ROUND_TRIP(spinning, "J", "Round trip across cores", TWO_CORES, variants_j, reaches_j,
	run_on_two_cores);
