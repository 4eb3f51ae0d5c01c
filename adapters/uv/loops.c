/* SPDX-License-Identifier: MIT */
/*
 * Which loop has which target. A member of the loop that libuv does not use points to it, so a
 * search needs no list and no lock. The loop is in a list only if that member cannot be used:
 * libuv's layout is not known, or another copy of this library uses the member.
 */
#include "loops.h"
#include "binding.h"
#include "libuv_private.h"

#include <stddef.h>

static _Atomic(struct registry *) current;

/* Its address identifies this copy of the library. A program and a preloaded library may each
 * contain one. */
static const char library;

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

/* A loop may lie in the memory of a loop that was never closed, but it has another epoll. */
static bool is_of(const struct ringwake_uv *binding, const uv_loop_t *loop)
{
	return binding->loop == loop && binding->epoll_fd == uv_backend_fd(loop);
}

static struct ringwake_uv *listed(struct registry_entry *entry)
{
	return (struct ringwake_uv *)((char *)entry - offsetof(struct ringwake_uv, entry));
}

static struct ringwake_uv *find_listed(const uv_loop_t *loop)
{
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return NULL;
	struct registry_entry *entry = shared->registry.list;
	while (entry && !is_of(listed(entry), loop))
		entry = entry->next;
	ringwake_uv_unlock(shared);
	return entry ? listed(entry) : NULL;
}

struct ringwake_uv *ringwake_uv_find(const uv_loop_t *loop)
{
	if (!ringwake_uv_slot_holds(loop))
		return find_listed(loop);
	struct ringwake_uv *binding = ringwake_uv_loop_slot(loop);
	if (binding && binding->library != &library)
		return find_listed(loop);
	return binding;
}

int ringwake_uv_enlist(struct ringwake_uv *binding)
{
	binding->library = &library;
	if (binding->knows_libuv && ringwake_uv_loop_slot(binding->loop) == NULL) {
		ringwake_uv_set_loop_slot(binding->loop, binding);
		return 0;
	}
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return UV_ENOMEM;
	binding->entry.loop = binding->loop;
	registry_add(&shared->registry, &binding->entry);
	binding->is_listed = true;
	ringwake_uv_unlock(shared);
	return 0;
}

void ringwake_uv_delist(struct ringwake_uv *binding)
{
	if (!binding->is_listed) {
		if (ringwake_uv_loop_slot(binding->loop) == binding)
			ringwake_uv_set_loop_slot(binding->loop, NULL);
		return;
	}
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return;
	registry_remove(&shared->registry, &binding->entry);
	ringwake_uv_unlock(shared);
}
