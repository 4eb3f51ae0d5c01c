/* SPDX-License-Identifier: MIT */
/*
 * Worker threads whose completions arrive at a target. One pool may serve any number of targets.
 */
#ifndef RINGWAKE_POOL_H
#define RINGWAKE_POOL_H

#include <ringwake/ringwake.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ringwake_pool;

/*
 * One piece of work. The caller owns the memory, usually as a member of something larger; from a
 * successful submit until done is called it belongs to the pool. The members are private.
 */
struct ringwake_work {
	struct ringwake_msg msg;
	struct ringwake_work *next, *previous;
	struct ringwake *target;
	void (*run)(struct ringwake_work *work);
	void (*done)(struct ringwake_work *work, int status);
	int status;
	bool queued;
};

/*
 * Any thread. Starts threads workers; 0: one for each processor the calling thread may run on.
 * Each worker has a stack of 8 MiB.
 * Workers block all signals but SIGPROF and those that a thread causes itself: SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL, SIGTRAP and SIGSYS.
 * -EINVAL   more than RINGWAKE_POOL_MAX_THREADS
 * -ENOMEM, -EAGAIN   no memory, no thread
 */
#define RINGWAKE_POOL_MAX_THREADS 1024
int ringwake_pool_open(struct ringwake_pool **out, unsigned threads);

/*
 * Any thread, at any time. A worker that finds no work looks out for it for spin_ns nanoseconds
 * before it sleeps; 0, as the pool is opened: not at all. Work that comes meanwhile is begun
 * without a system call, on a processor that is awake. It costs a processor for that time, whether
 * work comes or not, so it is for pools with processors of their own, beside a target that spins
 * too (spin_ns of ringwake_params): alone it gains little.
 */
void ringwake_pool_spin(struct ringwake_pool *pool, uint64_t spin_ns);

/*
 * Any thread. run is called on a worker; then done on the target's loop, with status 0, or with
 * -ECANCELED and run never called. Work is started in the order submitted. The pool holds a
 * reference to the target meanwhile; a completion that finds its target closed is dropped, so close
 * the target after its work is done. If the doorbell of a completion is refused, workers ring again
 * until the loop wakes. No system call while all workers are busy.
 * -EINVAL       run or done is NULL
 * -ECANCELED    the pool is closing
 * -EOWNERDEAD   this process is a fork of the one that opened the pool or the target
 */
int ringwake_pool_submit(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status));

/*
 * Any thread. As ringwake_pool_submit, but calls no worker: 1 says that all of them sleep, and that
 * the caller has to call one, by ringwake_pool_call, when it has queued what it has; until then
 * this work waits, and so may that which others submit. So a loop that gives out much work in one
 * turn pays for one call, and is not preempted by a worker after the first piece. Whoever was told
 * 1 calls before the pool is closed; nobody else may call.
 * 0, 1, or the errors of ringwake_pool_submit
 */
int ringwake_pool_queue(struct ringwake_pool *pool, struct ringwake *target,
	struct ringwake_work *work, void (*run)(struct ringwake_work *work),
	void (*done)(struct ringwake_work *work, int status));
void ringwake_pool_call(struct ringwake_pool *pool);

/*
 * Any thread. Takes back work that has not been started: its done is called with -ECANCELED.
 * -EBUSY        it runs, or has run; done is called with 0
 * -EOWNERDEAD   this process is a fork of the one that opened the pool
 */
int ringwake_pool_cancel(struct ringwake_pool *pool, struct ringwake_work *work);

enum ringwake_pool_close_mode {
	RINGWAKE_POOL_FINISH, /* run what is queued */
	RINGWAKE_POOL_CANCEL, /* done(-ECANCELED) for what is queued */
};

/*
 * Any thread but a worker. Waits until the workers have ended. When it returns every completion has
 * been sent to its target, where the next dispatch delivers it. While doorbells are refused it
 * rings again, for a second at the most. In a forked child it releases the child's copy.
 */
void ringwake_pool_close(struct ringwake_pool *pool, enum ringwake_pool_close_mode mode);

/* Any thread: figures for a moment during the call. */
struct ringwake_pool_stats {
	uint64_t submitted;
	uint64_t completed; /* run to their end */
	uint64_t cancelled;
	unsigned threads;
	unsigned queued; /* not started yet */
};
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* g++ minds that a function has a structure's name */
#endif
void ringwake_pool_stats(struct ringwake_pool *pool, struct ringwake_pool_stats *stats);
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#ifdef __cplusplus
}
#endif

#endif
