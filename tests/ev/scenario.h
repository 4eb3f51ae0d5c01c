/* SPDX-License-Identifier: MIT */
/* What native.c shares with the scenarios, which are compiled for libev and for ringwake. */
#ifndef TESTS_EV_SCENARIO_H
#define TESTS_EV_SCENARIO_H

#include <ev.h>

struct scenario {
	const char *name;
	void (*run)(struct ev_loop *loop);
	void (*destroy)(struct ev_loop *loop); /* ev_loop_destroy(), whatever that is */
};

extern const struct scenario native_scenarios[], ringwake_scenarios[];

/* What happened is compared as text. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same numbers for both. */
extern unsigned long scenario_seed;

#endif
