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
struct ringwake;

/* The threads that all loops share. */
struct work_pool {
	const struct work_type *type;
};

/* One loop's access to them. An implementation embeds both as first members of its structures. */
struct work_link {
	const struct work_type *type;
};

#define WORK_ROOM 128

/*
 * One piece of work. Embed it in an object on the heap. The pool owns it from a successful submit
 * until it calls done; the caller may submit it again from then on.
 */
struct work {
	void (*run)(struct work *work);             /* on a worker */
	void (*done)(struct work *work);            /* then on the loop that submitted it */
	_Alignas(max_align_t) char room[WORK_ROOM]; /* for the library's own request structure */
};

/* One number for /metrics and the page. A name that ends in _total names a counter. */
struct figure {
	const char *name, *help;
	uint64_t value;
};

/*
 * How long pieces of work took, for /metrics. at_most[i] is how many took at most
 * 1 << (WORK_FIRST_BOUND + i) ns: from a microsecond to 17 seconds.
 */
#define WORK_FIRST_BOUND 10
#define WORK_BOUNDS      25

struct work_times {
	const char *name, *help;
	uint64_t at_most[WORK_BOUNDS];
	uint64_t count, sum; /* of ns */
};

#define WORK_FIGURES_MAX 9
#define WORK_TIMES_MAX   2
#define WORK_LOOPS_MAX   64

struct work_type {
	/*
	 * Returns false if --path, or the environment variable that overrides it, does not name a
	 * path. In that case it prints the invalid value to stderr.
	 */
	bool (*path_is_good)(const char *path);

	/*
	 * workers is the number of threads, or 0 for one per processor. Returns 0 or a negative
	 * errno value.
	 */
	int (*open)(struct work_pool **out, unsigned workers);
	/* Call it after all loops have left. */
	void (*close)(struct work_pool *pool);

	/*
	 * Call it on the loop's thread, before any loop runs, for one loop at a time. path is a
	 * valid value of --path. Returns 0 or a negative errno value.
	 */
	int (*join)(struct work_link **out, struct work_pool *pool, const struct loop_type *type,
		struct loop *loop, const char *path);
	/* Call it after the loop has ended. */
	void (*leave)(struct work_link *link);

	/* Returns 0 or a negative errno value. */
	int (*submit)(struct work_link *link, struct work *work);
	/* Call it at the end of a loop iteration: it wakes the workers if they are needed. */
	void (*begin)(struct work_link *link);

	/* The target that serves the loop, or NULL if there is none. */
	struct ringwake *(*target)(const struct work_link *link);
	/* The name of the path by which workers wake the loop. */
	const char *(*path)(const struct work_link *link);
	/* Writes the figures of the pool and of all loops, and returns their number. */
	unsigned (*figures)(struct work_link *link, struct figure figures[WORK_FIGURES_MAX]);
	/* Does so for the times. */
	unsigned (*times)(struct work_link *link, struct work_times times[WORK_TIMES_MAX]);
};

extern const struct work_type work_ringwake, work_uv;

#endif
