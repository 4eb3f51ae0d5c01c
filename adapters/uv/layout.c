/* SPDX-License-Identifier: MIT */
/* Answers whether ringwake knows the private layout of the process's libuv. */
#include "binding.h"
#include "libuv.h"

bool ringwake_uv_knows_libuv(const struct ringwake_uv *binding)
{
	return binding->knows_libuv;
}

static int check_loop(uv_loop_t *loop)
{
	struct ringwake_params params = {.path = RINGWAKE_PATH_EVENTFD};
	struct ringwake_uv *binding;
	int error = ringwake_uv_attach(&binding, loop, &params);
	if (error < 0)
		return error;
	bool knows_libuv = binding->knows_libuv;
	ringwake_uv_detach(binding);
	return knows_libuv ? 0 : UV_ENOTSUP;
}

int ringwake_uv_check_libuv(void)
{
	uv_loop_t loop;
	int error = uv_loop_init(&loop);
	if (error < 0)
		return error;
	error = check_loop(&loop);
	ringwake_uv_libuv.loop_close(&loop);
	return error;
}
