/* SPDX-License-Identifier: MIT */
/*
 * A bounded channel of copied items from many senders to one target's loop, with back-pressure: a
 * send to a full channel fails, or blocks until there is room.
 *
 * Each sender has a handle and gives it up with ringwake_channel_release(). When the last handle is
 * gone and the loop has received every item, the loop calls finalize, and the channel is gone. See
 * ringwake_channel(3).
 */
#ifndef RINGWAKE_CHANNEL_H
#define RINGWAKE_CHANNEL_H

#include <ringwake/ringwake.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ringwake_channel;

#define RINGWAKE_CHANNEL_MAX_CAPACITY (1u << 24)

/* Set all members to 0 first. */
struct ringwake_channel_params {
	/* Bytes in an item. */
	size_t item_size;
	/* The most items that wait to be received; rounded up to a power of two. */
	unsigned capacity;
	/* Handles at the start; 0: 1. */
	unsigned handles;
	/* The most items that the loop receives before the target's other messages; 0: 16. */
	unsigned batch;
	/* Passed to receive and finalize. */
	void *context;
	/*
	 * Called once for each accepted item, in the order of its sender: on the loop, or, if the
	 * target is closed, by ringwake_channel_release() of the last handle. item is aligned as
	 * memory of malloc() is, may be changed, and is invalid after receive returns. status is 0,
	 * or -ECANCELED if the channel has been aborted.
	 */
	void (*receive)(void *context, void *item, int status);
	/* Called last, on the same thread, to release what context holds; NULL: none. */
	void (*finalize)(void *context);
	uint64_t reserved[8]; /* must be 0 */
};

/* Loop thread. Errors: -EINVAL, -ENOMEM, -EOWNERDEAD. */
int ringwake_channel_open(struct ringwake_channel **out, struct ringwake *target,
	const struct ringwake_channel_params *params);

/* Any thread that has a handle. Adds one handle. Errors: -ECANCELED, -EOWNERDEAD. */
int ringwake_channel_acquire(struct ringwake_channel *channel);

/*
 * Any thread; any signal handler if the target is open or other handles are left. Gives one handle
 * up. Errors: -EIO, -EOWNERDEAD.
 */
int ringwake_channel_release(struct ringwake_channel *channel);

/*
 * Any thread or signal handler that has a handle. Copies the item into the channel, unless the
 * channel is full (-EAGAIN). Errors: -EAGAIN, -ECANCELED, -EOWNERDEAD, -EIO. After -EIO the item is
 * accepted.
 */
int ringwake_channel_try_send(struct ringwake_channel *channel, const void *item);

/*
 * Any thread. As ringwake_channel_try_send(), but blocks while the channel is full. timeout_ns:
 * nanoseconds; 0: do not block; negative: no limit.
 * Errors: -EAGAIN, -ETIME, -EDEADLK, -ECANCELED, -EOWNERDEAD, -EIO.
 */
int ringwake_channel_send(struct ringwake_channel *channel, const void *item, int64_t timeout_ns);

/*
 * Any thread, any signal handler. Ends the channel: sends fail with -ECANCELED, and items that wait
 * are received with status -ECANCELED. Uses no doorbell. Handles stay valid. Errors: -EOWNERDEAD.
 */
int ringwake_channel_abort(struct ringwake_channel *channel);

#ifdef __cplusplus
}
#endif

#endif
