/* SPDX-License-Identifier: MIT */
/* Which loop has which target. */
#include "binding.h"

static _Atomic(struct registry *) loops;

/* The number of changes of the list. What a thread has found is valid until the next change. */
static _Atomic unsigned long changes;

static struct registry *lock_loops(void)
{
	return registry_lock(&loops, sizeof(struct registry));
}

static void unlock_changed(struct registry *registry)
{
	/* Release: pairs with the acquire in ringwake_ev_find. */
	atomic_fetch_add_explicit(&changes, 1, memory_order_release);
	registry_unlock(registry);
}

static struct ringwake_ev *find(const struct ev_loop *loop)
{
	struct registry *registry = lock_loops();
	if (registry == NULL)
		return NULL;
	struct registry_entry *found = registry_find(registry, loop);
	registry_unlock(registry);
	return (struct ringwake_ev *)found;
}

/* Each wait of a loop calls it twice, so each thread remembers what it found last. */
struct ringwake_ev *ringwake_ev_find(const struct ev_loop *loop)
{
	static _Thread_local struct {
		const struct ev_loop *loop;
		struct ringwake_ev *binding;
		unsigned long changes;
	} last;
	/* Acquire: pairs with the release in unlock_changed. */
	unsigned long now = atomic_load_explicit(&changes, memory_order_acquire);
	if (last.loop == loop && last.changes == now)
		return last.binding;
	struct ringwake_ev *found = find(loop);
	last.loop = found ? loop : NULL; /* NULL may mean that there was no memory for the list */
	last.binding = found;
	last.changes = now;
	return found;
}

int ringwake_ev_enlist(struct ringwake_ev *binding)
{
	struct registry *registry = lock_loops();
	if (registry == NULL)
		return -ENOMEM;
	bool is_first = registry_find(registry, binding->loop) == NULL;
	binding->entry.loop = binding->loop;
	if (is_first)
		registry_add(registry, &binding->entry);
	unlock_changed(registry);
	return is_first ? 0 : -EBUSY;
}

void ringwake_ev_delist(struct ringwake_ev *binding)
{
	struct registry *registry = lock_loops();
	if (registry == NULL)
		return;
	registry_remove(registry, &binding->entry);
	unlock_changed(registry);
}
