/* SPDX-License-Identifier: MIT */
/* A, B, C, D, J: two loops wake each other in turn. */
#include "kernel.h"
#include "peer.h"
#include "question.h"

/* A loop that spins without success needs 1,023 waits until it hardly spins any more, see
 * lib/spinner.c. Each round trip has at least one wait of each loop. */
#define WARM_UP 2048

struct player {
	struct host *host;
	struct player *other;
	struct item item; /* sent to this player */
	long wakes_left, timed_wakes;
	bool answers_last;
	int64_t first_ns, last_ns; /* its first wake that is timed, and its last */
};

static void on_woken(struct ringwake_msg *msg)
{
	struct player *player = ((struct item *)msg)->context;
	if (player->wakes_left == player->timed_wakes)
		player->first_ns = now_ns();
	player->wakes_left--;
	if (player->wakes_left > 0 || player->answers_last)
		send_to(player->other->host, &player->other->item);
	if (player->wakes_left == 0) {
		player->last_ns = now_ns();
		stop_host(player->host);
	}
}

/* The first player's first wake comes from this thread, and its last one is not answered. */
static void run(const void *peer, long point, double *values)
{
	struct host hosts[2] = {0};
	struct player players[2] = {0};
	long rounds = amount(4000);
	(void)point;
	for (int i = 0; i < 2; i++) {
		players[i] = (struct player){.host = &hosts[i],
			.other = &players[1 - i],
			.item.context = &players[i],
			.wakes_left = WARM_UP + rounds + (i == 0),
			.timed_wakes = rounds + (i == 0),
			.answers_last = i == 1};
		hosts[i].peer = peer;
		hosts[i].receiver = (struct receiver){
			.deliver = on_woken, .wake.context = &players[i], .handles = 1};
		start_host(&hosts[i], i);
	}
	send_to(&hosts[0], &players[0].item);
	end_hosts(hosts, 2);
	check(players[0].wakes_left == 0 && players[1].wakes_left == 0, "a wake is missing");
	values[0] = (double)(players[0].last_ns - players[0].first_ns) / (double)rounds / 1000;
}

static const struct metric metrics[] = {
	{"round trip", "us", false}, {"added to futex(2)", "us", false}};

#define FUTEX "futex(2)"
#define ROUND_TRIP(id, letter, text, where, variants_, reaches_)                                   \
	const struct question question_##id = {.name = letter,                                     \
		.title = text,                                                                     \
		where,                                                                             \
		ONE_POINT,                                                                         \
		.variants = ALL(variants_),                                                        \
		.run = run,                                                                        \
		.reaches = ALL(reaches_),                                                          \
		.repeat = 9}

#define LINE           "one cache line, both spin"
#define READ           "READ of an eventfd on a ring"
#define RINGWAKE       "ringwake"
#define BLOCKING       "ringwake, RINGWAKE_SPIN_OFF"
#define UV             "uv_async"
#define UV_RING        "ringwake, libuv on the ring"
#define EV_RING_EDGES  "ringwake, libev on io_uring"
#define EV_RING        "ev_async, libev on io_uring"
#define EV_EPOLL_EDGES "ringwake, libev on epoll"
#define EV_EPOLL       "ev_async, libev on epoll"
#define UV_EDGES       "ringwake, libuv attached"
#define SHARED                                                                                     \
	.how = "both loops pinned to one core, each blocked when it is woken",                     \
	.placement = ONE_CORE, .metrics = ALL(metrics), .floor = FUTEX
#define APART                                                                                      \
	.how = "one loop a core, SCHED_IDLE spinners keep both cores awake",                       \
	.placement = TWO_CORES, .metrics = metrics, .metric_count = 1

/* The goal is on what a way adds to futex(2)'s round trip, which no wake of a blocked thread can
 * save. */
#define ADDS(subject_, peer_, limit_)                                                              \
	{.subject = (subject_), .peer = (peer_), .comparison = SHOWN},                             \
	{                                                                                          \
		.subject = (subject_), .peer = (peer_), .metric = 1, .comparison = AT_MOST,        \
		.limit = (limit_)                                                                  \
	}
#define FLOOR                                                                                      \
	{                                                                                          \
		.name = FUTEX, .what = &peer_futex                                                 \
	}

static const struct variant variants_a[] = {{.name = RINGWAKE, .what = &peer_ringwake, BOTH_PATHS},
	FLOOR, {.name = "pipe", .what = &peer_pipe},
	{.name = "eventfd + epoll, edge-triggered", .what = &peer_eventfd_edge},
	{.name = "eventfd + epoll + read", .what = &peer_eventfd_level},
	{.name = READ, .what = &peer_ring_read},
	{.name = "FUTEX_WAIT on a ring", .what = &peer_ring_futex, NEEDS_FUTEX_WAIT},
	{.name = "async MSG_RING, locked sender ring", .what = &peer_ring_async},
	{.name = "sync MSG_RING, no library", .what = &peer_ring_sync, NEEDS_SYNC_MSG_RING}};
static const struct reach reaches_a[] = {ADDS(RINGWAKE, READ, 0.08)};
ROUND_TRIP(blocked, "A", "Blocked round trip, bare target", SHARED, variants_a, reaches_a);

static const struct variant variants_b[] = {{.name = UV_RING, .what = &peer_uv_ring, BOTH_PATHS},
	{.name = UV, .what = &peer_uv}, FLOOR};
static const struct reach reaches_b[] = {ADDS(UV_RING, UV, 0.2)};
ROUND_TRIP(
	uv_ring, "B", "Blocked round trip, libuv loop on the ring", SHARED, variants_b, reaches_b);

static const struct variant variants_c[] = {
	{.name = UV_EDGES, .what = &peer_uv_attached, BOTH_PATHS}, {.name = UV, .what = &peer_uv},
	FLOOR};
static const struct reach reaches_c[] = {ADDS(UV_EDGES, UV, 0.6)};
ROUND_TRIP(uv_attached, "C", "Blocked round trip, libuv attached", SHARED, variants_c, reaches_c);

static const struct variant variants_d[] = {
	{.name = EV_RING_EDGES, EV_PEER(peer_ringwake_ev_ring), BOTH_PATHS},
	{.name = EV_RING, EV_PEER(peer_ev_ring)},
	{.name = EV_EPOLL_EDGES, EV_PEER(peer_ringwake_ev_epoll), BOTH_PATHS},
	{.name = EV_EPOLL, EV_PEER(peer_ev_epoll)}, FLOOR};
static const struct reach reaches_d[] = {
	ADDS(EV_RING_EDGES, EV_RING, 0.1), ADDS(EV_EPOLL_EDGES, EV_EPOLL, 0.8)};
ROUND_TRIP(ev, "D", "Blocked round trip, libev", SHARED, variants_d, reaches_d);

static const struct variant variants_j[] = {{.name = RINGWAKE, .what = &peer_ringwake, BOTH_PATHS},
	{.name = UV_RING, .what = &peer_uv_ring, BOTH_PATHS},
	{.name = UV_EDGES, .what = &peer_uv_attached, BOTH_PATHS},
	{.name = BLOCKING, .what = &peer_ringwake_blocking, BOTH_PATHS},
	{.name = LINE, .what = &peer_cache_line}, {.name = UV, .what = &peer_uv}, FLOOR,
	{.name = "eventfd + epoll, edge-triggered", .what = &peer_eventfd_edge},
	{.name = READ, .what = &peer_ring_read}};
static const struct reach reaches_j[] = {
	{.subject = RINGWAKE, .peer = LINE, .comparison = AT_MOST, .limit = 3.0}};
ROUND_TRIP(spinning, "J", "Round trip across cores", APART, variants_j, reaches_j);
