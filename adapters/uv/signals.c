/* SPDX-License-Identifier: MIT */
/*
 * Signals of handles that have no room for one: those of source or programs that know only
 * uv_async_t. The memory is never given back to the system, and the one that was free longest is
 * used first. So a thread that sends to a handle just as it is closed, or a little later, finds a
 * closed event there; with libuv itself it finds a handle that is not watched.
 */
#include "attach.h"

#include <stdlib.h>

#define PIECE 64

static struct ringwake_uv_signal *first, *last;

static void append(struct ringwake_uv_signal *signal)
{
	signal->next = NULL;
	if (first)
		last->next = signal;
	else
		first = signal;
	last = signal;
}

static void grow(void)
{
	struct ringwake_uv_signal *piece = calloc(PIECE, sizeof *piece);
	for (size_t i = 0; piece && i < PIECE; i++)
		append(&piece[i]);
}

struct ringwake_uv_signal *ringwake_uv_signal_get(void)
{
	ringwake_uv_lock();
	if (first == NULL)
		grow();
	struct ringwake_uv_signal *signal = first;
	if (signal)
		first = signal->next;
	ringwake_uv_unlock();
	if (signal)
		signal->from_pool = 1;
	return signal;
}

void ringwake_uv_signal_put(struct ringwake_uv_signal *signal)
{
	ringwake_uv_lock();
	append(signal);
	ringwake_uv_unlock();
}
