/* SPDX-License-Identifier: MIT */
/*
 * libev calls one function before a loop's wait and one after it, and does not say which. The
 * application's, if it has set any, are kept here until the loop is attached or destroyed.
 */
#include "binding.h"
#include "libev.h"

struct kept {
	struct registry_entry entry;
	struct ringwake_ev_edges edges;
	ev_cleanup destroyed;
};

static _Atomic(struct registry *) all_kept;

static struct registry *lock_kept(void)
{
	return registry_lock(&all_kept, sizeof(struct registry));
}

static struct kept *take(const struct ev_loop *loop)
{
	struct registry *registry = lock_kept();
	if (registry == NULL)
		return NULL;
	struct registry_entry *found = registry_find(registry, loop);
	if (found)
		registry_remove(registry, found);
	registry_unlock(registry);
	return (struct kept *)found;
}

void ringwake_ev_stop_cleanup_of_edges(struct ev_loop *loop)
{
	struct registry *registry = lock_kept();
	if (registry == NULL)
		return;
	struct kept *kept = (struct kept *)registry_find(registry, loop);
	if (kept)
		ev_cleanup_stop(loop, &kept->destroyed);
	registry_unlock(registry);
}

void ringwake_ev_forget_edges(const struct ev_loop *loop)
{
	free(take(loop));
}

static void on_destroyed(struct ev_loop *loop, ev_cleanup *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	ringwake_ev_forget_edges(loop);
}

static struct ringwake_ev_edges take_edges(struct ev_loop *loop)
{
	struct ringwake_ev_edges edges = {NULL, NULL};
	struct kept *kept = take(loop);
	if (kept) {
		edges = kept->edges;
		ev_cleanup_stop(loop, &kept->destroyed);
		free(kept);
	}
	return edges;
}

/* If there is no memory for it, attaching will not know them. */
static void keep_edges(struct ev_loop *loop, const struct ringwake_ev_edges *edges)
{
	int saved = errno;
	struct kept *kept = calloc(1, sizeof *kept);
	errno = saved;
	if (kept == NULL)
		return;
	struct registry *registry = lock_kept();
	if (registry == NULL) {
		free(kept);
		return;
	}
	kept->entry.loop = loop;
	kept->edges = *edges;
	registry_add(registry, &kept->entry);
	registry_unlock(registry);
	ev_cleanup_init(&kept->destroyed, on_destroyed);
	ev_cleanup_start(loop, &kept->destroyed); /* never keeps a loop alive */
}

static void set_edges(struct ev_loop *loop, const struct ringwake_ev_edges *edges)
{
	take_edges(loop);
	if (edges->release || edges->acquire)
		keep_edges(loop, edges);
	ringwake_ev_libev.set_loop_release_cb(loop, edges->release, edges->acquire);
}

void ringwake_ev_take_edges(struct ringwake_ev *attached)
{
	attached->edges = take_edges(attached->loop);
	ringwake_ev_libev.set_loop_release_cb(
		attached->loop, ringwake_ev_before_wait, ringwake_ev_after_wait);
}

void ringwake_ev_give_back_edges(struct ringwake_ev *attached)
{
	set_edges(attached->loop, &attached->edges);
}

void ringwake_ev_set_loop_release_cb(
	struct ev_loop *loop, ringwake_ev_wait_cb release, ringwake_ev_wait_cb acquire)
{
	struct ringwake_ev_edges edges = {release, acquire};
	struct ringwake_ev *attached = ringwake_ev_find(loop);
	if (attached && !attached->detaching)
		attached->edges = edges;
	else
		set_edges(loop, &edges);
}
