/* SPDX-License-Identifier: MIT */
/*
 * Runs work on other threads and reports its completion on the loop. --wake selects one of two
 * implementations: work_ringwake.c, or work_uv.c, which uses only libuv.
 */
#ifndef WEBSERVER_WORK_H
#define WEBSERVER_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct loop_type;

/* An implementation embeds it as the first member of its own structure. */
struct work_pool {
	const struct work_type *type;
};

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

/* One number for /metrics and the page. A name that ends in _total names a counter. */
struct figure {
	const char *name, *help;
	uint64_t value;
};

#define WORK_FIGURES_MAX 8

struct work_type {
	/*
	 * Returns false if --path, or the environment variable that overrides it, does not name a
	 * path. In that case it prints the invalid value to stderr.
	 */
	bool (*path_is_good)(const char *path);

	/*
	 * Call it before the loop runs. workers is the number of threads, or 0 for one per
	 * processor; path is a valid value of --path. Returns 0 or a negative errno value.
	 */
	int (*open)(struct work_pool **out, const struct loop_type *type, struct loop *loop,
		unsigned workers, const char *path);
	/* Call it after the loop has ended. */
	void (*close)(struct work_pool *pool);

	/* Returns 0 or a negative errno value. */
	int (*submit)(struct work_pool *pool, struct work *work);
	/* Call it at the end of a loop iteration: it wakes the workers if they are needed. */
	void (*begin)(struct work_pool *pool);

	/* The name of the path by which workers wake the loop. */
	const char *(*path)(const struct work_pool *pool);
	/* Writes the pool's figures and returns their number. */
	unsigned (*figures)(struct work_pool *pool, struct figure figures[WORK_FIGURES_MAX]);
};

extern const struct work_type work_ringwake, work_uv;

#endif
