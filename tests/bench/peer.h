/* SPDX-License-Identifier: MIT */
/*
 * A peer is a kind of event loop, with one way to wake it from other threads. Every peer-*.c
 * defines a struct loop of its own.
 */
#ifndef PEER_H
#define PEER_H

#include <pthread.h>
#include <ringwake/pool.h>
#include <ringwake/ringwake.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>
#ifdef HAVE_URCU
#include <urcu/wfcqueue.h>
#endif

#include "effort.h"

struct item {
	union { /* a peer links the item by one of these */
		struct ringwake_msg msg;
		struct item *next;
#ifdef HAVE_URCU
		struct cds_wfcq_node node;
#endif
	};
	void *context;
	uint64_t value;
};

/* The loop calls it with an item's msg. It is ringwake's own type, so that ringwake needs no
 * function in between. */
typedef ringwake_msg_fn deliver_function;

struct receiver {
	deliver_function deliver;
	/*
	 * A peer that cannot carry an item delivers this one. A peer with handles sends to the
	 * handle that the sent item's value names, and sets the value of this one to the same.
	 */
	struct item wake;
	long handles;
};

static inline void deliver_wake(struct receiver *receiver)
{
	receiver->deliver(&receiver->wake.msg);
}

struct job {
	union { /* a peer submits the job by one of these */
		struct ringwake_work work;
		uv_work_t request;
	};
	int64_t submitted_ns;
	void (*ended)(struct job *job); /* called on the loop's thread */
};

/* The item of a peer whose messages are work of its pool. */
struct errand {
	struct item item;
	struct ringwake_work work;
};

void run_job(void); /* called on a worker */

#define WORKERS 4

struct loop;

struct peer {
	/* The loop's thread. */
	struct loop *(*open)(const struct peer *peer, const struct receiver *receiver);
	void (*run)(struct loop *loop);      /* until stop is called */
	void (*run_once)(struct loop *loop); /* one iteration; of the loops of questions L and L1 */
	void (*stop)(struct loop *loop);     /* from a callback */
	void (*close)(struct loop *loop);
	void (*submit)(struct loop *loop, struct job *job); /* if it has workers */

	/* Any thread. The item may be sent again when it was delivered. */
	void (*send)(struct loop *loop, struct item *item);
	/* NULL: send is called for each. */
	void (*send_many)(struct loop *loop, struct ringwake_msg *const *messages, unsigned count);

	/* Loop thread. Calls callback whenever fd is readable, if the peer can watch descriptors.
	 */
	void (*watch)(struct loop *loop, int fd, void (*callback)(void));

	uint64_t spin_ns;
	uint32_t flags; /* those that the file's open function needs */
	bool is_slow;   /* each message costs a system call */
};

extern const struct peer peer_cache_line, peer_futex, peer_pipe;
extern const struct peer peer_eventfd_level, peer_eventfd_edge, peer_eventfd_queue;
extern const struct peer peer_ring_read, peer_ring_futex, peer_ring_async, peer_ring_sync;
extern const struct peer peer_ringwake, peer_ringwake_many, peer_ringwake_blocking;
extern const struct peer peer_ringwake_pool, peer_ringwake_pool_blocking, peer_errand;
extern const struct peer peer_ringwake_pool_classes, peer_ringwake_pool_times;
#define PEER_RECORDS_TIMES 1
extern const struct peer peer_uv, peer_uv_queue;
extern const struct peer peer_uv_attached, peer_uv_ring, peer_uv_ring_pool;
extern const struct peer peer_uv_attached_messages, peer_uv_ring_messages;
extern const struct peer peer_ev_epoll, peer_ev_ring, peer_ringwake_ev_epoll, peer_ringwake_ev_ring;
extern const struct peer peer_ev_epoll_messages, peer_ev_ring_messages;
extern const struct peer peer_glib, peer_urcu;

/* The what and needs of a variant whose library may be missing. */
#ifdef HAVE_EV
#define EV_PEER(peer) .what = &(peer)
#else
#define EV_PEER(peer) .needs = "libev-dev"
#endif
#ifdef HAVE_GLIB
#define GLIB_PEER(peer) .what = &(peer)
#else
#define GLIB_PEER(peer) .needs = "libglib2.0-dev"
#endif
#ifdef HAVE_URCU
#define URCU_PEER(peer) .what = &(peer)
#else
#define URCU_PEER(peer) .needs = "liburcu-dev"
#endif

/* A thread that opens a peer's loop, runs it and closes it. */
struct host {
	const struct peer *peer;
	struct receiver receiver;
	bool counts_calls;
	struct loop *loop;
	struct effort effort; /* while the loop ran */
	pid_t id;
	pthread_t thread;
	pthread_barrier_t barrier;
};

/* Starts the thread on a processor, see start_thread(), and returns when its loop is open. */
void start_host(struct host *host, int processor);

/* Waits until all loops have stopped, then closes them. Only these loops may still send. */
void end_hosts(struct host *hosts, int count);

static inline void send_to(const struct host *host, struct item *item)
{
	host->peer->send(host->loop, item);
}

static inline void stop_host(const struct host *host)
{
	host->peer->stop(host->loop);
}

#endif
