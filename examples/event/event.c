/* SPDX-License-Identifier: MIT */
/*
 * A thread signals that there is news, as often as it likes. The loop takes all news at once: many
 * sends before the callback make one callback, and no memory is needed for any of them.
 */
#include <pthread.h>
#include <ringwake/ringwake.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { COUNT = 100000 };

/* Relaxed: a send happens before the callback that it causes, and nothing else is shared. */
static atomic_int produced;
static int seen, callbacks;

static void on_news(struct ringwake_event *event)
{
	(void)event;
	seen = atomic_load_explicit(&produced, memory_order_relaxed);
	callbacks++;
}

static void *produce(void *event)
{
	for (int i = 0; i < COUNT; i++) {
		atomic_fetch_add_explicit(&produced, 1, memory_order_relaxed);
		ringwake_event_send(event);
	}
	return NULL;
}

int main(void)
{
	struct ringwake *target;
	int error = ringwake_open(&target, NULL, NULL);
	if (error < 0) {
		fprintf(stderr, "ringwake_open: %s\n", strerror(-error));
		return 1;
	}
	struct ringwake_event event;
	ringwake_event_init(&event, target, on_news);

	pthread_t thread;
	if (pthread_create(&thread, NULL, produce, &event) != 0)
		return 1;
	while (seen < COUNT)
		ringwake_wait(target, -1);
	pthread_join(thread, NULL);

	printf("%d sends, %d callbacks\n", COUNT, callbacks);
	ringwake_event_close(&event);
	ringwake_close(target);
	return 0;
}
