/* SPDX-License-Identifier: MIT */
#include "shared.h"

static _Atomic(struct registry *) current;

struct ringwake_uv_shared *ringwake_uv_lock(void)
{
	/* The registry is the first member. */
	return (struct ringwake_uv_shared *)registry_lock(
		&current, sizeof(struct ringwake_uv_shared));
}

void ringwake_uv_unlock(struct ringwake_uv_shared *shared)
{
	registry_unlock(&shared->registry);
}
