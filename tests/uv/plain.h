/* SPDX-License-Identifier: MIT */
/* Functions of the same program that are compiled without the compat header. */
#ifndef TESTS_UV_PLAIN_H
#define TESTS_UV_PLAIN_H

#include <uv.h>

int plain_async_init(uv_loop_t *loop, uv_async_t *handle, uv_async_cb cb);
int plain_async_send(uv_async_t *handle);
void plain_close(uv_handle_t *handle, uv_close_cb cb);
int plain_cancel(uv_req_t *request);
int plain_loop_close(uv_loop_t *loop);

#endif
