/* SPDX-License-Identifier: MIT */
/*
 * M1, M3 to M8: two loops answer each other for a fixed time, or a loop and a worker of its pool.
 * The first loop may work before each answer, so that the second one waits for longer. As much time
 * passes before as is measured, because a loop that adapts spins about ten times in vain first.
 */
#include <math.h>
#include <string.h>

#include "circumstances.h"
#include "machine.h"
#include "policy.h"

struct player {
	struct errand errand; /* sent to this player */
	struct host *host;
	struct player *other;
};

static struct {
	const struct subject *subject;
	enum circumstances circumstances;
	int64_t work_ns, begin_ns, start_ns, end_ns, duration_ns;
	int64_t used_ns; /* the process's processor time at the start, and then since */
	int64_t worked_ns, work_used_ns; /* how long all the work took, and its processor time */
	long rounds;
	bool is_over;
	struct player players[2];
} state;

/* If another thread takes the processor meanwhile, the work takes longer. */
static void work(void)
{
	int64_t used_ns = thread_used_ns(), start_ns = now_ns();
	while (now_ns() < start_ns + state.work_ns)
		relax();
	state.worked_ns += now_ns() - start_ns;
	state.work_used_ns += thread_used_ns() - used_ns;
}

static void begin_to_measure(void)
{
	state.start_ns = now_ns();
	state.used_ns = process_used_ns();
	state.worked_ns = state.work_used_ns = 0;
	state.rounds = 0;
}

/* Reads the clock in every eighth round, because it takes a part of a short round. */
static void count_round(void)
{
	state.rounds++;
	if (state.work_ns > 0)
		work();
	if (state.rounds % 8 != 0 && state.work_ns == 0)
		return;
	state.end_ns = now_ns();
	if (state.start_ns == 0 && state.end_ns >= state.begin_ns + state.duration_ns)
		begin_to_measure();
	if (state.start_ns == 0 || state.rounds == 0)
		return;
	state.is_over = state.end_ns - state.start_ns >= state.duration_ns;
	if (state.is_over)
		state.used_ns = process_used_ns() - state.used_ns;
}

static void on_woken(struct ringwake_msg *msg)
{
	struct player *player = ((struct item *)msg)->context;
	bool was_over = state.is_over;
	if (player == &state.players[0])
		count_round();
	if (state.is_over)
		stop_host(player->host);
	if (!was_over && (!state.is_over || player->other != player))
		send_to(player->other->host, &player->other->errand.item);
}

struct opening {
	const struct receiver *receiver;
	struct loop *loop;
};

static void *open_for_sender(void *argument)
{
	struct opening *opening = argument;
	struct peer peer = peer_of(state.subject);
	become_sender(state.circumstances);
	opening->loop = peer.open(&peer, opening->receiver);
	return NULL;
}

/* The second loop is the sender. A pool's workers are, so they inherit from a thread like it. */
static struct loop *open_player(const struct peer *unused, const struct receiver *receiver)
{
	(void)unused;
	struct opening opening = {.receiver = receiver};
	struct peer peer = peer_of(state.subject);
	if (state.subject->is_pool)
		pthread_join(start_thread(open_for_sender, &opening, 1), NULL);
	else if (receiver->wake.context == &state.players[1])
		open_for_sender(&opening);
	else
		opening.loop = peer.open(&peer, receiver);
	return opening.loop;
}

static void exchange(const struct subject *subject, enum circumstances circumstances, long work_us,
	double *values)
{
	int count = subject->is_pool ? 1 : 2;
	struct host hosts[2] = {0};
	const struct peer peer = {.open = open_player,
		.run = subject->peer->run,
		.stop = subject->peer->stop,
		.close = subject->peer->close,
		.send = subject->peer->send};
	memset(&state, 0, sizeof state);
	state.subject = subject;
	state.circumstances = circumstances;
	state.work_ns = work_us * 1000;
	/* A cgroup's limit is for 100 ms, so that one sample has several of them. */
	state.duration_ns = amount(circumstances == LIMITED ? 500 : 200) * 1000000;
	for (int i = 0; i < count; i++) {
		struct player *player = &state.players[i];
		player->host = &hosts[i];
		player->other = &state.players[count - 1 - i];
		player->errand.item.context = player;
		hosts[i].peer = &peer;
		hosts[i].receiver = (struct receiver){
			.deliver = on_woken, .wake.context = player, .handles = 1};
		start_host(&hosts[i], i);
	}
	state.begin_ns = now_ns();
	send_to(&hosts[0], &state.players[0].errand.item);
	end_hosts(hosts, count);
	check(state.is_over, "a wake is missing");
	int64_t time_ns = state.end_ns - state.start_ns - state.worked_ns;
	values[0] = (double)time_ns / (double)state.rounds / 1000;
	values[1] = (double)(state.used_ns - state.work_used_ns) / (double)state.rounds / 1000;
}

static void run(const void *what, enum circumstances circumstances, long work_us, double *values)
{
	values[0] = values[1] = NAN;
	if (!begin_circumstances(circumstances))
		return;
	exchange(what, circumstances, work_us, values);
	end_circumstances(circumstances);
}

#define FASTER(kind)                                                                               \
	{                                                                                          \
		.subject = ADAPTIVE(kind), .peer = UV, .comparison = AT_LEAST, .limit = 20         \
	}
static const struct variant variants[] = POLICY_VARIANTS(peer_uv);
static const struct metric metrics[] = {
	{"round trip", "us", false}, {"processor time a round", "us", false}};
static const struct reach reaches_dense[] = {FASTER(TARGET), FASTER(ATTACHED), FASTER(RING),
	FASTER(EPOLL), FASTER(EV_RING), FASTER(POOL), ALL_AT_MOST_BLOCKING(1, 1)};
static const struct reach reaches_pauses[] = {ALL_AT_MOST_BLOCKING(1, 1.1)};
static const struct reach reaches[] = {
	ALL_AT_MOST_BLOCKING(0, 1.05), ALL_AT_MOST_BLOCKING(1, 1.05)};
static const long one_point[] = {1};
static const long pauses[] = {20, 200, 2000};
static const long works[] = {1, 20, 200};

#define EXCHANGE(id, letter, text, where, pinning, circumstances, points_, reaches_)               \
	static void run_##id(const void *what, long work_us, double *values)                       \
	{                                                                                          \
		run(what, circumstances, COUNT(points_) > 1 ? work_us : 0, values);                \
	}                                                                                          \
	const struct question question_##id = {.name = letter,                                     \
		.title = "Adaptive spinning: " text,                                               \
		.how = where,                                                                      \
		.placement = pinning,                                                              \
		.point = COUNT(points_) > 1 ? "work, us" : NULL,                                   \
		.points = ALL(points_),                                                            \
		.metrics = ALL(metrics),                                                           \
		.variants = ALL(variants),                                                         \
		.run = run_##id,                                                                   \
		.reaches = ALL(reaches_)}

EXCHANGE(dense, "M1", "dense exchange across cores", "a loop on each of two cores", FREE, CALM,
	one_point, reaches_dense);
EXCHANGE(pauses, "M3", "exchange with pauses across cores",
	"a loop on each of two cores; the first works before it answers; without that time", FREE,
	CALM, pauses, reaches_pauses);
EXCHANGE(shared, "M4", "one core", "as M3, both loops pinned to one core", ONE_CORE, CALM, works,
	reaches);
EXCHANGE(contended, "M5", "all processors busy",
	"as M3, and another process has a busy thread on each core", FREE, BUSY, works, reaches);
EXCHANGE(limited, "M6", "a limit of processor time",
	"as M3, in a cgroup that may use half of one processor", FREE, LIMITED, works, reaches);
EXCHANGE(low_nice, "M7", "a sender with nice value 19", "as M4, the second loop or the workers",
	ONE_CORE, LOW_NICE, works, reaches);
EXCHANGE(low_idle, "M8", "a sender with SCHED_IDLE", "as M4, the second loop or the workers",
	ONE_CORE, LOW_SCHED_IDLE, works, reaches);
