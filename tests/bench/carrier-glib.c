/* SPDX-License-Identifier: MIT */
/* GLib: a GAsyncQueue, and g_main_context_wakeup() for the loop that watches it. */
#ifdef HAVE_GLIB
#include <glib.h>
#include <stdlib.h>

#include "carrier.h"
#include "question.h"

struct loop {
	GMainContext *context;
	GMainLoop *main;
	GAsyncQueue *queue;
	GSource *source;
	deliver_function deliver;
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
		loop->deliver(&item->msg);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs functions = {.prepare = prepare, .check = has_items, .dispatch = dispatch};

static void *open_queue(deliver_function deliver)
{
	struct loop *loop = calloc(1, sizeof *loop);
	check(loop != NULL, "memory");
	loop->deliver = deliver;
	loop->context = g_main_context_new();
	loop->main = g_main_loop_new(loop->context, FALSE);
	loop->queue = g_async_queue_new();
	loop->source = g_source_new(&functions, sizeof(struct source));
	((struct source *)loop->source)->loop = loop;
	g_source_attach(loop->source, loop->context);
	return loop;
}

static void run(void *argument)
{
	struct loop *loop = argument;
	g_main_loop_run(loop->main);
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	g_main_loop_quit(loop->main);
}

static void close_queue(void *argument)
{
	struct loop *loop = argument;
	g_source_destroy(loop->source);
	g_source_unref(loop->source);
	g_async_queue_unref(loop->queue);
	g_main_loop_unref(loop->main);
	g_main_context_unref(loop->context);
	free(loop);
}

static void send(void *argument, struct item *item)
{
	struct loop *loop = argument;
	g_async_queue_push(loop->queue, item);
	g_main_context_wakeup(loop->context);
}

const struct carrier carrier_glib = {open_queue, run, stop, close_queue, send, true};
#endif
