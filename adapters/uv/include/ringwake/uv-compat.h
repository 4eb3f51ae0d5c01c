/* SPDX-License-Identifier: MIT */
/*
 * Include this header instead of <uv.h>, or before it, and source written for libuv runs on
 * ringwake unchanged: uv_async_t handles are signalled through the loop's io_uring, and
 * uv_queue_work() uses ringwake's workers. The types remain libuv's. A loop gets its target with
 * its first async handle or work, and loses it in uv_loop_close().
 *
 * Define RINGWAKE_UV_RUN_ON_RING before the include to make uv_run() ringwake_uv_run(). Define
 * RINGWAKE_UV_KEEP_WORK before the include to keep libuv's uv_queue_work(), for a program that
 * needs its own work and libuv's (file system, name look-ups) on the same workers.
 *
 * Parts of a program that are compiled without this header can share loops and handles with parts
 * that are compiled with it. Their sends go through libuv, at libuv's cost.
 */
#ifndef RINGWAKE_UV_COMPAT_H
#define RINGWAKE_UV_COMPAT_H

#include <ringwake/uv.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Loop thread. Finds the loop's target, for functions of <ringwake/uv.h>. Attaches the loop if it
 * has none.
 * Errors: those of ringwake_uv_attach(), without UV_EBUSY.
 */
int ringwake_uv_of_loop(struct ringwake_uv **out, uv_loop_t *loop);

/* Each of these behaves as the libuv function that it replaces. */
int ringwake_uv_compat_async_init(uv_loop_t *loop, uv_async_t *handle, uv_async_cb cb);
int ringwake_uv_compat_async_send(uv_async_t *handle);
int ringwake_uv_compat_queue_work(
	uv_loop_t *loop, uv_work_t *request, uv_work_cb work_cb, uv_after_work_cb after_work_cb);
int ringwake_uv_compat_loop_close(uv_loop_t *loop);
void ringwake_uv_compat_loop_delete(uv_loop_t *loop);
int ringwake_uv_compat_loop_fork(uv_loop_t *loop);
int ringwake_uv_compat_run(uv_loop_t *loop, uv_run_mode mode);

#define uv_async_init  ringwake_uv_compat_async_init
#define uv_async_send  ringwake_uv_compat_async_send
#define uv_close       ringwake_uv_close
#define uv_cancel      ringwake_uv_cancel
#define uv_loop_close  ringwake_uv_compat_loop_close
#define uv_loop_delete ringwake_uv_compat_loop_delete
#define uv_loop_fork   ringwake_uv_compat_loop_fork
#ifndef RINGWAKE_UV_KEEP_WORK
#define uv_queue_work ringwake_uv_compat_queue_work
#endif
#ifdef RINGWAKE_UV_RUN_ON_RING
#define uv_run ringwake_uv_compat_run
#endif

#ifdef __cplusplus
}
#endif

#endif
