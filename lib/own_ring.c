/* SPDX-License-Identifier: MIT */
/*
 * MSG_RING on a small ring of the target's own. The ring holds nothing but doorbells, so the target
 * consumes them all, and nothing is ever submitted.
 */
#include "form.h"
#include "thread.h"

/* Enough for doorbells of senders that stopped before their call and called late; more go to the
 * kernel's backlog. */
#define COMPLETIONS 32

static int open_ring(struct doorbell *doorbell)
{
	int error = ringwake_msg_ring_probe();
	if (error == 0)
		error = ringwake_system.queue_init(&doorbell->own.ring, 1, COMPLETIONS);
	if (error < 0)
		return error;
	doorbell->ring = &doorbell->own.ring;
	return ringwake_msg_ring_open(doorbell, doorbell->ring);
}

/* An index counts only on the thread that it was registered for. */
static bool has_index(const struct own_ring *own)
{
	return own->registered && own->index >= 0 && own->thread == ringwake_thread_number();
}

static void register_ring(struct own_ring *own)
{
	struct io_uring_rsrc_update update = {.offset = -1U, .data = (uint64_t)own->ring.ring_fd};
	int count = ringwake_system.register_ring(
		own->ring.ring_fd, IORING_REGISTER_RING_FDS, &update, 1);
	own->index = count == 1 ? (int)update.offset : -1;
	own->thread = ringwake_thread_number();
	own->registered = true;
}

static int block(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns)
{
	struct own_ring *own = &doorbell->own;
	if (!own->registered)
		register_ring(own);
	int fd = own->ring.ring_fd;
	unsigned flags = 0;
	if (has_index(own)) {
		fd = own->index;
		flags = IORING_ENTER_REGISTERED_RING;
	}
	return ringwake_ring_enter(&own->ring, fd, flags, completions, timeout_ns);
}

static void consume(struct doorbell *doorbell, uint32_t calls, const _Atomic uint32_t *gate)
{
	(void)calls;
	(void)gate;
	struct io_uring *ring = doorbell->ring;
	io_uring_cq_advance(ring, io_uring_cq_ready(ring));
	/* If many came late, the rest is in the backlog, which keeps the descriptor readable. */
	if (io_uring_cq_has_overflow(ring))
		ringwake_ring_run_task_work(ring);
}

static void unregister_ring(struct doorbell *doorbell)
{
	struct own_ring *own = &doorbell->own;
	if (!has_index(own))
		return;
	struct io_uring_rsrc_update update = {.offset = (unsigned)own->index};
	ringwake_system.register_ring(own->ring.ring_fd, IORING_UNREGISTER_RING_FDS, &update, 1);
}

static void abandon(struct doorbell *doorbell)
{
	ringwake_system.queue_exit(&doorbell->own.ring);
}

const struct doorbell_form ringwake_form_own_ring = {
	.path = RINGWAKE_PATH_MSG_RING,
	.open = open_ring,
	.notify = ringwake_msg_ring_notify,
	.block = block,
	.consume = consume,
	.close = unregister_ring,
	.abandon = abandon,
};
