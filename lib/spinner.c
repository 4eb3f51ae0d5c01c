/* SPDX-License-Identifier: MIT */
/*
 * Adaptive spinning. docs/spinning.md gives the reasons and the measurements.
 *
 * A thread that spins for as long as blocking and a wake would cost, and then blocks, spends at
 * most twice what the better choice would have cost, whatever happens (ski rental). The window is
 * that cost. Where spins fail, even this is too much. So each spin that fails doubles the number of
 * waits that follow without a spin, and each that succeeds halves it: a thread whose waits are long
 * spins in one wait of 1,024, and a thread whose waits are short spins in all of them.
 */
#include "spinner.h"

#include <errno.h>
#include <ringwake/ringwake.h>
#include <stdlib.h>
#include <string.h>

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
	*spinner = (struct spinner){.spin_ns = spin_ns == RINGWAKE_SPIN_OFF ? 0 : spin_ns};
	return error;
}

uint64_t ringwake_spinner_begin(struct spinner *spinner)
{
	if (spinner->spin_ns != RINGWAKE_SPIN_ADAPTIVE)
		return spinner->spin_ns;
	if (spinner->left == 0)
		return SPINNER_WINDOW_NS;
	spinner->left--;
	return 0;
}

void ringwake_spinner_end(struct spinner *spinner, bool succeeded)
{
	if (succeeded)
		spinner->skip /= 2;
	else if (spinner->skip < SPINNER_MAX_SKIP)
		spinner->skip = 2 * spinner->skip + 1;
	spinner->left = spinner->skip;
}
