/* SPDX-License-Identifier: MIT */
/* A way to hand messages to a loop. Every item that is sent is delivered once, on the loop's
 * thread. */
#ifndef CARRIER_H
#define CARRIER_H

#include <ringwake/ringwake.h>
#ifdef HAVE_URCU
#include <urcu/wfcqueue.h>
#endif

struct item {
	union { /* whatever the carrier needs to link it */
		struct ringwake_msg msg;
		struct item *next;
#ifdef HAVE_URCU
		struct cds_wfcq_node node;
#endif
	};
	void *sender;
	uint64_t value;
};

/* What the loop calls for an item: ringwake's own type, so that no variant calls through another.
 */
typedef ringwake_msg_fn deliver_function;

struct carrier {
	/* The loop's thread. */
	void *(*open)(deliver_function deliver);
	void (*run)(void *loop);
	void (*stop)(void *loop); /* from deliver */
	void (*close)(void *loop);
	/* Any thread. */
	void (*send)(void *loop, struct item *item);
	bool slow; /* at least one system call a message: it is given fewer messages */
};

extern const struct carrier carrier_ringwake, carrier_ringwake_spin, carrier_uv_attached,
	carrier_uv_ring;
extern const struct carrier carrier_uv_queue, carrier_eventfd_queue, carrier_pipe;
extern const struct carrier carrier_ring_sync, carrier_ring_async;
extern const struct carrier carrier_urcu, carrier_glib;

#endif
