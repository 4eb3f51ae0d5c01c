/* SPDX-License-Identifier: MIT */
/*
 * Runs work on other threads and reports its completion on the loop. A program links one of two
 * implementations: work_ringwake.c, or work_uv.c, which uses only libuv.
 */
#ifndef WEBSERVER_WORK_H
#define WEBSERVER_WORK_H

#include "figure.h"

#include <stdbool.h>
#include <stddef.h>

struct work_pool;

/*
 * Returns false if --path, or the environment variable that overrides it, does not name a path. In
 * that case it prints the invalid value to stderr.
 */
bool work_path_is_good(const char *path);

/* For --version: prints the library that does the work, and its version. */
void work_print_version(void);

/*
 * Call it before the loop runs. loop is the server's loop; workers is the number of threads, or 0
 * for one per processor; path is a valid value of --path. Returns 0 or a negative errno value.
 */
int work_pool_open(struct work_pool **out, void *loop, unsigned workers, const char *path);

/* Call it after the loop has ended. */
void work_pool_close(struct work_pool *pool);

/* The name of the path by which workers wake the loop. */
const char *work_pool_path(const struct work_pool *pool);

/* Writes the pool's figures and returns their number. */
#define WORK_FIGURES_MAX 8
unsigned work_pool_figures(struct work_pool *pool, struct figure figures[WORK_FIGURES_MAX]);

#define WORK_ROOM 128

/*
 * One piece of work. Embed it in an object on the heap. The pool owns it from a successful submit
 * until it calls done; the caller may submit it again from then on.
 */
struct work {
	void (*run)(struct work *work);             /* on a worker */
	void (*done)(struct work *work);            /* then on the loop */
	_Alignas(max_align_t) char room[WORK_ROOM]; /* for the library's own request structure */
};
int work_submit(struct work_pool *pool, struct work *work);

/* Call it at the end of a loop iteration: it wakes the workers if submitted work needs them. */
void work_begin(struct work_pool *pool);

#endif
