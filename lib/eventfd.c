/* SPDX-License-Identifier: MIT */
/*
 * The eventfd alone: the loop polls it, or blocks in a wait of its own that polls it. Nothing of it
 * needs io_uring.
 */
#include <stddef.h>
#include <sys/eventfd.h>

#include "form.h"
#include "retry.h"

int ringwake_eventfd_open(struct doorbell *doorbell, unsigned count)
{
	int fd = ringwake_system.eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return fd;
	doorbell->fd = fd;
	*(uint64_t *)doorbell->request = 1;
	return 0;
}

static int open_alone(struct doorbell *doorbell)
{
	return ringwake_eventfd_open(doorbell, 0);
}

int ringwake_eventfd_notify(const struct doorbell *doorbell)
{
	int result, attempts = 0;
	do
		result = ringwake_system.write(doorbell->fd, doorbell->request);
	while (ringwake_try_again(result, &attempts));
	return result < 0 ? result : 0;
}

/* The eventfd of an armed loop may be readable already, and has to stay so. */
static bool may_block(const struct doorbell *doorbell, unsigned completions, bool is_armed)
{
	(void)doorbell;
	(void)completions;
	return !is_armed;
}

static int poll_fd(int fd, int64_t timeout_ns)
{
	struct timespec timeout = ringwake_timespec(timeout_ns);
	struct pollfd entry = {.fd = fd, .events = POLLIN};
	int ready = ringwake_system.poll(&entry, timeout_ns < 0 ? NULL : &timeout);
	return ready == 0 ? -ETIME : ready;
}

static int block(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns)
{
	(void)completions;
	return poll_fd(doorbell->fd, timeout_ns);
}

void ringwake_doorbell_pause(int64_t time_ns)
{
	poll_fd(-1, time_ns);
}

/*
 * A read(2) is due only if a call has not been read. A call that failed leaves nothing to read:
 * once all that have begun have ended, the eventfd is empty after the read.
 */
static void consume(struct doorbell *doorbell, uint32_t calls, const _Atomic uint32_t *gate)
{
	if (calls == doorbell->calls_consumed)
		return;
	bool all_ended = ringwake_gate_in_flight(gate, calls) == 0; /* before the read */
	uint64_t count = 0;
	ringwake_system.read(doorbell->fd, &count);
	doorbell->calls_consumed = all_ended ? calls : doorbell->calls_consumed + (uint32_t)count;
}

void ringwake_eventfd_abandon(struct doorbell *doorbell)
{
	ringwake_system.close(doorbell->fd);
}

const struct doorbell_form ringwake_form_eventfd = {
	.path = RINGWAKE_PATH_EVENTFD,
	.open = open_alone,
	.notify = ringwake_eventfd_notify,
	.may_block = may_block,
	.block = block,
	.consume = consume,
	.abandon = ringwake_eventfd_abandon,
};
