/* SPDX-License-Identifier: MIT */
/* Senders on other threads, and several loops on several threads. */
#include "common.h"

/* A sender writes plain memory before the send, so that ThreadSanitizer checks this test. */
struct letter {
	ringwake_ev_async async;
	unsigned value;
	unsigned read;
	atomic_uint answered;
};

static void read_letter(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	struct letter *letter = (struct letter *)async;
	(void)revents;
	letter->read = letter->value;
	atomic_store(&letter->answered, letter->read);
	if (letter->read == 500)
		ev_break(in, EVBREAK_ALL);
}

static void *write_letters(void *argument)
{
	struct letter *letter = argument;
	for (unsigned i = 1; i <= 500; i++) {
		letter->value = i;
		assert_int_equal(ringwake_ev_async_send(&letter->async), 0);
		while (atomic_load(&letter->answered) != i)
			sched_yield();
	}
	return NULL;
}

static void test_what_was_written_is_seen(void **state)
{
	open_loop(state);
	struct letter letter = {.value = 0};
	ringwake_ev_async_init(&letter.async, read_letter);
	ringwake_ev_async_start(binding, &letter.async);
	pthread_t writer = start(write_letters, &letter);
	ev_run(loop, 0);
	join(writer);
	assert_int_equal(letter.read, 500);
	ringwake_ev_async_stop(&letter.async);
	close_loop();
}

/* Each player has its own loop. The players pass a ball around. */
#define PLAYERS 3
#define ROUNDS  300

static struct player {
	ringwake_ev_async async;
	struct ev_loop *loop;
	struct ringwake_ev *binding;
	struct player *next;
	unsigned count;
} players[PLAYERS];

static void play(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	struct player *player = (struct player *)async;
	(void)revents;
	player->count++;
	assert_int_equal(ringwake_ev_async_send(&player->next->async), 0);
	if (player->count == ROUNDS)
		ev_break(in, EVBREAK_ALL);
}

static void *run_player(void *argument)
{
	struct player *player = argument;
	ev_run(player->loop, 0);
	return NULL;
}

static void test_loops_wake_each_other(void **state)
{
	pthread_t threads[PLAYERS];
	for (int i = 0; i < PLAYERS; i++) {
		struct player *player = &players[i];
		player->loop = make_loop(*state, 0);
		player->binding = attach_to(player->loop, *state);
		player->next = &players[(i + 1) % PLAYERS];
		player->count = 0;
		ringwake_ev_async_init(&player->async, play);
		ringwake_ev_async_start(player->binding, &player->async);
	}
	for (int i = 0; i < PLAYERS; i++)
		threads[i] = start(run_player, &players[i]);
	assert_int_equal(ringwake_ev_async_send(&players[0].async), 0);
	for (int i = 0; i < PLAYERS; i++)
		join(threads[i]);
	for (int i = 0; i < PLAYERS; i++) {
		assert_int_equal(players[i].count, ROUNDS);
		struct ringwake *target = ringwake_ev_target(players[i].binding);
		assert_true(stats_of(target).doorbells > 0);
		ringwake_ev_async_stop(&players[i].async);
		assert_int_equal(ringwake_ev_detach(players[i].binding), 0);
		ev_loop_destroy(players[i].loop);
	}
}

/* Threads send continuously while the watcher is stopped and started. */
static struct {
	ringwake_ev_async *async;
	atomic_bool over;
	atomic_uint refused, accepted;
} hail;

static void *send_all_along(void *argument)
{
	(void)argument;
	while (!atomic_load(&hail.over)) {
		int result = ringwake_ev_async_send(hail.async);
		assert_true(result == 0 || result == -ECANCELED);
		atomic_fetch_add(result == 0 ? &hail.accepted : &hail.refused, 1);
	}
	return NULL;
}

static bool stopped;

static void stop_it(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	(void)in;
	(void)revents;
	assert_false(stopped);
	ringwake_ev_async_stop(async);
	stopped = true;
}

static void test_stop_while_senders_run(void **state)
{
	open_loop(state);
	pthread_t senders[2];
	hail.async = malloc(sizeof *hail.async);
	assert_non_null(hail.async);
	atomic_store(&hail.over, false);
	atomic_store(&hail.refused, 0);
	atomic_store(&hail.accepted, 0);
	ringwake_ev_async_init(hail.async, stop_it);
	for (int i = 0; i < 2; i++)
		senders[i] = start(send_all_along, NULL);
	for (int i = 0; i < 300; i++) {
		stopped = false;
		ringwake_ev_async_start(binding, hail.async);
		if (i % 3 == 0)
			stop_it(loop, hail.async, 0);
		ev_run(loop, 0); /* ends when no watcher is started */
		assert_true(stopped);
		while (i % 8 == 0 && atomic_load(&hail.refused) == 0)
			sched_yield();
	}
	atomic_store(&hail.over, true);
	for (int i = 0; i < 2; i++)
		join(senders[i]);
	free(hail.async);
	assert_true(atomic_load(&hail.accepted) >= 200);
	ev_run(loop, EVRUN_NOWAIT);
	close_loop();
}

/* Messages of several senders, in each sender's order. */
#define SENDERS  3
#define MESSAGES 3000

struct numbered {
	struct ringwake_msg msg;
	unsigned sender, number;
};

static struct numbered numbered[SENDERS][MESSAGES];
static unsigned arrived[SENDERS];
static unsigned arrived_in_all;

static void check_number(struct ringwake_msg *msg)
{
	struct numbered *message = (struct numbered *)msg;
	assert_int_equal(message->number, arrived[message->sender]++);
	if (++arrived_in_all == SENDERS * MESSAGES)
		ev_break(loop, EVBREAK_ALL);
}

static void *send_numbers(void *argument)
{
	struct numbered *messages = argument;
	for (unsigned i = 0; i < MESSAGES; i++)
		assert_int_equal(ringwake_send(ringwake_ev_target(binding), &messages[i].msg), 0);
	return NULL;
}

static void test_messages_arrive_in_order(void **state)
{
	open_loop(state);
	struct watched alive;
	start_watched(&alive, 0);
	pthread_t senders[SENDERS];
	arrived_in_all = 0;
	for (unsigned i = 0; i < SENDERS; i++) {
		arrived[i] = 0;
		for (unsigned k = 0; k < MESSAGES; k++)
			numbered[i][k] = (struct numbered){{.fn = check_number}, i, k};
		senders[i] = start(send_numbers, numbered[i]);
	}
	ev_run(loop, 0);
	for (int i = 0; i < SENDERS; i++)
		join(senders[i]);
	struct ringwake_stats stats = stats_of(ringwake_ev_target(binding));
	assert_int_equal(stats.messages, SENDERS * MESSAGES);
	assert_true(stats.longest_batch <= 256);
	ringwake_ev_async_stop(&alive.async);
	close_loop();
}

/* A mutex protects the loop's data. It is free only while the loop waits; see libev's manual. */
static pthread_mutex_t loop_lock = PTHREAD_MUTEX_INITIALIZER;

static void unlock_loop(struct ev_loop *in) EV_NOEXCEPT
{
	(void)in;
	pthread_mutex_unlock(&loop_lock);
}

static void lock_loop(struct ev_loop *in) EV_NOEXCEPT
{
	(void)in;
	pthread_mutex_lock(&loop_lock);
}

static void ignore(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	(void)in;
	(void)async;
	(void)revents;
}

static void end_by_timer(struct ev_loop *in, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(in, EVBREAK_ALL);
}

static struct {
	ringwake_ev_async notice;
	ev_timer timer;
} guarded;

static void *start_timer_elsewhere(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&loop_lock);
	ev_now_update(loop);
	ev_timer_start(loop, &guarded.timer);
	assert_int_equal(ringwake_ev_async_send(&guarded.notice), 0);
	pthread_mutex_unlock(&loop_lock);
	return NULL;
}

static void test_watchers_started_by_another_thread(void **state)
{
	open_loop(state);
	ev_set_loop_release_cb(loop, unlock_loop, lock_loop);
	ringwake_ev_async_init(&guarded.notice, ignore);
	ringwake_ev_async_start(binding, &guarded.notice);
	for (int i = 0; i < 5; i++) {
		ev_timer_init(&guarded.timer, end_by_timer, 0.001, 0);
		pthread_mutex_lock(&loop_lock);
		pthread_t other = start(start_timer_elsewhere, NULL);
		ev_run(loop, 0);
		pthread_mutex_unlock(&loop_lock);
		join(other);
	}
	ringwake_ev_async_stop(&guarded.notice);
	close_loop();
}

/* Callbacks run in another thread than the wait. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool wanted, over;
	pthread_t ran_on;
} elsewhere = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void hand_over(struct ev_loop *in)
{
	pthread_mutex_lock(&elsewhere.lock);
	while (ev_pending_count(in) > 0) {
		elsewhere.wanted = true;
		pthread_cond_broadcast(&elsewhere.changed);
		while (elsewhere.wanted)
			pthread_cond_wait(&elsewhere.changed, &elsewhere.lock);
	}
	pthread_mutex_unlock(&elsewhere.lock);
}

static void *invoke_for_the_loop(void *argument)
{
	(void)argument;
	pthread_mutex_lock(&elsewhere.lock);
	while (!elsewhere.over) {
		if (elsewhere.wanted) {
			ev_invoke_pending(loop);
			elsewhere.wanted = false;
			pthread_cond_broadcast(&elsewhere.changed);
		} else {
			pthread_cond_wait(&elsewhere.changed, &elsewhere.lock);
		}
	}
	pthread_mutex_unlock(&elsewhere.lock);
	return NULL;
}

static void note_thread(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	(void)async;
	(void)revents;
	elsewhere.ran_on = pthread_self();
	ev_break(in, EVBREAK_ALL);
}

static void test_callbacks_invoked_by_another_thread(void **state)
{
	open_loop(state);
	ringwake_ev_async async;
	ringwake_ev_async_init(&async, note_thread);
	ringwake_ev_async_start(binding, &async);
	ev_set_invoke_pending_cb(loop, hand_over);
	elsewhere.over = elsewhere.wanted = false;
	pthread_t invoker = start(invoke_for_the_loop, NULL);
	for (int i = 0; i < 20; i++) {
		pthread_t sender = start(send_once, &async);
		elsewhere.ran_on = pthread_self();
		ev_run(loop, 0);
		join(sender);
		assert_true(pthread_equal(elsewhere.ran_on, invoker));
	}
	pthread_mutex_lock(&elsewhere.lock);
	elsewhere.over = true;
	pthread_cond_broadcast(&elsewhere.changed);
	pthread_mutex_unlock(&elsewhere.lock);
	join(invoker);
	ev_set_invoke_pending_cb(loop, ev_invoke_pending);
	ringwake_ev_async_stop(&async);
	close_loop();
}

/* A send touches only its own watcher, and stopping a watcher does not search the list. */
static void test_many_watchers(void **state)
{
	enum { MANY = 20000 };
	open_loop(state);
	struct watched *many = calloc(MANY, sizeof *many);
	assert_non_null(many);
	for (int i = 0; i < MANY; i++)
		start_watched(&many[i], 1);
	for (int i = 0; i < MANY; i += MANY / 10) {
		pthread_t sender = start(send_once, &many[i].async);
		ev_run(loop, 0);
		join(sender);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(many[i].count, i % (MANY / 10) == 0);
		ringwake_ev_async_stop(&many[i].async);
	}
	assert_int_equal(stats_of(ringwake_ev_target(binding)).messages, 10);
	free(many);
	close_loop();
}

int main(void)
{
	setenv("RINGWAKE_SPIN", "off", 1); /* these tests are about loops that block */
	const struct CMUnitTest tests[] = {
		ON_ALL(test_what_was_written_is_seen),
		ON_ALL(test_loops_wake_each_other),
		ON_ALL(test_stop_while_senders_run),
		ON_ALL(test_messages_arrive_in_order),
		ON_ALL(test_watchers_started_by_another_thread),
		ON_ALL(test_callbacks_invoked_by_another_thread),
		ON_ALL(test_many_watchers),
	};
	return RUN_BOUNDED(tests, 120);
}
