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
static bool is_of(const struct ringwake_uv *attached, const uv_loop_t *loop)
{
	return attached->loop == loop && attached->epoll_fd == uv_backend_fd(loop);
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
	struct ringwake_uv *attached = ringwake_uv_loop_slot(loop);
	if (attached && attached->library != &library)
		return find_listed(loop);
	return attached;
}

int ringwake_uv_enlist(struct ringwake_uv *attached)
{
	attached->library = &library;
	if (attached->knows_libuv && ringwake_uv_loop_slot(attached->loop) == NULL) {
		ringwake_uv_set_loop_slot(attached->loop, attached);
		return 0;
	}
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return UV_ENOMEM;
	attached->entry.loop = attached->loop;
	registry_add(&shared->registry, &attached->entry);
	attached->is_listed = true;
	ringwake_uv_unlock(shared);
	return 0;
}

void ringwake_uv_delist(struct ringwake_uv *attached)
{
	if (!attached->is_listed) {
		if (ringwake_uv_loop_slot(attached->loop) == attached)
			ringwake_uv_set_loop_slot(attached->loop, NULL);
		return;
	}
	struct ringwake_uv_shared *shared = ringwake_uv_lock();
	if (shared == NULL)
		return;
	registry_remove(&shared->registry, &attached->entry);
	ringwake_uv_unlock(shared);
}
