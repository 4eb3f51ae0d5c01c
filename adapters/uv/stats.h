/* SPDX-License-Identifier: MIT */
/* Figures of the loops of this process, for ringwake-uv --stats. */
#ifndef RINGWAKE_UV_STATS_H
#define RINGWAKE_UV_STATS_H

#include <ringwake/ringwake.h>
#include <uv.h>

/* The loop has this target, in place of any that it had before. */
void ringwake_uv_stats_open(const uv_loop_t *loop, struct ringwake *target);
void ringwake_uv_stats_close(const uv_loop_t *loop);

/* A loop that stays as libuv made it. */
void ringwake_uv_stats_plain(void);

#endif
