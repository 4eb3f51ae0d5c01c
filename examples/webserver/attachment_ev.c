/* SPDX-License-Identifier: MIT */
/* A target attached to a libev loop. */
#include "attachment.h"

#include <ringwake/ev.h>

int attachment_open(struct attachment **out, void *loop, const struct ringwake_params *params)
{
	return ringwake_ev_attach((struct ringwake_ev **)out, loop, params);
}

struct ringwake *attachment_target(struct attachment *attachment)
{
	return ringwake_ev_target((struct ringwake_ev *)attachment);
}

void attachment_close(struct attachment *attachment)
{
	ringwake_ev_detach((struct ringwake_ev *)attachment);
}
