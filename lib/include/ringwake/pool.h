/* SPDX-License-Identifier: MIT */
/*
 * Worker threads whose completions arrive at a target. One pool may serve any number of targets.
 * See ringwake_pool(3).
 */
#ifndef RINGWAKE_POOL_H
#define RINGWAKE_POOL_H

#include <ringwake/ringwake.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ringwake_pool;

#define RINGWAKE_POOL_MAX_THREADS 1024

/* Set all members to 0 first: 0 is the default of each. */
struct ringwake_pool_params {
	/* Workers; 0: one for each processor in affinity, or that the calling thread may run on. */
	unsigned threads;
	/* The most workers that slow work may hold at a time; 0: half of max_threads, rounded up.
	 * If max_threads is more than 1, slow work never holds that many. */
	unsigned slow_threads;
	/* Nanoseconds for which an idle worker spins before it blocks, or RINGWAKE_SPIN_ADAPTIVE or
	 * RINGWAKE_SPIN_OFF. */
	uint64_t spin_ns;
	/* Worker 3 has the name "NAME-3" in top -H and gdb: name is cut, so that all of it has at
	 * most 15 bytes. NULL: "ringwake". */
	const char *name;
	/* Bytes of each worker's stack; 0: 8 MiB. */
	size_t stack_size;
	/* The processors that workers may run on: a cpu_set_t, and its size in bytes. NULL and 0:
	 * as the thread that starts the worker. */
	const void *affinity;
	size_t affinity_size;
	/* Each worker calls worker_start before any work, and worker_end after all its work. Two
	 * workers that run at the same time have different numbers, from 0 on. If worker_start
	 * returns a negative number, the worker does not start, and worker_end is not called for
	 * it; open returns that number. Either may be NULL. They must not use the pool. */
	int (*worker_start)(unsigned number, void *context);
	void (*worker_end)(unsigned number, void *context);
	void *context;
	/* The most workers; 0: threads. If more than threads, then the pool grows: it starts
	 * another worker when work has waited for grow_after_ns (0: 10 ms) and no worker is idle. A
	 * worker above threads that has been idle for shrink_after_ns (0: 10 s) ends. */
	unsigned max_threads;
	uint64_t grow_after_ns;
	uint64_t shrink_after_ns;
	/* Record how long work waits and runs, for ringwake_pool_get_times(). If it is false, the
	 * environment variable RINGWAKE_POOL_TIMES decides (on or off). */
	bool record_times;
	uint64_t reserved[7]; /* must be 0 */
};

/*
 * One piece of work. The caller owns the memory, usually as a member of a larger structure. From a
 * successful submit until done is called, it belongs to the pool, and must not be submitted again.
 */
struct ringwake_work {
	struct ringwake_msg msg; /* all members are private */
	struct ringwake_work *next, *previous;
	struct ringwake *target;
	void (*run)(struct ringwake_work *work);
	void (*done)(struct ringwake_work *work, int status);
	int status;
	bool queued;
	uint8_t work_class;
	void *worker;
	struct ringwake_batch *batch;
	int64_t submitted_ns;
	void *reserved[1];
};

/*
 * Of the work that waits, a worker takes fast work first, then normal work, then slow work, and
 * within a class the oldest. If work of a lower class could be taken, at most 32 pieces of higher
 * classes are taken in a row.
 */
enum ringwake_work_class {
	RINGWAKE_WORK_NORMAL, /* the default */
	RINGWAKE_WORK_FAST,   /* short, and something waits for it */
	RINGWAKE_WORK_SLOW,   /* may block for long: holds at most slow_threads workers */
};

/* Set all members to 0 first: 0 is the default of each. */
struct ringwake_submit_params {
	enum ringwake_work_class work_class;
	/* Submit as ringwake_pool_enqueue() does: wake no worker. */
	bool no_kick;
	uint64_t reserved[7]; /* must be 0 */
};

/*
 * Any thread. Starts threads workers; 0: one for each processor that the calling thread may run on.
 * Errors: -EINVAL, -ENOMEM, -EAGAIN.
 */
int ringwake_pool_open(struct ringwake_pool **out, unsigned threads);

/*
 * Any thread. The same with all parameters. params may be NULL. Returns when each worker has called
 * worker_start. Errors: as ringwake_pool_open(), and those of worker_start.
 */
int ringwake_pool_open_with(struct ringwake_pool **out, const struct ringwake_pool_params *params);

/*
 * Any thread. Calls run on a worker, then done on the target's loop: with status 0, or with
 * -ECANCELED if run was never called. Work of one class starts in the order submitted. If the
 * target is closed before, done is not called, and the memory is the caller's when the pool is
 * closed. Errors: -EINVAL, -ECANCELED, -EOWNERDEAD.
 */
int ringwake_pool_submit(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status));

/*
 * Any thread. As ringwake_pool_submit(), but wakes no worker. Returns 1 if the caller must call
 * ringwake_pool_kick() when it has enqueued all its work, 0 if not, or an error of
 * ringwake_pool_submit(). Work that was enqueued may wait until that call.
 */
int ringwake_pool_enqueue(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status));

/*
 * Any thread. As ringwake_pool_submit(), with all parameters. params may be NULL. Returns 0; with
 * no_kick 0 or 1, as ringwake_pool_enqueue() does. Errors: as ringwake_pool_submit().
 */
int ringwake_pool_submit_with(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status),
	const struct ringwake_submit_params *params);

/*
 * Any thread. Submits count pieces of work in the order of the array, all or none, and wakes at
 * most one worker; that worker wakes more. run and done are called for each piece. Returns and
 * errors: as ringwake_pool_submit_with().
 */
int ringwake_pool_submit_many(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *const *works, size_t count, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status),
	const struct ringwake_submit_params *params);

/*
 * Many pieces of work with one completion. The caller owns the memory. From a successful submit
 * until done is called, the batch and its pieces belong to the pool. All members are private.
 */
struct ringwake_batch {
	struct ringwake_msg msg;
	struct ringwake *target;
	void (*done)(struct ringwake_batch *batch);
#ifdef __cplusplus
	size_t left;
#else
	_Atomic size_t left;
#endif
	void *reserved[4];
};

/*
 * Any thread. As ringwake_pool_submit_many(), but done is called once, on the target's loop, when
 * each piece has run or was cancelled; also if count is 0. Errors: as ringwake_pool_submit_with().
 */
int ringwake_pool_submit_batch(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_batch *batch, struct ringwake_work *const *works, size_t count,
	void (*run)(struct ringwake_work *work), void (*done)(struct ringwake_batch *batch),
	const struct ringwake_submit_params *params);

/*
 * In done of a batch or later: 0 if run was called for this piece, or -ECANCELED. Errors:
 * -ECANCELED.
 */
int ringwake_work_status(const struct ringwake_work *work);

/*
 * The thread that a submit or ringwake_pool_enqueue() has returned 1 to, and no other.
 * ringwake_pool_close() blocks until this call. Wakes a worker.
 */
void ringwake_pool_kick(struct ringwake_pool *pool);

/*
 * Any thread. Cancels work that was submitted and has not started: its done is called with
 * -ECANCELED. If the work runs, ringwake_work_is_cancelled() is true from now on, and the result is
 * -EBUSY.
 * Errors: -EBUSY, -EOWNERDEAD.
 */
int ringwake_pool_cancel(struct ringwake_pool *pool, struct ringwake_work *work);

/*
 * In run, for its work. True if ringwake_pool_cancel() was called for the work since it started, or
 * the pool is being closed with RINGWAKE_POOL_CANCEL. Then run should end early. done still has the
 * status 0, because run was called.
 */
bool ringwake_work_is_cancelled(const struct ringwake_work *work);

/*
 * Any thread, also a worker. Sets threads and max_threads as ringwake_pool_open_with() does, but
 * threads must not be 0. Starts workers until there are threads. Workers above max_threads end at
 * once, or when their work has ended. If a worker cannot be started, the size does not change.
 * Errors: -EINVAL, -ENOMEM, -EAGAIN, -ECANCELED, -EOWNERDEAD, and those of worker_start.
 */
int ringwake_pool_resize(struct ringwake_pool *pool, unsigned threads, unsigned max_threads);

enum ringwake_pool_close_mode {
	RINGWAKE_POOL_FINISH, /* run the work that is queued */
	/* Call done with -ECANCELED for the work that is queued. For work that runs,
	 * ringwake_work_is_cancelled() is true. */
	RINGWAKE_POOL_CANCEL,
};

/*
 * Any thread but a worker. Blocks until the workers have ended and every completion has been sent
 * to its target. Only run may use the pool meanwhile: a done on another thread could find it freed.
 */
void ringwake_pool_close(struct ringwake_pool *pool, enum ringwake_pool_close_mode mode);

struct ringwake_pool_stats {
	uint64_t submitted;
	uint64_t completed; /* run to their end */
	uint64_t cancelled;
	unsigned threads;
	unsigned queued; /* not started yet */
	unsigned idle;   /* workers that have no work */
};

/* Any thread. Writes size bytes, which must be sizeof *stats. Later versions add members. */
void ringwake_pool_get_stats(
	struct ringwake_pool *pool, struct ringwake_pool_stats *stats, size_t size);

/*
 * A log-linear histogram of times in nanoseconds. Bucket i has the times of at most
 * ringwake_histogram_bound(i) that no bucket before it has.
 */
#define RINGWAKE_HISTOGRAM_BUCKETS 344

struct ringwake_histogram {
	uint64_t count; /* the sum of the buckets */
	uint64_t sum;   /* of the times */
	uint64_t max;
	uint64_t buckets[RINGWAKE_HISTOGRAM_BUCKETS];
};

struct ringwake_pool_times {
	struct ringwake_histogram waiting; /* from the submit until run is called */
	struct ringwake_histogram running; /* from then until run has returned */
};

/*
 * Any thread. Writes size bytes, which must be sizeof *times: the times since the pool was opened.
 * They are 0 if the pool does not record them. Later versions add members.
 */
void ringwake_pool_get_times(
	struct ringwake_pool *pool, struct ringwake_pool_times *times, size_t size);

/* Any thread. The largest time of the bucket. UINT64_MAX for the last one. */
uint64_t ringwake_histogram_bound(unsigned bucket);

/*
 * Any thread. The time that part of whole times do not exceed, such as 99 of 100. At most an eighth
 * too large. 0 if the histogram is empty.
 */
uint64_t ringwake_histogram_quantile(
	const struct ringwake_histogram *histogram, unsigned part, unsigned whole);

#ifdef __cplusplus
}
#endif

#endif
