/* SPDX-License-Identifier: MIT */
/*
 * The policy of adaptive spinning, with a scripted clock: each wait has a length; a spin ends with
 * what the thread waits for, or with the window; blocking costs as much as the window.
 */
#include "../../lib/spinner.h"
#include "../common.h"

#include <ringwake/pool.h>

#define BLOCK_NS SPINNER_WINDOW_NS
#define SHORT_NS 300
#define LONG_NS  1000000

struct costs {
	uint64_t chosen, blocking, spinning; /* nanoseconds of processor time */
	unsigned spins;
};

static uint64_t cost_of_spin(uint64_t length, uint64_t window)
{
	return length < window ? length : window + BLOCK_NS;
}

static void add_wait(struct spinner *spinner, struct costs *costs, uint64_t length)
{
	uint64_t window = ringwake_spinner_begin(spinner);
	costs->blocking += BLOCK_NS;
	costs->spinning += cost_of_spin(length, SPINNER_WINDOW_NS);
	costs->chosen += window > 0 ? cost_of_spin(length, window) : BLOCK_NS;
	if (window == 0)
		return;
	costs->spins++;
	ringwake_spinner_end(spinner, length < window ? (int64_t)length : -1);
}

static struct costs run_script(struct spinner *spinner, unsigned waits, uint64_t length)
{
	struct costs costs = {0};
	for (unsigned i = 0; i < waits; i++)
		add_wait(spinner, &costs, length);
	return costs;
}

static struct spinner adaptive(void)
{
	struct spinner spinner;
	assert_int_equal(ringwake_spinner_set(&spinner, RINGWAKE_SPIN_ADAPTIVE), 0);
	return spinner;
}

static void test_short_waits_spin(void **state)
{
	(void)state;
	struct spinner spinner = adaptive();
	struct costs costs = run_script(&spinner, 10000, SHORT_NS);
	assert_int_equal(costs.spins, 10000);
	assert_int_equal(costs.chosen, costs.spinning);
}

/* Spins that succeed late keep the processor busy for little. */
static void test_late_messages_block(void **state)
{
	(void)state;
	struct spinner spinner = adaptive();
	run_script(&spinner, 2 * (SPINNER_MAX_SKIP + 1), SPINNER_FAST_NS);
	assert_int_equal(run_script(&spinner, 1024, SPINNER_FAST_NS).spins, 1);
}

static void test_long_waits_block(void **state)
{
	(void)state;
	struct spinner spinner = adaptive();
	run_script(&spinner, 2 * (SPINNER_MAX_SKIP + 1), LONG_NS);
	struct costs costs = run_script(&spinner, 100 * (SPINNER_MAX_SKIP + 1), LONG_NS);
	assert_int_equal(costs.spins, 100);
	assert_true(costs.chosen * 1000 <= costs.blocking * 1006);
}

/* The waits become short after the worst state: at most two rounds of skipped waits block. */
static void test_waits_become_short(void **state)
{
	(void)state;
	struct spinner spinner = adaptive();
	run_script(&spinner, 4 * (SPINNER_MAX_SKIP + 1), LONG_NS);
	run_script(&spinner, 2 * (SPINNER_MAX_SKIP + 1), SHORT_NS);
	assert_int_equal(run_script(&spinner, 1000, SHORT_NS).spins, 1000);
}

/* Among short waits, a single long one changes nothing; the second one in succession costs one wait
 * without a spin. */
static void test_one_long_wait(void **state)
{
	(void)state;
	struct spinner spinner = adaptive();
	run_script(&spinner, 1000, SHORT_NS);
	run_script(&spinner, 1, LONG_NS);
	assert_int_equal(run_script(&spinner, 1000, SHORT_NS).spins, 1000);
	run_script(&spinner, 2, LONG_NS);
	assert_int_equal(run_script(&spinner, 1000, SHORT_NS).spins, 999);
}

/* Whatever the lengths are, at most twice what blocking costs; and if at least two spins of three
 * fail, at most a tenth more. */
static void test_random_lengths(void **state)
{
	(void)state;
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	for (uint64_t most = 100; most < UINT64_C(1000000000); most *= 3) {
		struct spinner spinner = adaptive();
		struct costs costs = {0};
		for (unsigned i = 0; i < 100000; i++)
			add_wait(&spinner, &costs, (uint64_t)rand_r(&seed) % most);
		assert_true(costs.chosen <= 2 * costs.blocking);
		if (most >= 3 * SPINNER_WINDOW_NS)
			assert_true(costs.chosen * 10 <= costs.blocking * 11);
		if (most <= SPINNER_FAST_NS)
			assert_int_equal(costs.chosen, costs.spinning);
	}
}

/* Threads that answer each other. Each waits from its send on. */
struct player {
	struct spinner spinner;
	uint32_t sends_to_awake;
	uint64_t begin, window;
};

static void begin_wait(struct player *player, uint64_t now)
{
	ringwake_sends_to_awake = player->sends_to_awake;
	player->begin = now;
	player->window = ringwake_spinner_begin(&player->spinner);
}

/* The sender's message comes to a player that spins, or wakes it. Returns when the player has it.
 */
static uint64_t hand_over(struct player *sender, struct player *player, uint64_t now)
{
	bool spins = now < player->begin + player->window;
	if (spins)
		sender->sends_to_awake++;
	if (player->window > 0)
		ringwake_spinner_end(&player->spinner, spins ? (int64_t)(now - player->begin) : -1);
	return spins ? now : now + 50000; /* longer than the window */
}

/* After one message in each group of every messages, a player thinks for a long time. Returns how
 * often a player was blocked. */
static unsigned play(struct player *players, unsigned messages, unsigned every)
{
	unsigned blocked = 0;
	uint64_t now = 0;
	players[1].begin = players[1].window = 0;
	for (unsigned i = 0; i < messages; i++) {
		struct player *sender = &players[i % 2], *player = &players[(i + 1) % 2];
		uint64_t arrival = hand_over(sender, player, now);
		blocked += arrival > now;
		begin_wait(sender, now);
		now = arrival + (i % every == 0 ? LONG_NS : SHORT_NS);
	}
	return blocked;
}

/* They find out together that their waits have become short, although a wake of one of them takes
 * longer than the window of the other. */
static void test_two_threads_begin_together(void **state)
{
	(void)state;
	struct player players[2] = {{.spinner = adaptive()}, {.spinner = adaptive()}};
	assert_true(play(players, 20000, 1) >= 19900);
	assert_true(play(players, 20000, 20001) <= 2 * (SPINNER_MAX_SKIP + 1));
	/* A pause costs few wakes. */
	unsigned blocked = play(players, 20000, 201);
	print_message("%u blocked\n", blocked);
	assert_true(blocked <= 500);
}

/* One late answer: both threads spin again at once. */
static void test_late_answer(void **state)
{
	(void)state;
	struct player players[2] = {{.spinner = adaptive()}, {.spinner = adaptive()}};
	play(players, 20000, 20001);
	unsigned blocked = play(players, 20000, 999);
	print_message("%u blocked\n", blocked);
	assert_true(blocked <= 3 * 20);
}

/* Earlier answers were slow. That must not keep the threads from finding out. */
static void test_two_threads_after_slow_answers(void **state)
{
	(void)state;
	struct player players[2] = {{.spinner = adaptive()}, {.spinner = adaptive()}};
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned waits = 0; waits < 5000; waits++) {
			ringwake_sends_to_awake = ++players[i].sends_to_awake;
			if (ringwake_spinner_begin(&players[i].spinner) > 0)
				ringwake_spinner_end(&players[i].spinner, -1);
		}
	}
	assert_true(play(players, 20000, 20001) <= 4 * (SPINNER_MAX_SKIP + 1));
}

/* Waits that end just before the long window does, after each group of fast answers. */
static void test_long_window_costs_at_most_twice(void **state)
{
	(void)state;
	for (unsigned answers = 1; answers < 10; answers++) {
		struct spinner spinner = adaptive();
		struct costs costs = {0};
		for (unsigned i = 0; i < 100000; i++) {
			bool is_answer = i % (answers + 5) < answers;
			ringwake_sends_to_awake += is_answer;
			add_wait(&spinner, &costs,
				is_answer ? SHORT_NS : SPINNER_LONG_WINDOW_NS - 1);
		}
		assert_true(costs.chosen <= 2 * costs.blocking);
	}
}

static uint64_t window_of(uint64_t spin_ns)
{
	struct spinner spinner;
	assert_int_equal(ringwake_spinner_set(&spinner, spin_ns), 0);
	uint64_t window = ringwake_spinner_begin(&spinner);
	if (window > 0)
		ringwake_spinner_end(&spinner, -1);
	return window;
}

/* A number of nanoseconds holds for every wait. */
static void test_fixed_and_off(void **state)
{
	(void)state;
	struct spinner spinner;
	assert_int_equal(window_of(RINGWAKE_SPIN_OFF), 0);
	assert_int_equal(ringwake_spinner_set(&spinner, 5000), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(ringwake_spinner_begin(&spinner), 5000);
		ringwake_spinner_end(&spinner, -1);
	}
}

static void test_environment(void **state)
{
	(void)state;
	struct spinner spinner;
	static const char *const invalid[] = {"on", "-1", "1x", " 1", "1234567890123456789"};
	unsetenv("RINGWAKE_SPIN");
	assert_int_equal(window_of(RINGWAKE_SPIN_DEFAULT), SPINNER_WINDOW_NS);
	setenv("RINGWAKE_SPIN", "", 1);
	assert_int_equal(window_of(RINGWAKE_SPIN_DEFAULT), SPINNER_WINDOW_NS);
	setenv("RINGWAKE_SPIN", "off", 1);
	assert_int_equal(window_of(RINGWAKE_SPIN_DEFAULT), 0);
	assert_int_equal(window_of(7), 7);
	assert_int_equal(window_of(RINGWAKE_SPIN_ADAPTIVE), SPINNER_WINDOW_NS);
	setenv("RINGWAKE_SPIN", "0", 1);
	assert_int_equal(window_of(RINGWAKE_SPIN_DEFAULT), 0);
	setenv("RINGWAKE_SPIN", "50000", 1);
	assert_int_equal(window_of(RINGWAKE_SPIN_DEFAULT), 50000);
	assert_int_equal(window_of(RINGWAKE_SPIN_OFF), 0);
	for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
		struct ringwake *target = NULL;
		struct ringwake_pool *pool = NULL;
		setenv("RINGWAKE_SPIN", invalid[i], 1);
		assert_int_equal(ringwake_spinner_set(&spinner, RINGWAKE_SPIN_DEFAULT), -EINVAL);
		assert_int_equal(ringwake_open(&target, NULL, NULL), -EINVAL);
		assert_int_equal(ringwake_pool_open(&pool, 1), -EINVAL);
	}
	unsetenv("RINGWAKE_SPIN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_short_waits_spin),
		cmocka_unit_test(test_late_messages_block),
		cmocka_unit_test(test_long_waits_block),
		cmocka_unit_test(test_waits_become_short),
		cmocka_unit_test(test_one_long_wait),
		cmocka_unit_test(test_random_lengths),
		cmocka_unit_test(test_two_threads_begin_together),
		cmocka_unit_test(test_late_answer),
		cmocka_unit_test(test_two_threads_after_slow_answers),
		cmocka_unit_test(test_long_window_costs_at_most_twice),
		cmocka_unit_test(test_fixed_and_off),
		cmocka_unit_test(test_environment),
	};
	return RUN_BOUNDED(tests, 60);
}
