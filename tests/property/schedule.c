/* SPDX-License-Identifier: MIT */
#include "schedule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#define MAX_CHOICES  4096
#define MAX_SWITCHES 4096 /* a schedule with more switches does not end */
#define STACK_SIZE   (64 * 1024)

enum state { RUNNABLE, BLOCKED, BLOCKED_FOR_A_TIME, WAITS_FOR_IDLE, ENDED };

struct thread {
	const char *name;
	void (*run)(void *argument);
	void *argument;
	enum state state;
	bool (*ready)(const void *argument);
	const void *ready_argument;
	ucontext_t context;
};

static struct thread threads[MAX_THREADS];
static char stacks[MAX_THREADS][STACK_SIZE];
static unsigned thread_count;
static struct thread *current; /* NULL: the explorer */
static ucontext_t explorer;

static const struct scene *scene;
static unsigned preemptions;
static unsigned switches;
static bool failed;
static bool tracing;

/* The choices of this schedule. The first path_length ones repeat those of the previous schedule.
 */
static struct choice {
	unsigned taken, count;
} path[MAX_CHOICES];
static unsigned path_length, path_position;

unsigned choose(unsigned count)
{
	if (count < 2)
		return 0;
	if (path_position == MAX_CHOICES)
		fail_schedule("too many choices");
	if (path_position == path_length)
		path[path_length++] = (struct choice){.taken = 0, .count = count};
	struct choice *choice = &path[path_position++];
	if (choice->count != count)
		fail_schedule("a repeated schedule differs");
	return choice->taken;
}

static bool next_path(void)
{
	while (path_length > 0 && path[path_length - 1].taken + 1 == path[path_length - 1].count)
		path_length--;
	if (path_length == 0)
		return false;
	path[path_length - 1].taken++;
	return true;
}

void trace(const char *format, ...)
{
	if (!tracing)
		return;
	va_list arguments;
	va_start(arguments, format);
	printf("#   %-8s ", current ? current->name : "-");
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
}

void fail_schedule(const char *format, ...)
{
	failed = true;
	if (tracing) {
		va_list arguments;
		va_start(arguments, format);
		printf("# failed: ");
		vprintf(format, arguments);
		printf("\n");
		va_end(arguments);
	}
	setcontext(&explorer);
	__builtin_unreachable();
}

unsigned this_thread(void)
{
	return current ? (unsigned)(current - threads) : MAX_THREADS - 1;
}

static void run_thread(void);

void start_thread(const char *name, void (*run)(void *), void *argument)
{
	struct thread *thread = &threads[thread_count];
	thread->name = name;
	thread->run = run;
	thread->argument = argument;
	thread->state = RUNNABLE;
	getcontext(&thread->context);
	thread->context.uc_stack.ss_sp = stacks[thread_count];
	thread->context.uc_stack.ss_size = STACK_SIZE;
	thread->context.uc_link = NULL;
	makecontext(&thread->context, run_thread, 0);
	thread_count++;
}

static bool is_blocked(const struct thread *thread)
{
	return thread->state == BLOCKED || thread->state == BLOCKED_FOR_A_TIME;
}

static bool can_run(const struct thread *thread)
{
	return thread->state == RUNNABLE ||
		(is_blocked(thread) && thread->ready(thread->ready_argument));
}

static struct thread *first_in(enum state state)
{
	for (unsigned i = 0; i < thread_count; i++)
		if (threads[i].state == state)
			return &threads[i];
	return NULL;
}

/* No thread can run. */
static struct thread *idle_or_ended(void)
{
	struct thread *thread = first_in(WAITS_FOR_IDLE);
	if (thread == NULL)
		thread = first_in(BLOCKED_FOR_A_TIME);
	const struct thread *stuck = first_in(BLOCKED);
	if (thread == NULL && stuck)
		fail_schedule("%s hangs", stuck->name);
	return thread;
}

/*
 * Returns the thread to run next, or NULL when all have ended. If the last thread could continue,
 * any other choice is a preemption.
 */
static struct thread *pick(struct thread *last)
{
	for (;;) {
		struct thread *candidates[MAX_THREADS];
		unsigned count = 0;
		bool can_continue = last && can_run(last);
		bool may_change = !can_continue || preemptions < scene->preemptions;
		if (can_continue)
			candidates[count++] = last;
		for (unsigned i = 0; may_change && i < thread_count; i++)
			if (&threads[i] != last && can_run(&threads[i]))
				candidates[count++] = &threads[i];
		bool may_step = may_change && scene->can_step();
		if (count == 0 && !may_step)
			return idle_or_ended();
		unsigned choice = choose(count + may_step);
		if (can_continue && choice > 0)
			preemptions++;
		if (choice < count)
			return candidates[choice];
		scene->step();
	}
}

static void run_next(void)
{
	struct thread *last = current;
	if (++switches > MAX_SWITCHES)
		fail_schedule("the schedule does not end");
	struct thread *next = pick(last->state == ENDED ? NULL : last);
	if (next == NULL)
		setcontext(&explorer);
	next->state = RUNNABLE;
	if (next == last)
		return;
	current = next;
	if (last->state == ENDED)
		setcontext(&next->context);
	swapcontext(&last->context, &next->context);
}

static void run_thread(void)
{
	current->run(current->argument);
	current->state = ENDED;
	run_next();
}

void switch_point(void)
{
	if (current)
		run_next();
}

static void block(enum state state, bool (*ready)(const void *), const void *argument)
{
	current->state = state;
	current->ready = ready;
	current->ready_argument = argument;
	run_next();
}

void wait_until(bool (*ready)(const void *), const void *argument)
{
	block(BLOCKED, ready, argument);
}

void wait_until_timeout(bool (*ready)(const void *), const void *argument)
{
	block(BLOCKED_FOR_A_TIME, ready, argument);
}

void wait_until_idle(void)
{
	current->state = WAITS_FOR_IDLE;
	run_next();
}

static void run_threads(void)
{
	current = pick(NULL);
	if (current)
		setcontext(&current->context);
}

/* Returns when the part has ended or the schedule has failed. */
static void run_part(void (*part)(void))
{
	volatile bool begun = false;
	getcontext(&explorer);
	if (!begun && !failed) {
		begun = true;
		part();
	}
	current = NULL;
}

static void run_schedule(void)
{
	thread_count = 0;
	preemptions = 0;
	switches = 0;
	path_position = 0;
	failed = false;
	run_part(scene->begin);
	run_part(run_threads);
	run_part(scene->end);
}

unsigned long explore(const struct scene *explored)
{
	unsigned long count = 0;
	scene = explored;
	path_length = 0;
	do {
		run_schedule();
		count++;
	} while (!failed && next_path());
	if (!failed)
		return count;
	printf("# schedule %lu fails:\n", count);
	tracing = true;
	run_schedule();
	tracing = false;
	return 0;
}
