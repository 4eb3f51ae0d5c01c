/* SPDX-License-Identifier: MIT */
/*
 * Which loop has which target. The lock is a process's own: a forked child, which may find its
 * parent's lock held by a thread that the child does not have, makes another. So nothing is held
 * across fork(), and handlers of pthread_atfork() may call any function of libev or of the adapter,
 * in any order.
 */
#include "attach.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

struct registry {
	pid_t process;
	pthread_mutex_t lock;
	struct registry *inherited; /* the parent process's; nothing frees it */
	struct ringwake_ev *list;
};

static _Atomic(struct registry *) current;

static struct registry *make(struct registry *inherited, pid_t process)
{
	int saved = errno;
	struct registry *registry = calloc(1, sizeof *registry);
	errno = saved;
	if (registry == NULL)
		return NULL;
	pthread_mutex_init(&registry->lock, NULL);
	registry->process = process;
	registry->inherited = inherited;
	if (inherited)
		registry->list = inherited->list;
	return registry;
}

/* NULL if there is no memory for it. */
static struct registry *lock_registry(void)
{
	pid_t process = getpid();
	/* Acquire, here and below: pairs with the release of the thread that made it. */
	struct registry *registry = atomic_load_explicit(&current, memory_order_acquire);
	while (registry == NULL || registry->process != process) {
		struct registry *fresh = make(registry, process);
		if (fresh == NULL)
			return NULL;
		if (atomic_compare_exchange_strong_explicit(
			    &current, &registry, fresh, memory_order_release, memory_order_acquire))
			registry = fresh;
		else
			free(fresh);
	}
	pthread_mutex_lock(&registry->lock);
	return registry;
}

static struct ringwake_ev *find_locked(const struct registry *registry, const struct ev_loop *loop)
{
	struct ringwake_ev *found = registry->list;
	while (found && found->loop != loop)
		found = found->next;
	return found;
}

struct ringwake_ev *ringwake_ev_find(const struct ev_loop *loop)
{
	struct registry *registry = lock_registry();
	if (registry == NULL)
		return NULL;
	struct ringwake_ev *found = find_locked(registry, loop);
	pthread_mutex_unlock(&registry->lock);
	return found;
}

int ringwake_ev_enlist(struct ringwake_ev *attached)
{
	struct registry *registry = lock_registry();
	if (registry == NULL)
		return -ENOMEM;
	bool is_first = find_locked(registry, attached->loop) == NULL;
	if (is_first) {
		attached->next = registry->list;
		registry->list = attached;
	}
	pthread_mutex_unlock(&registry->lock);
	return is_first ? 0 : -EBUSY;
}

void ringwake_ev_delist(struct ringwake_ev *attached)
{
	struct registry *registry = lock_registry();
	if (registry == NULL)
		return;
	struct ringwake_ev **link = &registry->list;
	while (*link && *link != attached)
		link = &(*link)->next;
	if (*link)
		*link = attached->next;
	pthread_mutex_unlock(&registry->lock);
}
