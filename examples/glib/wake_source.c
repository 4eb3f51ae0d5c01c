/* SPDX-License-Identifier: MIT */
/*
 * In each iteration GMainContext calls prepare, polls, and calls check and then dispatch. It skips
 *
 *   prepare  if a source of a higher priority is ready; the context does not block then
 *   check    if a source of a higher priority is ready, or if prepare returned TRUE
 *
 * So the target is armed whenever the context blocks. If check is skipped, the target stays armed
 * while callbacks run. A send then makes a system call that the loop did not need. The next prepare
 * may arm again without a disarm between.
 */
#include "wake_source.h"

struct wake_source {
	GSource source; /* first, so that a pointer to one is a pointer to the other */
	struct ringwake *target;
	gpointer tag; /* of the descriptor */
};

struct ringwake *wake_source_target(GSource *source)
{
	return ((struct wake_source *)source)->target;
}

/* A forked child must not arm, disarm or dispatch its parent's target. */
static gboolean prepare(GSource *source, int *timeout)
{
	struct ringwake *target = wake_source_target(source);
	*timeout = -1;
	return !ringwake_is_inherited(target) && !ringwake_arm(target);
}

static gboolean check(GSource *source)
{
	struct ringwake *target = wake_source_target(source);
	if (ringwake_is_inherited(target))
		return FALSE;
	ringwake_disarm(target);
	return ringwake_pending(target);
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
	struct ringwake *target = wake_source_target(source);
	(void)callback;
	(void)data;
	if (!ringwake_is_inherited(target)) {
		ringwake_disarm(target);      /* check is skipped if prepare returned TRUE */
		ringwake_dispatch(target, 0); /* a callback may close the source */
	}
	return G_SOURCE_CONTINUE;
}

static int open_target(struct wake_source *wake)
{
	struct ringwake *target;
	int error = ringwake_open(&target, NULL, NULL);
	if (error < 0)
		return error;
	wake->target = target;
	wake->tag = g_source_add_unix_fd(&wake->source, ringwake_fd(target), G_IO_IN);
	return 0;
}

int wake_source_open(GSource **out)
{
	static GSourceFuncs functions = {.prepare = prepare, .check = check, .dispatch = dispatch};
	GSource *source = g_source_new(&functions, sizeof(struct wake_source));
	int error = open_target((struct wake_source *)source);
	if (error < 0) {
		g_source_unref(source);
		return error;
	}
	/* A message's callback may run the context again and wait for another message. */
	g_source_set_can_recurse(source, TRUE);
	*out = source;
	return 0;
}

int wake_source_reopen(GSource *source)
{
	struct wake_source *wake = (struct wake_source *)source;
	struct ringwake *inherited = wake->target;
	gpointer tag = wake->tag;
	int error = open_target(wake);
	if (error < 0)
		return error;
	g_source_remove_unix_fd(source, tag);
	ringwake_close(inherited); /* runs no callback in the child */
	return 0;
}

void wake_source_close(GSource *source)
{
	struct ringwake *target = wake_source_target(source);
	g_source_destroy(source); /* first: it stops polling the descriptor */
	g_source_unref(source);
	ringwake_close(target);
}
