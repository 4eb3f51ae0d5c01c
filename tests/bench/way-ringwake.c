/* SPDX-License-Identifier: MIT */
/* A bare target: its own ring, its own wait. */
#include <ringwake/ringwake.h>
#include <stdlib.h>

#include "question.h"
#include "way.h"

struct loop {
	struct ringwake_msg msg;
	struct ringwake *target;
	woken_function woken;
	void *owner;
	bool stopped;
};

static void arrived(struct ringwake_msg *msg)
{
	struct loop *loop = (struct loop *)msg;
	loop->woken(loop->owner);
}

static void *open_target(woken_function woken, void *owner, uint64_t spin_ns)
{
	struct loop *loop = calloc(1, sizeof *loop);
	check(loop != NULL, "memory");
	loop->msg.fn = arrived;
	loop->woken = woken;
	loop->owner = owner;
	struct ringwake_params params = {.spin_ns = spin_ns};
	must(ringwake_open(&loop->target, NULL, &params), "ringwake_open");
	return loop;
}

static void *open_sleeping(woken_function woken, void *owner)
{
	return open_target(woken, owner, 0);
}

static void *open_spinning(woken_function woken, void *owner)
{
	return open_target(woken, owner, SPIN_NS);
}

static void run(void *argument)
{
	struct loop *loop = argument;
	while (!loop->stopped)
		must(ringwake_wait(loop->target, -1), "ringwake_wait");
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	loop->stopped = true;
}

static void close_target(void *argument)
{
	struct loop *loop = argument;
	ringwake_close(loop->target);
	free(loop);
}

static void wake(void *argument)
{
	struct loop *loop = argument;
	must(ringwake_send(loop->target, &loop->msg), "ringwake_send");
}

const struct way way_ringwake = {open_sleeping, run, stop, close_target, wake};
const struct way way_ringwake_spin = {open_spinning, run, stop, close_target, wake};
