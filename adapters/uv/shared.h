/* SPDX-License-Identifier: MIT */
/* What the loops of a process share. */
#ifndef RINGWAKE_UV_SHARED_H
#define RINGWAKE_UV_SHARED_H

#include <pthread.h>
#include <ringwake/uv.h>

struct ringwake_uv_shared {
	pid_t process;
	pthread_mutex_t lock;
	struct ringwake_uv_shared *inherited; /* the parent process's; nothing frees it */
	struct ringwake_uv *loops;            /* whose slots are not ours */
	struct ringwake_uv_signal *free_signals, *free_last;
	struct ringwake_pool *workers;
	unsigned workers_users;
};

/* Locks what this process's loops share. NULL if there is no memory for it. */
struct ringwake_uv_shared *ringwake_uv_lock(void);
void ringwake_uv_unlock(struct ringwake_uv_shared *shared);

#endif
