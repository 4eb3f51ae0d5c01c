/* SPDX-License-Identifier: MIT */
#include "clocks.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "schedule.h"

#define MAX_OBJECTS 32

struct clock {
	unsigned time[MAX_THREADS];
};

static struct clock threads[MAX_THREADS];

static struct object {
	const volatile void *address;
	struct clock released;
} objects[MAX_OBJECTS];
static unsigned object_count;

void clocks_start(void)
{
	memset(threads, 0, sizeof threads);
	object_count = 0;
}

unsigned clocks_mark(void)
{
	unsigned thread = this_thread();
	return ++threads[thread].time[thread];
}

bool clocks_see(unsigned thread, unsigned mark, unsigned observer)
{
#ifdef EVERY_ATOMIC
	return threads[observer].time[thread] >= mark;
#else
	(void)thread;
	(void)mark;
	(void)observer;
	return true;
#endif
}

static struct object *object_at(const volatile void *address)
{
	for (unsigned i = 0; i < object_count; i++)
		if (objects[i].address == address)
			return &objects[i];
	require(object_count < MAX_OBJECTS, "too many atomic objects");
	struct object *object = &objects[object_count++];
	*object = (struct object){.address = address};
	return object;
}

static void join(struct clock *to, const struct clock *from)
{
	for (unsigned i = 0; i < MAX_THREADS; i++)
		if (to->time[i] < from->time[i])
			to->time[i] = from->time[i];
}

static bool acquires(int order)
{
	return order != memory_order_relaxed && order != memory_order_release;
}

static bool releases(int order)
{
	return order == memory_order_release || order == memory_order_acq_rel ||
		order == memory_order_seq_cst;
}

void clocks_load(const volatile void *address, int order)
{
	if (acquires(order))
		join(&threads[this_thread()], &object_at(address)->released);
}

/* A store ends the object's release sequence and may begin a new one. */
void clocks_store(const volatile void *address, int order)
{
	struct object *object = object_at(address);
	object->released = releases(order) ? threads[this_thread()] : (struct clock){0};
}

/* A read-modify-write continues the release sequence. */
void clocks_change(const volatile void *address, int order)
{
	struct object *object = object_at(address);
	struct clock *thread = &threads[this_thread()];
	if (acquires(order))
		join(thread, &object->released);
	if (releases(order))
		join(&object->released, thread);
}
