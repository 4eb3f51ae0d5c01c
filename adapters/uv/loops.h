/* SPDX-License-Identifier: MIT */
/* What the loops of a process share. */
#ifndef RINGWAKE_UV_LOOPS_H
#define RINGWAKE_UV_LOOPS_H

#include "registry.h"

#include <ringwake/uv.h>

struct ringwake_uv_shared {
	struct registry registry; /* the first member; lists loops whose slots cannot be used */
	struct ringwake_uv_async_state *free_states, *last_free_state;
	struct ringwake_pool *workers;
	unsigned workers_users;
};

/* Locks what the loops of this process share. NULL if there is no memory. */
struct ringwake_uv_shared *ringwake_uv_lock(void);
void ringwake_uv_unlock(struct ringwake_uv_shared *shared);

#endif
