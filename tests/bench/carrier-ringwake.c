/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "carrier.h"
#include "question.h"

struct loop {
	struct ringwake *target;
	deliver_function deliver;
	bool stopped;
};

static void *open_target(deliver_function deliver, uint64_t spin_ns)
{
	struct loop *loop = calloc(1, sizeof *loop);
	check(loop != NULL, "memory");
	loop->deliver = deliver;
	struct ringwake_params params = {.spin_ns = spin_ns};
	must(ringwake_open(&loop->target, NULL, &params), "ringwake_open");
	return loop;
}

static void *open_sleeping(deliver_function deliver)
{
	return open_target(deliver, 0);
}

static void *open_spinning(deliver_function deliver)
{
	return open_target(deliver, 20000);
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

static void send(void *argument, struct item *item)
{
	struct loop *loop = argument;
	item->msg.fn = loop->deliver;
	must(ringwake_send(loop->target, &item->msg), "ringwake_send");
}

const struct carrier carrier_ringwake = {open_sleeping, run, stop, close_target, send, false};
const struct carrier carrier_ringwake_spin = {open_spinning, run, stop, close_target, send, false};
