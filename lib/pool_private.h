/* SPDX-License-Identifier: MIT */
/* The parts of the pool, for its files alone. pool.c explains them. */
#ifndef RINGWAKE_POOL_PRIVATE_H
#define RINGWAKE_POOL_PRIVATE_H

#include <pthread.h>
#include <ringwake/pool.h>

#include "histogram.h"
#include "retry.h"
#include "spinner.h"
#include "target.h"

#define CLASSES (RINGWAKE_WORK_SLOW + 1)

/* Work of one class, from the oldest to the newest. */
struct queue {
	struct ringwake_work *first, *last;
};

/* The worker adds to them, any thread reads. */
struct worker_times {
	struct histogram waiting, running;
};

/* States of a worker's word; pool.c explains them. */
enum worker_state { AWAKE, IDLE, BLOCKED, STARTING, REFUSED };

/* Has the number for as long as the pool exists. Workers that start later use it again. Workers
 * write theirs for each piece of work, so each has lines of its own. */
struct worker {
	alignas(CACHE_LINE) struct ringwake_pool *pool;
	struct worker *next; /* of all of the pool */
	unsigned number;
	bool is_used;
	int start_error;          /* if the word is REFUSED */
	struct worker *next_idle; /* the one below it on the stack of idle workers */
	int64_t end_ns;           /* if it is idle until then, it may end; INT64_MAX: never */
	_Atomic uint32_t word;
	struct spinner spinner;
	const struct ringwake_work *work; /* the last that it took; only compared */
	_Atomic bool is_cancelled;        /* that work */
	_Atomic uint64_t completed;       /* pieces of work; this worker writes it */
	struct worker_times *times;       /* NULL: they are not recorded */
};

/* The thread that starts workers; pool_size.c explains it. */
enum watcher_state {
	WATCHER_NONE,   /* there is no such thread */
	WATCHER_AWAKE,  /* it looks for work that waits, or was woken to do so */
	WATCHER_TIMED,  /* it blocks until work has waited for too long */
	WATCHER_PARKED, /* it blocks until it is woken */
};

struct ringwake_pool {
	/* Every submit writes it. */
	alignas(CACHE_LINE) _Atomic uintptr_t inbox;

	/* How much fast and slow work was submitted. A worker reads it before it takes work. */
	alignas(CACHE_LINE) _Atomic uint32_t others_submitted;

	/* Written at open and close, read by every submit and worker. */
	alignas(CACHE_LINE) uint32_t process;
	struct spinner spinner;    /* each worker begins with a copy */
	_Atomic bool is_cancelled; /* the pool is closed with RINGWAKE_POOL_CANCEL */
	_Atomic bool notes_time;   /* each submit does: the pool can grow, or records times */
	bool records_times;

	/* Written at open, read when a thread starts or ends. */
	pthread_attr_t attributes;
	char name[16]; /* of all workers, before the number is added; longer ones are cut */
	int (*worker_start)(unsigned number, void *context);
	void (*worker_end)(unsigned number, void *context);
	void *context;
	uint64_t grow_after_ns, shrink_after_ns;

	/* Held while workers are started and while the size changes; before the lock. */
	pthread_mutex_t size_lock;

	/* The lock guards all below but the workers' words and is_cancelled. What normal work
	 * writes comes first. */
	alignas(CACHE_LINE) pthread_mutex_t lock;
	struct worker *idle;               /* a stack */
	struct queue queues[CLASSES];      /* work that was taken out of the inbox */
	struct ringwake_pool_stats stats;  /* without completed and idle */
	uint32_t others_arrived;           /* how much of others_submitted has left the inbox */
	unsigned slow_running, slow_limit; /* workers that slow work holds, and may hold */
	unsigned wakes_in_flight;          /* pool.c, invariant 1 */
	uint8_t fast_since_look;           /* fast work taken since the inbox was emptied */
	uint8_t passed_over[CLASSES];      /* times in a row that another class was taken */
	bool kick_pending; /* the inbox was armed, and the submit that disarmed it has not kicked */
	bool closing;
	bool has_retrier;       /* an idle worker retries the refused doorbells when it is time */
	struct retries retries; /* the targets of completions whose doorbell was refused */

	unsigned min_threads, max_threads;
	unsigned slow_wanted;  /* slow_threads of the parameters */
	unsigned starting;     /* of stats.threads, those that have not held the lock yet */
	unsigned numbers_used; /* stats.threads, and the workers that have not called worker_end */
	enum watcher_state watcher_state;
	bool has_ended; /* a thread has ended and was not joined */
	pthread_t ended;
	_Atomic uint32_t live; /* threads that have not ended; close waits until it is 0 */
	/* The newest of all workers. Atomic, because a forked child frees them without the lock. */
	_Atomic(struct worker *) workers;
	struct worker watcher; /* only its word is used */
};

/* For a debug build: work, or a batch, has the address of its message, which is sent in between. */
#define WORK_MARK(work) ((const char *)(work) + 1)

/*
 * pool_queue.c. Any thread: pushes count pieces of work of one class. They are linked from the
 * newest to the oldest, by previous. Returns 1 if the caller must kick the pool, 0 if not, or
 * -ECANCELED if the pool is closed.
 */
int ringwake_pool_push(struct ringwake_pool *pool, struct ringwake_work *newest,
	struct ringwake_work *oldest, size_t count);

/* With the lock. */
bool ringwake_pool_try_arm(struct ringwake_pool *pool);
void ringwake_pool_empty_inbox(struct ringwake_pool *pool);
void ringwake_pool_close_inbox(struct ringwake_pool *pool);
void ringwake_pool_dequeue(struct ringwake_pool *pool, struct ringwake_work *work);
struct ringwake_work *ringwake_pool_dequeue_all(struct ringwake_pool *pool);

/* With the lock. True if the queues hold work that a worker can take. */
bool ringwake_pool_has_work(const struct ringwake_pool *pool);

/* With the lock. When the oldest work in the queues that a worker can take was submitted, or 0 if
 * this was not noted; INT64_MAX: there is none. */
int64_t ringwake_pool_oldest(const struct ringwake_pool *pool);

/* With the lock. Takes the work that is next, also out of the inbox; NULL: none. The caller calls
 * ringwake_pool_end_work(), with the lock again, when it has run. */
struct ringwake_work *ringwake_pool_take(struct ringwake_pool *pool);
void ringwake_pool_end_work(struct ringwake_pool *pool, enum ringwake_work_class work_class);

/* With the lock, or before the first worker has started. wanted: slow_threads of the parameters. A
 * thread that raises the limit releases the lock by ringwake_pool_unlock_and_wake(). */
void ringwake_pool_limit_slow_work(struct ringwake_pool *pool, unsigned wanted, unsigned threads);

/*
 * pool_worker.c. Releases the lock, and wakes a worker if no other thread is certain to look for
 * work.
 */
void ringwake_pool_unlock_and_wake(struct ringwake_pool *pool);

/* The same, but wakes all idle workers. */
void ringwake_pool_unlock_and_wake_all(struct ringwake_pool *pool);

/* Sends the work to its loop, or its batch if this piece is the last. Returns the target, with the
 * reference of the work or batch, if its doorbell was refused. */
struct ringwake *ringwake_pool_complete(struct ringwake_work *work, int status);

/* The same for a message, which has the reference to the target. mark: of the work or batch. */
struct ringwake *ringwake_pool_send(
	struct ringwake *target, struct ringwake_msg *msg, const void *mark);

/* Returns with the lock, when the worker must end. It is no longer counted in stats.threads. */
void ringwake_pool_run_worker(struct worker *worker);

/* pool_times.c. Returns -EINVAL. */
int ringwake_pool_open_times(struct ringwake_pool *pool, bool wanted);

/* Calls the work's run, and records how long it has waited and how long it runs. */
void ringwake_pool_run_timed(struct worker_times *times, struct ringwake_work *work);

/* pool_threads.c. The number of workers that the parameters ask for. */
unsigned ringwake_pool_threads_wanted(const struct ringwake_pool_params *params);

/* Reads what the parameters say about threads. The caller destroys pool->attributes, whether or not
 * this succeeds. Returns -EINVAL, or -ENOMEM. */
int ringwake_pool_set_attributes(
	struct ringwake_pool *pool, const struct ringwake_pool_params *params);

/* With size_lock. Starts a worker, or the watcher, and waits for its worker_start. */
int ringwake_pool_start_worker(struct ringwake_pool *pool);
int ringwake_pool_start_watcher(struct ringwake_pool *pool);

/* With pool->closing. Waits until all threads have ended. */
void ringwake_pool_join(struct ringwake_pool *pool);

/* pool_size.c. Returns -EINVAL if the parameters are wrong. */
int ringwake_pool_open_size(struct ringwake_pool *pool, const struct ringwake_pool_params *params);

/* With the lock, if no worker is idle and there is a watcher. Returns it if it must be woken now.
 */
struct worker *ringwake_pool_pick_watcher(struct ringwake_pool *pool);

/* Returns with the lock, when the pool is closing and nothing is left to do. */
void ringwake_pool_watch(struct ringwake_pool *pool);

#endif
