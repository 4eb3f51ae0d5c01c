/* SPDX-License-Identifier: MIT */
/*
 * Work on other threads whose end is announced on the loop. A program links one of these:
 * work_ringwake.c, and work_uv.c with what libuv brings along.
 */
#ifndef WEBSERVER_WORK_H
#define WEBSERVER_WORK_H

#include "figure.h"

#include <stdbool.h>
#include <stddef.h>

struct work_pool;

/*
 * False if --path does not name a path, or the environment variable that decides in its place does
 * not. The text that names the wrong value is on stderr then.
 */
bool work_path_is_good(const char *path);

/* For --version: prints the library that does the work, and its version. */
void work_print_version(void);

/*
 * Before the loop runs. loop is the server's, workers the number of threads or 0 for one a
 * processor, path is what --path said and is good. 0 or a negative errno value.
 */
int work_pool_open(struct work_pool **out, void *loop, unsigned workers, const char *path);

/* After the loop has run. */
void work_pool_close(struct work_pool *pool);

/* How a worker's word reaches the loop. */
const char *work_pool_path(const struct work_pool *pool);

/* What the pool counts; returns how many figures there are. */
#define WORK_FIGURES_MAX 8
unsigned work_pool_figures(struct work_pool *pool, struct figure figures[WORK_FIGURES_MAX]);

#define WORK_ROOM 128

/*
 * One piece of work, a member of something on the heap. It belongs to the pool from a successful
 * submit until done is called, and may be submitted again then.
 */
struct work {
	void (*run)(struct work *work);             /* on a worker */
	void (*done)(struct work *work);            /* then on the loop */
	_Alignas(max_align_t) char room[WORK_ROOM]; /* for what the pool's library asks of its users
						     */
};
int work_submit(struct work_pool *pool, struct work *work);

/* At the end of a turn of the loop: what was submitted in it is to be begun, if it is not yet. */
void work_begin(struct work_pool *pool);

#endif
