/* SPDX-License-Identifier: MIT */
/* Shared by native.c and the scenarios, which are compiled for libev and for ringwake. */
#ifndef TESTS_EV_SCENARIO_H
#define TESTS_EV_SCENARIO_H

#include <ev.h>

struct scenario {
	const char *name;
	void (*run)(struct ev_loop *loop);
	void (*destroy)(
		struct ev_loop *loop); /* ev_loop_destroy() of libev or of the compat header */
};

extern const struct scenario native_scenarios[], ringwake_scenarios[];

/* Appends to the text that is compared. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Both variants use the same seed. */
extern unsigned long scenario_seed;

#endif
