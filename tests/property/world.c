/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <errno.h>
#include <liburing.h>
#include <ringwake/ringwake.h>
#include <string.h>

#include "clocks.h"
#include "kernel.h"
#include "process.h"
#include "schedule.h"
#include "target.h"

#define MAX_SENDERS    3
#define MAX_NOTES      8
#define MAX_EVENTS     4              /* per sender */
#define POSTED         7000           /* user_data of posted completions */
#define THREAD(sender) ((sender) + 1) /* the number of the sender's thread */
#define ROOMY          16
#define DOORBELL       99 /* user_data */

struct note {
	struct ringwake_msg msg; /* must be first */
	unsigned sender;         /* index, or MAX_SENDERS for run_last() */
	char kind;               /* the script's letter */
	bool accepted;
	unsigned sent, delivered;
	unsigned thread, mark; /* the mark of the write before the send */
};

enum place { AWAKE, IN_WAIT, IN_EVENT_CLOSE, IN_CLOSE, AT_END };

static struct {
	const struct script *script;
	enum form form;
	struct ringwake *target;
	struct io_uring *ring; /* the application's ring, or NULL */

	struct note notes[MAX_NOTES];
	unsigned note_count;
	unsigned delivered;
	bool stopped; /* the last message was delivered */

	struct ringwake_event event;
	unsigned written[MAX_SENDERS]; /* the value written before each send of the event */
	unsigned marks[MAX_SENDERS][MAX_EVENTS + 1];
	unsigned seen[MAX_SENDERS]; /* the values that the callback has seen */
	unsigned due[MAX_SENDERS];  /* the values whose sends were accepted */
	bool event_closed;

	unsigned posted, received; /* the application's completions */

	/* The loop. */
	enum place place;
	bool closing, closed, freed;

	/* Logical times, which order the events. */
	unsigned now, last_iteration, last_wake, last_failure;
	unsigned wake_marks[MAX_SENDERS];
	bool excused; /* the last send returned that its doorbell failed */
	unsigned failed_sender;
} world;

/* Without EVERY_ATOMIC, the only switch points are here and at system calls. */
static void step(void)
{
#ifndef EVERY_ATOMIC
	switch_point();
#endif
}

#ifdef EVERY_ATOMIC
static bool is_within(const volatile void *address, const volatile void *start, size_t size)
{
	const volatile char *byte = address;
	return byte >= (const volatile char *)start && byte < (const volatile char *)start + size;
}

/* Skips statistics, reference counts and members that only fork() changes: they synchronize
 * nothing. */
void before_atomic(const volatile void *address)
{
	const struct ringwake *target = world.target;
	const void *word = atomic_load_explicit(&ringwake_process_word, memory_order_relaxed);
	if (target == NULL || address == word || address == &ringwake_process_word)
		return;
	require(!world.freed || !is_within(address, target, sizeof *target),
		"the target is used after free");
	if (address == &target->doorbell_calls || address == &target->doorbell_failures ||
		address == &target->references || address == &target->messages ||
		address == &target->dispatches || address == &target->longest_batch)
		return;
	switch_point();
}
#endif

static bool events_are_seen(void)
{
	if (world.event_closed)
		return true;
	for (unsigned i = 0; i < MAX_SENDERS; i++)
		if (world.seen[i] < world.due[i])
			return false;
	return true;
}

static bool notes_are_delivered(void)
{
	for (unsigned i = 0; i < world.note_count; i++)
		if (world.notes[i].accepted && world.notes[i].delivered < world.notes[i].sent)
			return false;
	return true;
}

/* The senders. */

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

static void on_note(struct ringwake_msg *msg);

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

static int send_note(struct note *note)
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

static struct note *new_note(unsigned sender, char kind)
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

static void on_note(struct ringwake_msg *msg)
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

static void run_sender(void *argument)
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
		default:
			send_note(new_note(sender, *letter));
		}
	}
	if (!world.script->no_references)
		ringwake_unref(world.target);
}

/* Called when no other thread can run: checks that no thread waits for a promised wake. */
static void judge_idle(void)
{
	/* In this case the loop waits for the kernel. */
	if (world.form > FORM_EVENTFD && world.script->faults & (FAULT_FILTERED | FAULT_HELD) &&
		kernel_sleeps_timed())
		return;
	if (kernel_naps())
		return;
	require(world.place != IN_CLOSE, "ringwake_close() hangs");
	if (world.excused || world.place == AT_END)
		return;
	if (world.place == IN_EVENT_CLOSE) {
		/* The close may need its timeout only after a doorbell has failed. */
		require(world.last_failure > 0,
			"the event's close blocks although its message is queued");
		return;
	}
	require(notes_are_delivered(), "the loop blocks although a message is queued");
	require(events_are_seen(), "the loop blocks before the event's callback has run");
	require(world.last_wake < world.last_iteration || world.last_wake == 0,
		"the loop blocks although it was woken");
	for (unsigned i = 0; i < MAX_SENDERS; i++)
		require(clocks_see(THREAD(i), world.wake_marks[i], LOOP),
			"the loop wakes and does not see the write before the wake");
}

/* One more send after all faults makes the loop deliver everything. */
static void run_last(void *argument)
{
	(void)argument;
	wait_until_idle();
	judge_idle();
	kernel_behave();
	if (world.place != AT_END)
		require(send_note(new_note(MAX_SENDERS, 's')) == 0 || world.closing,
			"the last send fails");
}

/* The loop. */

static void take_completions(void)
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

static void on_event(struct ringwake_event *event)
{
	(void)event;
	trace("the event's callback");
	require(!world.event_closed, "the event's callback runs after it was closed");
	for (unsigned i = 0; i < MAX_SENDERS; i++)
		while (world.seen[i] < world.written[i] &&
			clocks_see(THREAD(i), world.marks[i][world.seen[i] + 1], LOOP))
			world.seen[i]++;
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

static void run_loop(void *argument)
{
	for (const char *letter = argument; *letter; letter++)
		take_step(*letter);
	if (!world.closed)
		close_target();
	world.place = AT_END;
}

/* Runs one schedule. */

static void begin(void)
{
	static const char *const names[] = {"sender 0", "sender 1", "sender 2"};
	const struct script *script = world.script;
	enum form form = world.form;
	memset(&world, 0, sizeof world);
	world.script = script;
	world.form = form;
	kernel_start(script->faults, script->fault_limit);
	bool rings = form == FORM_MSG_RING || form == FORM_OWN_RING;
	if (form != FORM_OWN_RING && form != FORM_EVENTFD)
		world.ring = kernel_ring(
			script->completions ? script->completions : ROOMY, form == FORM_SERVED);
	struct ringwake_params params = {
		.path = rings ? RINGWAKE_PATH_MSG_RING : RINGWAKE_PATH_EVENTFD,
		.user_data = DOORBELL,
		.batch = script->batch,
		.spin_ns = RINGWAKE_SPIN_OFF};
	struct ringwake *target;
	require(ringwake_open(&target, world.ring, &params) == 0, "open fails");
	world.target = target;
	if (!script->no_references)
		ringwake_ref(target); /* until end() */
	ringwake_event_init(&world.event, target, on_event);
	start_thread("loop", run_loop, (void *)(uintptr_t)script->loop);
	for (unsigned i = 0; i < MAX_SENDERS && script->senders[i]; i++) {
		if (!script->no_references)
			ringwake_ref(target);
		start_thread(names[i], run_sender, (void *)(uintptr_t)&script->senders[i]);
	}
	start_thread("last", run_last, NULL);
}

static void end(void)
{
	require(notes_are_delivered(), "an accepted message is not delivered");
	take_completions();
	while (kernel_can_step()) {
		kernel_step();
		take_completions();
	}
	require(world.received == world.posted, "a posted completion is lost or duplicated");
	require(kernel_is_clean(), "a descriptor or ring is left open");
	require(kernel_parks() <= 2 * MAX_SENDERS, "close spins");
	for (unsigned i = 0; i < world.note_count; i++)
		require(world.notes[i].delivered == world.notes[i].sent,
			"a message is not delivered exactly once");
	if (strchr(world.script->loop, 'W'))
		require(events_are_seen(), "the event's callback has not run after a send");
	if (!world.script->no_references)
		ringwake_unref(world.target);
}

unsigned long try_script(const struct script *script, enum form form, unsigned preemptions)
{
	static const struct scene template = {
		.begin = begin, .end = end, .can_step = kernel_can_step, .step = kernel_step};
	struct scene scene = template;
	scene.preemptions = preemptions;
	world.script = script;
	world.form = form;
	return explore(&scene);
}
