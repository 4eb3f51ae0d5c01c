/* SPDX-License-Identifier: MIT */
/*
 * Runs every schedule of some short scripts, on each form of the doorbell. Two programs are built
 * from this file. In calls, threads switch at system calls and between calls of the interface, any
 * number of times. In atomics, they switch before every atomic operation of the library.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel.h"
#include "thread.h"
#include "world.h"

/* The default number of preemptions in a schedule. RINGWAKE_PREEMPTIONS overrides it. */
#ifdef EVERY_ATOMIC
#define PREEMPTIONS 1
#else
#define PREEMPTIONS 2
#endif
#define SECONDS 600

#define ANY_FAULT                                                                                  \
	(FAULT_REFUSED | FAULT_RETRY | FAULT_DELAYED | FAULT_DUPLICATED | FAULT_INTERRUPTED |      \
		FAULT_NOT_SUBMITTED)

static const struct script scripts[] = {
	{.name = "sends", .loop = "W", .senders = {"ss", "s"}},
	{.name = "sends, any fault",
		.loop = "W",
		.senders = {"s", "s"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "sends, refused twice",
		.loop = "W",
		.senders = {"ss", "s"},
		.faults = FAULT_REFUSED,
		.fault_limit = 2},
	{.name = "sends of many", .loop = "W", .senders = {"sm", "s"}},
	{.name = "sends of many, any fault",
		.loop = "W",
		.senders = {"m", "m"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "sends of many, refused twice",
		.loop = "W",
		.senders = {"m", "s"},
		.faults = FAULT_REFUSED,
		.fault_limit = 2},
	{.name = "sends of many in batches of one", .loop = "A", .senders = {"m", "s"}, .batch = 1},
	{.name = "close and sends of many",
		.loop = "tC",
		.senders = {"m", "s"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "wakes",
		.loop = "W",
		.senders = {"w", "w"},
		.faults = FAULT_REFUSED,
		.fault_limit = 1},
	{.name = "a send and a wake",
		.loop = "W",
		.senders = {"s", "w"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "close", .loop = "C", .senders = {"s", "s"}},
	{.name = "close after an iteration",
		.loop = "tC",
		.senders = {"s", "s"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "close under a filter",
		.loop = "tC",
		.senders = {"s", "s"},
		.faults = FAULT_FILTERED},
	{.name = "close and wakes", .loop = "tC", .senders = {"w", "w"}},
	{.name = "close without references",
		.loop = "DC",
		.senders = {"s", "s"},
		.no_references = true},
	{.name = "posts", .loop = "tC", .senders = {"p", "ps"}},
	{.name = "posts into a full queue", .loop = "tC", .senders = {"pp", "s"}, .completions = 1},
	{.name = "overflow",
		.loop = "tW",
		.senders = {"ps", "s"},
		.completions = 1,
		.faults = FAULT_OVERFLOW,
		.fault_limit = 2},
	{.name = "polls", .loop = "nnC", .senders = {"s", "s"}},
	{.name = "batches of one", .loop = "W", .senders = {"ss", "s"}, .batch = 1},
	{.name = "a callback sends", .loop = "W", .senders = {"r", "s"}},
	{.name = "a callback closes", .loop = "W", .senders = {"x", "s"}},
	{.name = "a wait of its own", .loop = "A", .senders = {"ss", "s"}},
	{.name = "a wait of its own, any fault",
		.loop = "A",
		.senders = {"s", "s"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "event", .loop = "W", .senders = {"ee", "e"}},
	{.name = "event, any fault",
		.loop = "W",
		.senders = {"e", "e"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "event among messages, refused twice",
		.loop = "W",
		.senders = {"ss", "e"},
		.faults = FAULT_REFUSED,
		.fault_limit = 2},
	{.name = "event close", .loop = "tEW", .senders = {"e", "es"}},
	{.name = "event close, any fault",
		.loop = "EW",
		.senders = {"e", "s"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "event close, refused twice",
		.loop = "EW",
		.senders = {"ee", "s"},
		.faults = FAULT_REFUSED,
		.fault_limit = 2},
	{.name = "event close and a wake", .loop = "EW", .senders = {"e", "w"}},
	{.name = "event close later", .loop = "tLW", .senders = {"e", "es"}},
	{.name = "event close later, refused twice",
		.loop = "LW",
		.senders = {"ee", "s"},
		.faults = FAULT_REFUSED,
		.fault_limit = 2},
	{.name = "event close later, then close", .loop = "tl", .senders = {"e", "es"}},
	{.name = "event close later, then close, any fault",
		.loop = "l",
		.senders = {"e", "s"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "event close while armed", .loop = "bA", .senders = {"e", "es"}},
	{.name = "event close while armed, refused",
		.loop = "bA",
		.senders = {"es", "s"},
		.faults = FAULT_REFUSED,
		.fault_limit = 1},
	{.name = "event close while armed, after a refusal",
		.loop = "fbA",
		.senders = {"s", "es"},
		.faults = FAULT_REFUSED,
		.fault_limit = 1},
	{.name = "close while armed", .loop = "B", .senders = {"y", "e"}},
	{.name = "close while armed, any fault",
		.loop = "B",
		.senders = {"y", "e"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "the application cancels", .loop = "tcW", .senders = {"s", "s"}},
	{.name = "the application cancels, its own wait", .loop = "acA", .senders = {"s", "s"}},
	{.name = "close after the application cancels", .loop = "tcC", .senders = {"s", "s"}},
	{.name = "a request is refused",
		.loop = "wC",
		.senders = {"s"},
		.faults = FAULT_RESTRICTED,
		.fault_limit = 1},
	{.name = "a request is held back",
		.loop = "wC",
		.senders = {"s"},
		.faults = FAULT_HELD,
		.fault_limit = 1},
	{.name = "posts, any fault",
		.loop = "tC",
		.senders = {"p", "s"},
		.faults = FAULT_RETRY | FAULT_DELAYED,
		.fault_limit = 1},
	{.name = "calls", .loop = "W", .senders = {"c", "c"}},
	{.name = "calls whose time is over", .loop = "W", .senders = {"tt", "c"}},
	{.name = "calls, any fault",
		.loop = "W",
		.senders = {"c", "t"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "calls, refused twice",
		.loop = "W",
		.senders = {"ct", "s"},
		.faults = FAULT_REFUSED,
		.fault_limit = 2},
	{.name = "calls and close", .loop = "tC", .senders = {"c", "t"}},
	{.name = "calls and close, any fault",
		.loop = "C",
		.senders = {"c", "t"},
		.faults = ANY_FAULT,
		.fault_limit = 1},
	{.name = "calls while a callback closes", .loop = "W", .senders = {"x", "ct"}},
	{.name = "event close after close", .loop = "CE", .senders = {"e", "e"}},
	{.name = "event close later after close", .loop = "CL", .senders = {"e", "e"}},
};

#define SCRIPTS (sizeof scripts / sizeof *scripts)

static const char *const forms[FORM_COUNT] = {
	[FORM_MSG_RING] = "MSG_RING",
	[FORM_OWN_RING] = "MSG_RING on the target's own ring",
	[FORM_EVENTFD] = "eventfd",
	[FORM_WATCHED] = "eventfd on a ring",
	[FORM_SERVED] = "eventfd on an SQPOLL ring",
};

static struct trial {
	const struct script *script;
	enum form form;
	char name[96];
} trials[SCRIPTS * FORM_COUNT];

/* On an SQPOLL ring the kernel is one more thread, which may step at any time. */
static unsigned preemptions(enum form form)
{
	const char *text = getenv("RINGWAKE_PREEMPTIONS");
	if (text)
		return (unsigned)strtoul(text, NULL, 10);
	return form == FORM_SERVED ? 1 : PREEMPTIONS;
}

static void run_trial(void **state)
{
	const struct trial *trial = *state;
	unsigned long schedules = try_script(trial->script, trial->form, preemptions(trial->form));
	if (schedules == 0 && getenv("RINGWAKE_UNTIL_FAILURE")) {
		fflush(NULL);
		_exit(1);
	}
	assert_true(schedules > 0);
	printf("# %s: %lu schedules\n", trial->name, schedules);
}

/* In the program calls, all threads are one thread for the library, which cannot call itself. */
static bool has_calls(const struct script *script)
{
#ifdef EVERY_ATOMIC
	(void)script;
#else
	for (int i = 0; i < 3 && script->senders[i]; i++)
		if (strpbrk(script->senders[i], "ct"))
			return true;
#endif
	return false;
}

/* If the program has arguments, runs only the scripts that they name. */
static bool is_wanted(const struct script *script, int argc, char **argv)
{
	if (has_calls(script))
		return false;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], script->name) == 0)
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
#ifdef __SANITIZE_THREAD__
	printf("1..0 # SKIP ThreadSanitizer does not support coroutines\n");
	return 0;
#endif
	static struct CMUnitTest tests[SCRIPTS * FORM_COUNT];
	size_t count = 0;
	ringwake_thread_number(); /* the first call in a thread differs from later calls */
	for (size_t i = 0; i < SCRIPTS; i++)
		for (enum form form = 0; form < FORM_COUNT; form++) {
			if (!is_wanted(&scripts[i], argc, argv))
				continue;
			struct trial *trial = &trials[count];
			trial->script = &scripts[i];
			trial->form = form;
			snprintf(trial->name, sizeof trial->name, "%s on %s", scripts[i].name,
				forms[form]);
			tests[count] = (struct CMUnitTest){.name = trial->name,
				.test_func = run_trial,
				.initial_state = trial};
			count++;
		}
	alarm(SECONDS);
	return _cmocka_run_group_tests("scripts", tests, count, NULL, NULL);
}
