/* SPDX-License-Identifier: MIT */
/* The steps of the senders. */
#include <errno.h>

#include "clocks.h"
#include "kernel.h"
#include "state.h"

static int judge(unsigned sender, int result, unsigned begun, bool was_closed)
{
	unsigned returned = ++world.now;
	trace("result %d", result);
	require(result == 0 || result == -ECANCELED || result == -ENOMEM,
		"a send returns an undocumented result");
	require(!was_closed || result != 0, "a send is accepted after close");
	if (result == -ENOMEM) {
		world.last_failure = returned;
		world.failed_sender = sender;
		world.excused = true;
	} else if (begun > world.last_failure && (result == 0 || sender == world.failed_sender)) {
		world.excused = false; /* the doorbell worked, or none was needed */
	}
	return result;
}

static bool is_accepted(int result)
{
	return result != -ECANCELED;
}

/* Before it is sent: from then on it may be delivered at any moment. */
static void expect_note(struct note *note)
{
	note->msg.fn = on_note;
	note->accepted = true;
	note->sent++;
	note->thread = this_thread();
	note->mark = clocks_mark();
	trace("sends %d", (int)(note - world.notes));
}

static void take_back(struct note *note)
{
	require(world.closing, "a send is refused before close");
	note->sent--;
	note->accepted = note->sent > 0;
}

int send_note(struct note *note)
{
	bool was_closed = world.closed;
	unsigned begun = ++world.now;
	expect_note(note);
	int result = ringwake_send(world.target, &note->msg);
	judge(note->sender, result, begun, was_closed);
	if (!is_accepted(result))
		take_back(note);
	return result;
}

struct note *new_note(unsigned sender, char kind)
{
	struct note *note = &world.notes[world.note_count++];
	note->sender = sender;
	note->kind = kind;
	return note;
}

/* Two messages by one call. */
static void send_many(unsigned sender)
{
	struct note *notes[] = {new_note(sender, 'm'), new_note(sender, 'm')};
	struct ringwake_msg *messages[] = {&notes[0]->msg, &notes[1]->msg};
	bool was_closed = world.closed;
	unsigned begun = ++world.now;
	expect_note(notes[0]);
	expect_note(notes[1]);
	int result = ringwake_send_many(world.target, messages, 2);
	if (is_accepted(judge(sender, result, begun, was_closed)))
		return;
	take_back(notes[0]);
	take_back(notes[1]);
}

static void call_loop(unsigned sender, char kind)
{
	struct note *note = new_note(sender, kind);
	bool was_closed = world.closed;
	unsigned begun = ++world.now;
	expect_note(note);
	int result = ringwake_call(world.target, on_call, note, kind == 't' ? 0 : -1);
	if (kind == 't' && result == -ETIME)
		trace("its time is over");
	else
		judge(sender, result, begun, was_closed);
	if (result == 0) {
		require(note->delivered == 1, "a call returns before its function");
		require(clocks_see(LOOP, note->result_mark, this_thread()),
			"a call returns before its result is visible");
		return;
	}
	require(note->delivered == 0, "a call fails, and its function runs");
	require(result != -ECANCELED || world.closing, "a call is refused before close");
	note->sent--;
	note->accepted = false;
}

static void wake(unsigned sender)
{
	bool was_closed = world.closed;
	unsigned begun = ++world.now;
	trace("ringwake_wake");
	unsigned mark = clocks_mark();
	if (judge(sender, ringwake_wake(world.target), begun, was_closed) != 0)
		return;
	world.last_wake = begun;
	world.wake_marks[sender] = mark;
}

static void send_event(unsigned sender)
{
	bool was_closed = world.event_closed || world.closed;
	unsigned begun = ++world.now;
	unsigned value = ++world.written[sender];
	world.marks[sender][value] = clocks_mark();
	trace("ringwake_event_send");
	int result = ringwake_event_send(&world.event);
	if (is_accepted(judge(sender, result, begun, was_closed)))
		world.due[sender] = value;
}

static void post_completion(void)
{
	bool was_closed = world.closed;
	trace("ringwake_post");
	int result = ringwake_post(world.target, POSTED + world.posted, 0);
	trace("result %d", result);
	require(result != -EINTR && result != -EAGAIN, "a post is not retried");
	if (was_closed)
		require(result == -ECANCELED, "a completion is posted after close");
	else if (world.form != FORM_MSG_RING)
		require(result == -EOPNOTSUPP || result == -ECANCELED,
			"a post fails on a target that supports it");
	if (result == 0)
		world.posted++;
}

void run_sender(void *argument)
{
	const char *const *script = argument;
	unsigned sender = (unsigned)(script - world.script->senders);
	for (const char *letter = *script; *letter; letter++) {
		step();
		switch (*letter) {
		case 'w':
			wake(sender);
			break;
		case 'e':
			send_event(sender);
			break;
		case 'p':
			post_completion();
			break;
		case 'm':
			send_many(sender);
			break;
		case 'c':
		case 't':
			call_loop(sender, *letter);
			break;
		default:
			send_note(new_note(sender, *letter));
		}
	}
	if (!world.script->no_references)
		ringwake_unref(world.target);
}
