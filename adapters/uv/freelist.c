/* SPDX-License-Identifier: MIT */
/*
 * Signals of handles that have no room for one: those of source or programs that know only
 * uv_async_t. A loop keeps what it has used, and leaves it to other loops when it is detached. The
 * memory is never given back to the system, the one that was free longest is used first, and a free
 * signal still has a reference to its target. So a thread that sends to a handle just as it is
 * closed finds a closed event there.
 */
#include "binding.h"
#include "loops.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE 64

static void append(struct ringwake_uv *attached, struct ringwake_uv_async_state *signal)
{
	signal->next = NULL;
	if (attached->free_signals)
		attached->free_last->next = signal;
	else
		attached->free_signals = signal;
	attached->free_last = signal;
}

static void take_shared(struct ringwake_uv *attached)
{
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return;
	for (unsigned i = 0; i < PIECE && shared->free_signals; i++) {
		struct ringwake_uv_async_state *signal = shared->free_signals;
		shared->free_signals = signal->next;
		append(attached, signal);
	}
	ringwake_uv_unlock(shared);
}

static void grow(struct ringwake_uv *attached)
{
	int saved = errno;
	struct ringwake_uv_async_state *piece = calloc(PIECE, sizeof *piece);
	errno = saved;
	for (unsigned i = 0; piece && i < PIECE; i++)
		append(attached, &piece[i]);
}

struct ringwake_uv_async_state *ringwake_uv_signal_get(struct ringwake_uv *attached)
{
	if (attached->free_signals == NULL)
		take_shared(attached);
	if (attached->free_signals == NULL)
		grow(attached);
	struct ringwake_uv_async_state *signal = attached->free_signals;
	if (signal == NULL)
		return NULL;
	attached->free_signals = signal->next;
	signal->from_freelist = true;
	return signal;
}

void ringwake_uv_signal_put(struct ringwake_uv_async_state *signal)
{
	append(signal->attached, signal);
}

void ringwake_uv_signals_leave(struct ringwake_uv *attached)
{
	if (attached->free_signals == NULL)
		return;
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return;
	if (shared->free_signals)
		shared->free_last->next = attached->free_signals;
	else
		shared->free_signals = attached->free_signals;
	shared->free_last = attached->free_last;
	attached->free_signals = NULL;
	ringwake_uv_unlock(shared);
}
