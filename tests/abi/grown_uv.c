/* SPDX-License-Identifier: MIT */
/* As grown_core.c, for the libuv adapter. */
#include <errno.h>
#include <ringwake/uv.h>

extern __typeof__(ringwake_uv_async_init) ungrown_ringwake_uv_async_init;
extern __typeof__(ringwake_uv_async_send) ungrown_ringwake_uv_async_send;
extern __typeof__(ringwake_uv_request_start) ungrown_ringwake_uv_request_start;

int ringwake_uv_async_init(
	struct ringwake_uv *binding, ringwake_uv_async_t *async, ringwake_uv_async_cb cb)
{
	int error = ungrown_ringwake_uv_async_init(binding, async, cb);
	if (error == 0)
		async->state.grown[0] = async->state.grown[1] = async;
	return error;
}

int ringwake_uv_async_send(ringwake_uv_async_t *async)
{
	if (async->state.grown[0] != async || async->state.grown[1] != async)
		return -EFAULT;
	return ungrown_ringwake_uv_async_send(async);
}

void ringwake_uv_request_start(struct ringwake_uv *binding, struct io_uring_sqe *sqe,
	ringwake_uv_request_t *request, ringwake_uv_request_cb cb)
{
	request->grown[0] = request->grown[1] = request;
	ungrown_ringwake_uv_request_start(binding, sqe, request, cb);
}
