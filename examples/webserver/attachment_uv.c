/* SPDX-License-Identifier: MIT */
/* A target attached to a libuv loop. */
#include "attachment.h"

#include <ringwake/uv.h>

int attachment_open(struct attachment **out, void *loop, const struct ringwake_params *params)
{
	return ringwake_uv_attach((struct ringwake_uv **)out, loop, params);
}

struct ringwake *attachment_target(struct attachment *attachment)
{
	return ringwake_uv_target((struct ringwake_uv *)attachment);
}

void attachment_close(struct attachment *attachment)
{
	ringwake_uv_detach((struct ringwake_uv *)attachment);
}
