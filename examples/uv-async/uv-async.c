/* SPDX-License-Identifier: MIT */
/* Threads report their progress to a libuv loop. They wake the loop only if it is blocked. */
#include <pthread.h>
#include <ringwake/uv.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 3, STEPS = 200000 };

struct task {
	ringwake_uv_async_t progress; /* first, so a pointer to it is a pointer to the whole */
	_Atomic unsigned done;
	unsigned reports;
};

static void *work(void *argument)
{
	struct task *task = argument;
	for (unsigned i = 0; i < STEPS; i++) {
		atomic_fetch_add_explicit(&task->done, 1, memory_order_relaxed);
		ringwake_uv_async_send(
			&task->progress); /* no system call while the loop is awake */
	}
	return NULL;
}

/* Runs on the loop's thread. Several sends before it runs make one call. */
static void on_progress(ringwake_uv_async_t *async)
{
	struct task *task = (struct task *)async;
	task->reports++;
	if (atomic_load_explicit(&task->done, memory_order_relaxed) == STEPS)
		ringwake_uv_close((uv_handle_t *)&async->handle, NULL);
}

static void check(int error, const char *what)
{
	if (error == 0)
		return;
	fprintf(stderr, "%s: %s\n", what, uv_strerror(error));
	exit(1);
}

int main(void)
{
	static struct task tasks[THREADS];
	pthread_t threads[THREADS];
	struct ringwake_uv *attached;
	uv_loop_t *loop = uv_default_loop();
	check(ringwake_uv_attach(&attached, loop, NULL), "ringwake_uv_attach");
	for (int i = 0; i < THREADS; i++) {
		check(ringwake_uv_async_init(attached, &tasks[i].progress, on_progress),
			"ringwake_uv_async_init");
		check(-pthread_create(&threads[i], NULL, work, &tasks[i]), "pthread_create");
	}
	uv_run(loop, UV_RUN_DEFAULT); /* returns when all handles are closed */

	unsigned reports = 0;
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		reports += tasks[i].reports;
	}
	struct ringwake_stats stats;
	ringwake_get_stats(ringwake_uv_target(attached), &stats, sizeof stats);
	printf("%d sends, %u calls, %llu system calls to wake the loop\n", THREADS * STEPS, reports,
		(unsigned long long)stats.doorbells);
	check(ringwake_uv_detach(attached), "ringwake_uv_detach");
	return uv_loop_close(loop);
}
