/* SPDX-License-Identifier: MIT */
#include "plain.h"

int plain_async_init(uv_loop_t *loop, uv_async_t *handle, uv_async_cb cb)
{
	return uv_async_init(loop, handle, cb);
}

int plain_async_send(uv_async_t *handle)
{
	return uv_async_send(handle);
}

void plain_close(uv_handle_t *handle, uv_close_cb cb)
{
	uv_close(handle, cb);
}

int plain_cancel(uv_req_t *request)
{
	return uv_cancel(request);
}

int plain_loop_close(uv_loop_t *loop)
{
	return uv_loop_close(loop);
}
