/* SPDX-License-Identifier: MIT */
/*
 * States for handles that have no room for one: those of source or programs that know only
 * uv_async_t. A loop keeps the states that it has used, and leaves them to other loops at detach.
 * The memory is never freed, the state that has been free for longest is used first, and a free
 * state still holds a reference to its target. So a thread that sends to a handle while the loop
 * closes it finds a closed event.
 */
#include "binding.h"
#include "loops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PIECE      64
#define CACHE_LINE 64

static void append(struct ringwake_uv *binding, struct ringwake_uv_async_state *state)
{
	state->next = NULL;
	if (binding->free_states)
		binding->last_free_state->next = state;
	else
		binding->free_states = state;
	binding->last_free_state = state;
}

static void take_shared(struct ringwake_uv *binding)
{
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return;
	for (unsigned i = 0; i < PIECE && shared->free_states; i++) {
		struct ringwake_uv_async_state *state = shared->free_states;
		shared->free_states = state->next;
		append(binding, state);
	}
	ringwake_uv_unlock(shared);
}

static void grow(struct ringwake_uv *binding)
{
	struct ringwake_uv_async_state *piece = NULL;
	int saved = errno;
	void *memory = aligned_alloc(CACHE_LINE, PIECE * sizeof *piece);
	errno = saved;
	if (memory == NULL)
		return;
	piece = memset(memory, 0, PIECE * sizeof *piece);
	for (unsigned i = 0; i < PIECE; i++)
		append(binding, &piece[i]);
}

struct ringwake_uv_async_state *ringwake_uv_async_state_get(struct ringwake_uv *binding)
{
	if (binding->free_states == NULL)
		take_shared(binding);
	if (binding->free_states == NULL)
		grow(binding);
	struct ringwake_uv_async_state *state = binding->free_states;
	if (state == NULL)
		return NULL;
	binding->free_states = state->next;
	return state;
}

void ringwake_uv_async_state_put(struct ringwake_uv_async_state *state)
{
	append(state->binding, state);
}

void ringwake_uv_async_states_leave(struct ringwake_uv *binding)
{
	if (binding->free_states == NULL)
		return;
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return;
	if (shared->free_states)
		shared->last_free_state->next = binding->free_states;
	else
		shared->free_states = binding->free_states;
	shared->last_free_state = binding->last_free_state;
	binding->free_states = NULL;
	ringwake_uv_unlock(shared);
}
