/* SPDX-License-Identifier: MIT */
#include "ticker.h"
#include "clock.h"
#include "handlers.h"
#include "pages.h"

#include <ringwake/ringwake.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct ticker {
	struct ringwake *target; /* ends the wait of the thread */
	uint64_t interval;       /* ns */
	struct site *first;
	pthread_t thread;
	atomic_bool ending;
	atomic_uint clients;
	uint64_t begin;
	struct buffer text;
	struct event event;
	uint64_t wakes[HISTOGRAM_BUCKETS]; /* of all loops, at the last event */
};

static void add_number(struct buffer *text, const char *name, uint64_t number)
{
	buffer_text(text, "\"");
	buffer_text(text, name);
	buffer_text(text, "\":");
	buffer_number(text, number);
}

/* Those since the last event. */
static void add_wakes(struct ticker *ticker)
{
	uint64_t since[HISTOGRAM_BUCKETS];
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t sum = 0;
		for (const struct site *site = ticker->first; site; site = site->next)
			sum += counter_get(&site->wakes.buckets[i]);
		since[i] = sum - ticker->wakes[i];
		ticker->wakes[i] = sum;
	}
	add_number(&ticker->text, "wake_p50_ns", histogram_quantile(since, 500));
	buffer_text(&ticker->text, ",");
	add_number(&ticker->text, "wake_p99_ns", histogram_quantile(since, 990));
}

/* The names are those of /metrics, except for the first four. */
static void write_text(struct ticker *ticker)
{
	struct figure figures[FIGURES_MAX];
	struct buffer *text = &ticker->text;
	unsigned count = site_figures(ticker->first, figures);
	buffer_clear(text);
	buffer_text(text, "data: {");
	add_number(text, "ms", (clock_ns() - ticker->begin) / 1000000);
	buffer_text(text, ",");
	add_number(text, "requests", site_requests(ticker->first));
	buffer_text(text, ",");
	add_wakes(ticker);
	for (unsigned i = 0; i < count; i++) {
		buffer_text(text, ",");
		add_number(text, figures[i].name, figures[i].value);
	}
	buffer_text(text, "}\n\n");
}

static void send_event(struct ticker *ticker)
{
	struct event *event = &ticker->event;
	write_text(ticker);
	if (ticker->text.failed || ticker->text.length > sizeof(event->text))
		return;
	event->length = ticker->text.length;
	memcpy(event->text, ticker->text.bytes, event->length);
	for (struct site *site = ticker->first; site; site = site->next)
		events_send(&site->events, event);
}

static void *run(void *argument)
{
	struct ticker *ticker = argument;
	int result = 0;
	while (result >= 0 || result == -ETIME || result == -EINTR) {
		/* Acquire: pairs with the stores before ringwake_wake(). */
		if (atomic_load_explicit(&ticker->ending, memory_order_acquire))
			break;
		bool used = atomic_load_explicit(&ticker->clients, memory_order_acquire) > 0;
		if (used)
			send_event(ticker);
		result = ringwake_wait(ticker->target, used ? (int64_t)ticker->interval : -1);
	}
	return NULL;
}

static int open_all(struct ticker *ticker)
{
	int error = ringwake_open(&ticker->target, NULL, NULL);
	if (error)
		return error;
	error = pthread_create(&ticker->thread, NULL, run, ticker);
	if (error)
		ringwake_close(ticker->target);
	return -error;
}

int ticker_open(struct ticker **out, unsigned interval_ms, struct site *first)
{
	struct ticker *ticker = calloc(1, sizeof(*ticker));
	if (!ticker)
		return -ENOMEM;
	ticker->interval = UINT64_C(1000000) * interval_ms;
	ticker->begin = clock_ns();
	ticker->first = first;
	for (struct site *site = first; site; site = site->next)
		site->events.ticker = ticker;
	int error = open_all(ticker);
	if (error)
		free(ticker);
	else
		*out = ticker;
	return error;
}

void ticker_stop(struct ticker *ticker)
{
	/* Release: pairs with the load in run(). */
	atomic_store_explicit(&ticker->ending, true, memory_order_release);
	ringwake_wake(ticker->target);
	pthread_join(ticker->thread, NULL);
}

void ticker_close(struct ticker *ticker)
{
	ringwake_close(ticker->target);
	buffer_free(&ticker->text);
	free(ticker);
}

/* The first client ends the thread's wait. */
void ticker_use(struct ticker *ticker)
{
	/* Release: pairs with the load in run(). */
	if (atomic_fetch_add_explicit(&ticker->clients, 1, memory_order_release) == 0)
		ringwake_wake(ticker->target);
}

void ticker_unuse(struct ticker *ticker)
{
	/* Relaxed: nothing is published. */
	atomic_fetch_sub_explicit(&ticker->clients, 1, memory_order_relaxed);
}
