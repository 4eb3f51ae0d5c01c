/* SPDX-License-Identifier: MIT */
/* Runs one schedule, and checks the guarantees at its end and when all threads block. */
#include "world.h"

#include <errno.h>
#include <string.h>

#include "clocks.h"
#include "kernel.h"
#include "memory.h"
#include "process.h"
#include "state.h"
#include "target.h"

struct world world;

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
	memory_use(address);
	if (address == &target->doorbell_calls || address == &target->doorbell_failures ||
		address == &target->references || address == &target->thread ||
		address == &target->messages || address == &target->dispatches ||
		address == &target->longest_batch)
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

static void begin(void)
{
	static const char *const names[] = {"sender 0", "sender 1", "sender 2"};
	const struct script *script = world.script;
	enum form form = world.form;
	memset(&world, 0, sizeof world);
	world.script = script;
	world.form = form;
	kernel_start(script->faults, script->fault_limit);
	memory_start();
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
	require(memory_is_clean(), "memory is left over");
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
