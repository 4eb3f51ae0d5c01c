/* SPDX-License-Identifier: MIT */
/* GLib: a GAsyncQueue, and g_main_context_wakeup() for the loop that watches it. */
#include <glib.h>
#include <stdlib.h>

#include "peer.h"
#include "question.h"

struct loop {
	GMainContext *context;
	GMainLoop *main;
	GAsyncQueue *queue;
	struct source *source;
	struct receiver receiver;
};

struct source {
	GSource source;
	struct loop *loop;
};

static gboolean has_items(GSource *source)
{
	return g_async_queue_length(((struct source *)source)->loop->queue) > 0;
}

static gboolean prepare(GSource *source, gint *timeout)
{
	*timeout = -1;
	return has_items(source);
}

static gboolean dispatch(GSource *source, GSourceFunc unused, gpointer data)
{
	struct loop *loop = ((struct source *)source)->loop;
	struct item *item;
	(void)unused;
	(void)data;
	while ((item = g_async_queue_try_pop(loop->queue)))
		loop->receiver.deliver(&item->msg);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs functions = {.prepare = prepare, .check = has_items, .dispatch = dispatch};

static struct loop *open_loop(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = allocate(1, sizeof *loop);
	(void)peer;
	loop->receiver = *receiver;
	loop->context = g_main_context_new();
	loop->main = g_main_loop_new(loop->context, FALSE);
	loop->queue = g_async_queue_new();
	loop->source = (struct source *)g_source_new(&functions, sizeof *loop->source);
	loop->source->loop = loop;
	g_source_attach(&loop->source->source, loop->context);
	return loop;
}

static void run(struct loop *loop)
{
	g_main_loop_run(loop->main);
}

static void stop(struct loop *loop)
{
	g_main_loop_quit(loop->main);
}

static void close_loop(struct loop *loop)
{
	g_source_destroy(&loop->source->source);
	g_source_unref(&loop->source->source);
	g_async_queue_unref(loop->queue);
	g_main_loop_unref(loop->main);
	g_main_context_unref(loop->context);
	free(loop);
}

static void send_message(struct loop *loop, struct item *item)
{
	g_async_queue_push(loop->queue, item);
	g_main_context_wakeup(loop->context);
}

const struct peer peer_glib = {.open = open_loop,
	.run = run,
	.stop = stop,
	.close = close_loop,
	.send = send_message,
	.is_slow = true};
