/* SPDX-License-Identifier: MIT */
/* What the tests of forked children share. */
#ifndef TESTS_UV_FORK_H
#define TESTS_UV_FORK_H

#include "fixture.h"

#include <sys/wait.h>

/* For a child, which must not run cmocka's handlers: if the condition is false, it ends with 1. */
#define CHILD_ASSERT(condition)                                                                    \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "child: line %d: %s\n", __LINE__, #condition);             \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static inline int run_loop(struct fixture *f, bool on_ring, uv_run_mode mode)
{
	return on_ring ? ringwake_uv_run(f->binding, mode) : uv_run(&f->loop, mode);
}

/* In the child: tells libuv, then ringwake. */
static inline bool fork_loop(struct fixture *f)
{
	return uv_loop_fork(&f->loop) == 0 && ringwake_uv_fork(f->binding) == 0;
}

static inline void close_loop_in_child(struct fixture *f)
{
	CHILD_ASSERT(ringwake_uv_detach(f->binding) == 0);
	CHILD_ASSERT(uv_loop_close(&f->loop) == 0);
}

static inline void *send_from_here(void *argument)
{
	struct counter *counter = argument;
	if (ringwake_uv_async_send(&counter->async) != 0)
		abort();
	return NULL;
}

static inline void do_nothing(uv_work_t *request)
{
	(void)request;
}

static inline void count_end(uv_work_t *request, int status)
{
	if (status == 0)
		++*(unsigned *)request->data;
}

/*
 * A sanitizer does not support a fork while another thread starts: a child may find the sanitizer's
 * locks held. So all workers meet at a barrier first. From there on they take no lock but ours.
 */
#define WORKERS 4

static inline void block(uv_work_t *request)
{
	pthread_barrier_wait(request->data);
}

static inline void settle_workers(struct fixture *f)
{
	pthread_barrier_t barrier;
	uv_work_t work[WORKERS];
	pthread_barrier_init(&barrier, NULL, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		work[i].data = &barrier;
		assert_int_equal(ringwake_uv_queue_work(f->binding, &work[i], block, NULL), 0);
	}
	assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
	pthread_barrier_destroy(&barrier);
}

#endif
