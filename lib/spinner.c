/* SPDX-License-Identifier: MIT */
/*
 * Adaptive spinning. docs/spinning.md gives the reasons.
 *
 * A thread that spins for as long as blocking and a wake would cost, and then blocks, spends at
 * most twice what the better choice would have cost, whatever happens (ski rental). The window is
 * that cost. Where spins fail, even this is too much; and where they succeed late, the processor
 * is busy for little. A late one counts as a failure. So each spin that fails doubles the number of
 * waits that follow without a spin, and each that succeeds halves it: a thread whose waits are long
 * spins in one wait of 1,024, and a thread whose waits are short spins in all of them.
 *
 * Two threads that answer each other must begin to spin at the same time: while one of them blocks,
 * its wake alone takes longer than the window. So kinds of waits are told apart. After a send to a
 * loop that was awake, an answer may come soon. A thread that spins in one wait of 1,024 only, or
 * whose answers came fast until now, spins for longer than a wake takes. The other thread then sees
 * that it is awake, and spins too.
 */
#include "spinner.h"

#include <errno.h>
#include <ringwake/ringwake.h>
#include <stdlib.h>
#include <string.h>

_Thread_local uint32_t ringwake_sends_to_awake;

static int from_environment(uint64_t *spin_ns)
{
	const char *value = secure_getenv("RINGWAKE_SPIN");
	*spin_ns = RINGWAKE_SPIN_ADAPTIVE;
	if (value == NULL || strcmp(value, "") == 0 || strcmp(value, "adaptive") == 0)
		return 0;
	if (strcmp(value, "off") == 0) {
		*spin_ns = RINGWAKE_SPIN_OFF;
		return 0;
	}
	size_t digits = strspn(value, "0123456789");
	if (value[digits] != '\0' || digits > 18) /* more would not fit */
		return -EINVAL;
	*spin_ns = strtoull(value, NULL, 10);
	return 0;
}

int ringwake_spinner_set(struct spinner *spinner, uint64_t spin_ns)
{
	int error = spin_ns == RINGWAKE_SPIN_DEFAULT ? from_environment(&spin_ns) : 0;
	*spinner = (struct spinner){.spin_ns = spin_ns == RINGWAKE_SPIN_OFF ? 0 : spin_ns,
		.sends = ringwake_sends_to_awake};
	return error;
}

static enum wait_kind kind_of_wait(struct spinner *spinner)
{
	uint32_t sends = spinner->sends;
	spinner->sends = ringwake_sends_to_awake;
	if (sends != ringwake_sends_to_awake)
		return WAIT_FOR_ANSWER;
	return spinner->found_answer ? WAIT_AFTER_ANSWER : WAIT_OTHER;
}

static uint64_t window(enum wait_kind kind, uint32_t skip)
{
	bool is_long =
		kind == WAIT_AFTER_ANSWER || (kind == WAIT_OTHER && skip == SPINNER_MAX_SKIP);
	return is_long ? SPINNER_LONG_WINDOW_NS : SPINNER_WINDOW_NS;
}

uint64_t ringwake_spinner_begin(struct spinner *spinner)
{
	if (spinner->spin_ns != RINGWAKE_SPIN_ADAPTIVE)
		return spinner->spin_ns;
	spinner->kind = kind_of_wait(spinner);
	struct spinner_record *record = &spinner->records[spinner->kind];
	uint64_t window_ns = record->left == 0 ? window(spinner->kind, record->skip) : 0;
	for (int i = 0; i < WAIT_KINDS; i++)
		if (spinner->records[i].left > 0)
			spinner->records[i].left--;
	return window_ns;
}

static void note_success(struct spinner_record *record)
{
	record->skip /= 2;
	record->left = 0;
}

/* One late answer must not make both threads block, so the first failure skips no wait. The long
 * window is too expensive for that. */
static void note_failure(struct spinner_record *record, bool is_long)
{
	record->left = is_long ? 2 * record->skip + 1 : record->skip;
	if (record->left > SPINNER_MAX_SKIP)
		record->left = SPINNER_MAX_SKIP;
	if (record->skip < SPINNER_MAX_SKIP)
		record->skip = 2 * record->skip + 1;
}

void ringwake_spinner_end(struct spinner *spinner, int64_t took_ns)
{
	bool found = took_ns >= 0, was_fast = found && took_ns < SPINNER_FAST_NS;
	struct spinner_record *record = &spinner->records[spinner->kind];
	/* The long window is worth its cost only if answers come fast again. */
	if (was_fast && spinner->kind != WAIT_AFTER_ANSWER)
		note_success(record);
	else
		note_failure(record, spinner->kind == WAIT_AFTER_ANSWER);
	if (was_fast && spinner->kind == WAIT_FOR_ANSWER)
		note_success(&spinner->records[WAIT_AFTER_ANSWER]);
	spinner->found_answer = found && spinner->kind != WAIT_OTHER;
}
