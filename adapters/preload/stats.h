/* SPDX-License-Identifier: MIT */
/* Figures of the loops of this process, for --stats of ringwake-uv and ringwake-ev. */
#ifndef RINGWAKE_PRELOAD_STATS_H
#define RINGWAKE_PRELOAD_STATS_H

#include <ringwake/ringwake.h>

/* The loop has this target, in place of any that it had before. */
void ringwake_preload_stats_open(const void *loop, struct ringwake *target);
void ringwake_preload_stats_close(const void *loop);

/* A loop, or a part of one, that stays as its library made it. */
void ringwake_preload_stats_plain(void);

/* What a preloaded library defines. */
struct ringwake_preload {
	const char *program;  /* begins each line */
	const char *variable; /* the environment variable that asks for figures */
	void (*report_plain)(
		unsigned long plain); /* explains what stays as it is, if anything does */
};
extern const struct ringwake_preload ringwake_preload;

#endif
