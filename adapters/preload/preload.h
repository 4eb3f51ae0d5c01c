/* SPDX-License-Identifier: MIT */
/* What the preloaded libraries of the adapters share. */
#ifndef RINGWAKE_PRELOAD_PRELOAD_H
#define RINGWAKE_PRELOAD_PRELOAD_H

#include <ringwake/ringwake.h>

/* Each preloaded library defines it. */
struct ringwake_preload {
	const char *program;  /* begins each line */
	const char *library;  /* whose functions the preloaded library replaces */
	const char *variable; /* the environment variable that asks for figures */
	/* Explains what stays as the library made it, if anything does. */
	void (*report_plain)(unsigned long plain);
};
extern const struct ringwake_preload ringwake_preload;

/* find.c. Finds the library's own functions. Ends the process if one is missing. */
struct library_function;
void ringwake_preload_find(const struct library_function *list);

/* stats.c. Figures of the loops of this process, for --stats of ringwake-uv and ringwake-ev. The
 * loop now has this target, in place of any that it had before. */
void ringwake_preload_stats_open(const void *loop, struct ringwake *target);
void ringwake_preload_stats_close(const void *loop);

/* Counts a loop, or a part of a loop, that stays as its library made it. */
void ringwake_preload_stats_plain(void);

#endif
