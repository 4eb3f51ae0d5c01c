/* SPDX-License-Identifier: MIT */
/*
 * A ringwake target as a source of a GMainContext. Call all functions on the thread that runs the
 * context. It must always be the same thread. Other threads send to wake_source_target().
 */
#ifndef WAKE_SOURCE_H
#define WAKE_SOURCE_H

#include <glib.h>
#include <ringwake/ringwake.h>

/* Returns 0 and a source to attach, or an error of ringwake_open(). */
int wake_source_open(GSource **out);
struct ringwake *wake_source_target(GSource *source);

/*
 * Gives an inherited source a target of this process. Call it in a forked child that continues to
 * run the context while the parent does not, as after daemon(3). Any other child must close the
 * source and open one on a context of its own. Errors: as ringwake_open().
 */
int wake_source_reopen(GSource *source);

/* Destroys the source. Runs the callbacks of all accepted messages, but none in a forked child. */
void wake_source_close(GSource *source);

#endif
