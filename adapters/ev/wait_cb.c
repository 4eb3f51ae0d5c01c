/* SPDX-License-Identifier: MIT */
/*
 * The callbacks that the application has set by ev_set_loop_release_cb(). libev has no function
 * that returns them, so they are kept here until the loop is attached or destroyed.
 */
#include "binding.h"
#include "libev.h"

struct kept {
	struct registry_entry entry;
	struct ringwake_ev_wait_cbs wait_cbs;
	ev_cleanup cleanup;
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

void ringwake_ev_stop_cleanup_of_wait_cbs(struct ev_loop *loop)
{
	struct registry *registry = lock_kept();
	if (registry == NULL)
		return;
	struct kept *kept = (struct kept *)registry_find(registry, loop);
	if (kept)
		ev_cleanup_stop(loop, &kept->cleanup);
	registry_unlock(registry);
}

void ringwake_ev_forget_wait_cbs(const struct ev_loop *loop)
{
	free(take(loop));
}

static void on_cleanup(struct ev_loop *loop, ev_cleanup *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	ringwake_ev_forget_wait_cbs(loop);
}

static struct ringwake_ev_wait_cbs take_wait_cbs(struct ev_loop *loop)
{
	struct ringwake_ev_wait_cbs cbs = {NULL, NULL};
	struct kept *kept = take(loop);
	if (kept) {
		cbs = kept->wait_cbs;
		ev_cleanup_stop(loop, &kept->cleanup);
		free(kept);
	}
	return cbs;
}

/* If there is no memory, attach will not know the callbacks. */
static void keep_wait_cbs(struct ev_loop *loop, const struct ringwake_ev_wait_cbs *cbs)
{
	struct kept *kept = calloc_keeping_errno(1, sizeof *kept);
	if (kept == NULL)
		return;
	struct registry *registry = lock_kept();
	if (registry == NULL) {
		free(kept);
		return;
	}
	kept->entry.loop = loop;
	kept->wait_cbs = *cbs;
	registry_add(registry, &kept->entry);
	registry_unlock(registry);
	ev_cleanup_init(&kept->cleanup, on_cleanup);
	ev_cleanup_start(loop, &kept->cleanup); /* does not keep the loop alive */
}

static void set_wait_cbs(struct ev_loop *loop, const struct ringwake_ev_wait_cbs *cbs)
{
	take_wait_cbs(loop);
	if (cbs->release || cbs->acquire)
		keep_wait_cbs(loop, cbs);
	ringwake_ev_libev.set_loop_release_cb(loop, cbs->release, cbs->acquire);
}

void ringwake_ev_take_wait_cbs(struct ringwake_ev *binding)
{
	binding->wait_cbs = take_wait_cbs(binding->loop);
	ringwake_ev_libev.set_loop_release_cb(
		binding->loop, ringwake_ev_before_wait, ringwake_ev_after_wait);
}

void ringwake_ev_give_back_wait_cbs(struct ringwake_ev *binding)
{
	set_wait_cbs(binding->loop, &binding->wait_cbs);
}

void ringwake_ev_set_loop_release_cb(
	struct ev_loop *loop, ringwake_ev_wait_cb release, ringwake_ev_wait_cb acquire)
{
	struct ringwake_ev_wait_cbs cbs = {release, acquire};
	struct ringwake_ev *binding = ringwake_ev_find(loop);
	if (binding && !binding->detaching)
		binding->wait_cbs = cbs;
	else
		set_wait_cbs(loop, &cbs);
}
