/* SPDX-License-Identifier: MIT */
/* Decides before each wait of one thread whether it spins, and for how long. See spinner.c. */
#ifndef RINGWAKE_SPINNER_H
#define RINGWAKE_SPINNER_H

#include <stdbool.h>
#include <stdint.h>

#define SPINNER_WINDOW_NS 20000
#define SPINNER_MAX_SKIP  1023

struct spinner {
	uint64_t spin_ns; /* or RINGWAKE_SPIN_ADAPTIVE; 0: never */
	uint32_t skip;    /* adaptive: the waits without a spin between two spins that fail */
	uint32_t left;    /* of these, before the next spin */
};

/* spin_ns as in ringwake_params. -EINVAL if RINGWAKE_SPIN is not valid. */
int ringwake_spinner_set(struct spinner *spinner, uint64_t spin_ns);

/* For how many nanoseconds the thread spins now; 0: it blocks at once. */
uint64_t ringwake_spinner_begin(struct spinner *spinner);

/* After a spin: whether what the thread waits for came in that time. */
void ringwake_spinner_end(struct spinner *spinner, bool succeeded);

#endif
