/* SPDX-License-Identifier: MIT */
#include "attach.h"

#include <ringwake/ev-compat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ringwake_ev_of_loop(struct ringwake_ev **out, struct ev_loop *loop)
{
	struct ringwake_ev *attached = ringwake_ev_find(loop);
	if (attached == NULL)
		return ringwake_ev_attach(out, loop, NULL);
	*out = attached;
	return 0;
}

void ringwake_ev_compat_start(struct ev_loop *loop, ringwake_ev_async *async)
{
	struct ringwake_ev *attached;
	if (ev_is_active(async))
		return;
	int error = ringwake_ev_of_loop(&attached, loop);
	if (error < 0) {
		fprintf(stderr, "ringwake: no wake target for a libev loop: %s\n",
			strerror(-error));
		abort();
	}
	ringwake_ev_async_start(attached, async);
}

void ringwake_ev_compat_stop(struct ev_loop *loop, ringwake_ev_async *async)
{
	ev_clear_pending(loop, async);
	ringwake_ev_async_stop(async);
}

void ringwake_ev_compat_send(struct ev_loop *loop, ringwake_ev_async *async)
{
	(void)loop;
	ringwake_ev_async_send(async);
}
