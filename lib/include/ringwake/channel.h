/* SPDX-License-Identifier: MIT */
/*
 * A bounded channel of copied items from many senders to one target's loop, with back-pressure: a
 * sender that finds the channel full is told so, or waits for room.
 *
 * A channel is shared by handles, which are counted. Each sender has one, and gives it up with
 * ringwake_channel_release(). When the last is gone and the loop has received every item, finalize
 * is called on the loop and the channel is gone. Nothing else ends it: after
 * ringwake_channel_abort() it takes no more items, but whoever has a handle may go on using it.
 */
#ifndef RINGWAKE_CHANNEL_H
#define RINGWAKE_CHANNEL_H

#include <ringwake/ringwake.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ringwake_channel;

#define RINGWAKE_CHANNEL_MAX_CAPACITY (1u << 24)

/* Zero every member that is not needed. */
struct ringwake_channel_params {
	/* bytes in an item */
	size_t item_size;
	/* the most items that wait to be received; rounded up to a power of two */
	unsigned capacity;
	/* handles there are at the start; 0: 1 */
	unsigned handles;
	/* the most items that one callback of the target receives, before the target's other
	 * messages have their turn; 0: 16 */
	unsigned batch;
	/* handed to receive and finalize */
	void *context;
	/*
	 * Called on the loop for each item accepted, once; items of one sender come in the order
	 * sent. item is aligned as memory from malloc() is and may be changed; it is gone when
	 * receive returns. status is 0, or -ECANCELED once the channel has been aborted. receive
	 * may use the channel as a sender does, whether the loop has a handle or not.
	 */
	void (*receive)(void *context, void *item, int status);
	/* Called on the loop after all else, to release what context holds; NULL: not called. */
	void (*finalize)(void *context);
};

/*
 * Loop thread. Takes a reference to the target until after finalize.
 * -EINVAL      item_size or capacity is 0 or receive is NULL, or capacity is more than
 *              RINGWAKE_CHANNEL_MAX_CAPACITY
 * -ENOMEM      no memory
 * -EOWNERDEAD  this process is a fork of the one that opened the target
 */
int ringwake_channel_open(struct ringwake_channel **out, struct ringwake *target,
	const struct ringwake_channel_params *params);

/*
 * Any thread, with a handle. One handle more.
 * -ECANCELED   the channel was aborted; there is no handle more
 * -EOWNERDEAD  this process is a fork of the one that opened the channel
 */
int ringwake_channel_acquire(struct ringwake_channel *channel);

/*
 * Any thread; any signal handler too, as long as the target is open or other handles are left (see
 * ringwake_channel_abort). Gives a handle up; the channel must not be used with it again. The last
 * one lets finalize be called, once the loop has received all items.
 * -EIO         the handle is given up, but the loop could not be woken to call finalize; as
 *              ringwake_channel_try_send()
 * -EOWNERDEAD  this process is a fork of the one that opened the channel; nothing is released, and
 *              finalize will not be called in it
 */
int ringwake_channel_release(struct ringwake_channel *channel);

/*
 * Any thread, any signal handler. Copies the item into the channel. Lock-free; allocates nothing;
 * no system call unless the loop sleeps.
 *
 * 0            accepted: receive will be called for it
 * -EAGAIN      the channel is full; if an earlier doorbell was refused, this call has rung again
 * -ECANCELED   the channel was aborted, or its target is closed
 * -EOWNERDEAD  this process is a fork of the one that opened the channel
 * -EIO         accepted, but the doorbell failed (ringwake_send() names the causes): the item is
 *              received when the loop wakes for any other reason; the next send rings again
 */
int ringwake_channel_try_send(struct ringwake_channel *channel, const void *item);

/*
 * Any thread. As ringwake_channel_try_send(), but waits, parked, while the channel is full:
 * timeout_ns nanoseconds at the most, negative for no limit, and not at all if it is 0. Signal
 * handlers run meanwhile and do not end it. If a doorbell was refused and the loop still sleeps,
 * the sender rings before it parks, and rings again from time to time until the loop wakes.
 *
 * -ETIME       still full when the time was over
 * -EDEADLK     full, and this is the loop's thread, which alone can make room. The thread that last
 *              received an item counts as the loop's; before the first, the one that opened the
 *              channel
 */
int ringwake_channel_send(struct ringwake_channel *channel, const void *item, int64_t timeout_ns);

/*
 * Any thread, any signal handler. No more items are accepted (-ECANCELED), senders that wait for
 * room are released with the same error, and what was accepted and not yet received is received
 * with status -ECANCELED. Handles stay valid until they are released.
 * -EOWNERDEAD  this process is a fork of the one that opened the channel
 *
 * If the target is closed before the channel has been finalized, that aborts the channel too.
 * ringwake_close() receives what it finds; an item whose sender comes too late for it but in time
 * for the channel to accept is received, with status -ECANCELED, by the ringwake_channel_release()
 * of the last handle, which then calls finalize too: on its own thread, as there is no loop left.
 */
int ringwake_channel_abort(struct ringwake_channel *channel);

#ifdef __cplusplus
}
#endif

#endif
