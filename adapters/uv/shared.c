/* SPDX-License-Identifier: MIT */
/*
 * The lock is a process's own: a forked child, which may find its parent's lock held by a thread
 * that the child does not have, makes another. So nothing is held across fork(), and handlers of
 * pthread_atfork() may call any function of libuv or of the adapter, in any order.
 */
#include "shared.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic(struct ringwake_uv_shared *) current;

static struct ringwake_uv_shared *make(struct ringwake_uv_shared *inherited, pid_t process)
{
	int saved = errno;
	struct ringwake_uv_shared *shared = calloc(1, sizeof *shared);
	errno = saved;
	if (shared == NULL)
		return NULL;
	pthread_mutex_init(&shared->lock, NULL);
	shared->process = process;
	shared->inherited = inherited;
	if (inherited)
		shared->loops = inherited->loops;
	return shared;
}

struct ringwake_uv_shared *ringwake_uv_lock(void)
{
	pid_t process = getpid();
	/* Acquire, here and below: pairs with the release of the thread that made it. */
	struct ringwake_uv_shared *shared = atomic_load_explicit(&current, memory_order_acquire);
	while (shared == NULL || shared->process != process) {
		struct ringwake_uv_shared *fresh = make(shared, process);
		if (fresh == NULL)
			return NULL;
		if (atomic_compare_exchange_strong_explicit(
			    &current, &shared, fresh, memory_order_release, memory_order_acquire))
			shared = fresh;
		else
			free(fresh);
	}
	pthread_mutex_lock(&shared->lock);
	return shared;
}

void ringwake_uv_unlock(struct ringwake_uv_shared *shared)
{
	pthread_mutex_unlock(&shared->lock);
}
