/* SPDX-License-Identifier: MIT */
/*
 * Connects an existing thread pool, here GLib's, to a libev loop. The pool's threads must call a
 * function when they have results: want_poll() below. The loop then collects the results in
 * on_results(). libeio's eio_init() takes such a function.
 */
#include <glib.h>
#include <ringwake/ev.h>
#include <stdio.h>
#include <string.h>

enum { TEXTS = 200 };

static GAsyncQueue *results;
static ringwake_ev_async ready;

static void want_poll(void)
{
	ringwake_ev_async_send(&ready);
}

/* Runs on a thread of the pool. */
static void digest(gpointer data, gpointer context)
{
	(void)context;
	g_async_queue_push(results, g_compute_checksum_for_string(G_CHECKSUM_SHA256, data, -1));
	g_free(data);
	want_poll();
}

/* Runs on the loop's thread. */
static void on_results(struct ev_loop *loop, ringwake_ev_async *async, int revents)
{
	static int collected, callbacks;
	char *result;
	(void)loop;
	(void)revents;
	callbacks++;
	while ((result = g_async_queue_try_pop(results))) {
		if (collected++ == 0)
			printf("the first: %s\n", result);
		g_free(result);
	}
	if (collected == TEXTS) {
		printf("%d results in %d callbacks\n", collected, callbacks);
		ringwake_ev_async_stop(async);
	}
}

int main(void)
{
	struct ev_loop *loop = EV_DEFAULT;
	struct ringwake_ev *attached;
	int error = ringwake_ev_attach(&attached, loop, NULL);
	if (error < 0) {
		fprintf(stderr, "ringwake_ev_attach: %s\n", strerror(-error));
		return 1;
	}
	ringwake_ev_async_init(&ready, on_results);
	ringwake_ev_async_start(attached, &ready);

	results = g_async_queue_new();
	GThreadPool *pool = g_thread_pool_new(digest, NULL, 2, FALSE, NULL);
	for (int i = 0; i < TEXTS; i++)
		g_thread_pool_push(pool, g_strdup_printf("text %d", i), NULL);
	ev_run(loop, 0);

	g_thread_pool_free(pool, FALSE, TRUE);
	g_async_queue_unref(results);
	ringwake_ev_detach(attached);
	ev_loop_destroy(loop);
	return 0;
}
