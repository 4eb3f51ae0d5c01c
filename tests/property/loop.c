/* SPDX-License-Identifier: MIT */
/* The steps of the loop, and the callbacks. */
#include <errno.h>
#include <string.h>

#include "clocks.h"
#include "kernel.h"
#include "state.h"

static void require_no_doorbell(const struct io_uring_cqe *completion)
{
	require(completion->user_data != DOORBELL, "close leaves a doorbell");
}

/* Close has removed all doorbells from the queue and from the kernel's backlog. */
static void look_for_doorbells(void)
{
	struct io_uring_cqe *completion;
	unsigned head;
	while (kernel_can_step())
		kernel_step();
	kernel_for_each_due(require_no_doorbell);
	if (world.ring)
		io_uring_for_each_cqe(world.ring, head, completion) require_no_doorbell(completion);
}

static void close_target(void)
{
	trace("ringwake_close");
	world.place = IN_CLOSE;
	world.closing = true;
	ringwake_close(world.target);
	trace("ringwake_close has returned");
	look_for_doorbells();
	world.closed = true;
	world.freed = world.script->no_references;
	kernel_forbid_rings();
	world.place = AWAKE;
}

static void end_event(void)
{
	trace("closes the event");
	require(ringwake_event_close(&world.event) == 0, "the event's close fails");
	world.event_closed = true;
}

void on_note(struct ringwake_msg *msg)
{
	struct note *note = (struct note *)msg;
	trace("callback of %d", (int)(note - world.notes));
	note->delivered++;
	world.delivered++;
	require(note->delivered <= note->sent, "a message is delivered twice");
	require(clocks_see(note->thread, note->mark, LOOP),
		"a message is delivered before its contents are visible");
	for (const struct note *i = world.notes; i < note; i++)
		require(i->sender != note->sender || !i->accepted || i->delivered > 0,
			"a message is delivered before an earlier one of the same sender");
	if (note->sender == MAX_SENDERS)
		world.stopped = true;
	if (note->kind == 'r' && note->delivered == 1)
		send_note(note);
	if (note->kind == 'x' && !world.closing)
		close_target();
	if (note->kind == 'y' && !world.event_closed)
		end_event();
}

void on_call(void *argument)
{
	struct note *note = argument;
	require(!world.closing, "a call runs although the target is closed");
	on_note(&note->msg);
	note->result_mark = clocks_mark();
}

void on_event(struct ringwake_event *event)
{
	(void)event;
	trace("the event's callback");
	require(!world.event_closed, "the event's callback runs after it was closed");
	for (unsigned i = 0; i < MAX_SENDERS; i++)
		while (world.seen[i] < world.written[i] &&
			clocks_see(THREAD(i), world.marks[i][world.seen[i] + 1], LOOP))
			world.seen[i]++;
}

void take_completions(void)
{
	struct io_uring_cqe *completion;
	unsigned head, count = 0;
	if (world.ring == NULL)
		return;
	io_uring_for_each_cqe(world.ring, head, completion)
	{
		count++;
		bool is_doorbell = !world.closed && ringwake_is_doorbell(world.target, completion);
		require(is_doorbell || completion->user_data >= POSTED,
			"the ring has an unknown completion");
		world.received += !is_doorbell;
	}
	io_uring_cq_advance(world.ring, count);
}

static void end_iteration(void)
{
	world.place = AWAKE;
	if (!world.closed)
		take_completions();
	world.last_iteration = ++world.now;
}

static void iterate(int64_t timeout)
{
	step();
	world.place = IN_WAIT;
	int result = ringwake_wait(world.target, timeout);
	require(result >= 0 || result == -ETIME || result == -EINTR || result == -EBUSY ||
			(result == -EACCES && world.script->faults & FAULT_RESTRICTED),
		"the wait fails");
	end_iteration();
}

static void armed_iteration(bool closes_event)
{
	step();
	bool armed = ringwake_arm(world.target);
	if (closes_event) {
		world.place = IN_EVENT_CLOSE;
		end_event();
	}
	world.place = IN_WAIT;
	if (armed)
		kernel_poll(ringwake_fd(world.target));
	take_completions();
	ringwake_disarm(world.target);
	ringwake_dispatch(world.target, 0);
	end_iteration();
}

static void event_is_gone(struct ringwake_event *event)
{
	(void)event;
	require(!world.event_closed, "the event is closed twice");
	world.event_closed = true;
}

static void end_event_close(int result)
{
	require(result == 0, "the event's close fails");
	event_is_gone(&world.event);
}

static void begin_event_close(void)
{
	int result = ringwake_event_close_async(&world.event, event_is_gone);
	if (result != 1)
		end_event_close(result);
}

static void close_event(bool later)
{
	step();
	trace("closes the event");
	enum place before = world.place;
	world.place = IN_EVENT_CLOSE;
	if (later)
		begin_event_close();
	else
		end_event_close(ringwake_event_close(&world.event));
	while (!world.event_closed) {
		iterate(-1);
		world.place = IN_EVENT_CLOSE;
	}
	world.place = before;
}

/* The number of messages that the senders' scripts send. */
static unsigned count_notes(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < MAX_SENDERS && world.script->senders[i]; i++)
		count += (unsigned)strlen(world.script->senders[i]);
	return count;
}

static void take_step(char letter)
{
	switch (letter) {
	case 'W':
		while (!world.stopped && !world.closed)
			iterate(-1);
		break;
	case 'A':
		while (!world.stopped && !world.closed)
			armed_iteration(false);
		break;
	case 'D':
		while (world.delivered < count_notes())
			iterate(-1);
		break;
	case 'w':
		iterate(-1);
		break;
	case 't':
		iterate(1000);
		break;
	case 'n':
		iterate(0);
		break;
	case 'a':
		armed_iteration(false);
		break;
	case 'b':
		armed_iteration(true);
		break;
	case 'f':
		step();
		ringwake_arm(world.target);
		step();
		ringwake_disarm(world.target);
		ringwake_dispatch(world.target, 0);
		break;
	case 'c':
		step();
		kernel_cancel();
		break;
	case 'd':
		step();
		ringwake_dispatch(world.target, 0);
		break;
	case 'E':
		close_event(false);
		break;
	case 'L':
		close_event(true);
		break;
	case 'l':
		step();
		begin_event_close();
		close_target();
		require(world.event_closed, "the event's closed() is not called");
		break;
	case 'B':
		step();
		ringwake_arm(world.target);
		close_target();
		break;
	case 'C':
		step();
		close_target();
		break;
	}
}

void run_loop(void *argument)
{
	for (const char *letter = argument; *letter; letter++)
		take_step(*letter);
	if (!world.closed)
		close_target();
	world.place = AT_END;
}
