/* SPDX-License-Identifier: MIT */
/* The functions that <ringwake/ev-compat.h> puts in the place of libev's. */
#include "binding.h"
#include "libev.h"

#include <ringwake/ev-compat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In this file the name is libev's own. */
#undef ev_loop_destroy

int ringwake_ev_of_loop(struct ringwake_ev **out, struct ev_loop *loop)
{
	struct ringwake_ev *binding = ringwake_ev_find(loop);
	if (binding == NULL)
		return ringwake_ev_attach(out, loop, NULL);
	*out = binding;
	return 0;
}

static struct ringwake_ev *attach_or_abort(struct ev_loop *loop)
{
	struct ringwake_ev *binding;
	int error = ringwake_ev_of_loop(&binding, loop);
	if (error < 0) {
		fprintf(stderr, "ringwake: no wake target for a libev loop: %s\n",
			strerror(-error));
		abort();
	}
	return binding;
}

void ringwake_ev_compat_start(struct ev_loop *loop, ringwake_ev_async *async)
{
	if (!ev_is_active(async))
		ringwake_ev_async_start(attach_or_abort(loop), async);
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

/*
 * libev invokes pending watchers when it destroys a loop only if the loop has cleanup watchers. The
 * adapter's are for programs that call libev's own ev_loop_destroy(), so they are stopped here. The
 * adapter must forget the loop: a later loop may get its memory.
 */
void ringwake_ev_compat_loop_destroy(struct ev_loop *loop)
{
	ringwake_ev_stop_cleanup(loop);
	ringwake_ev_stop_cleanup_of_wait_cbs(loop);
	ringwake_ev_libev.loop_destroy(loop);
	struct ringwake_ev *binding = ringwake_ev_find(loop);
	if (binding)
		ringwake_ev_leave_destroyed(binding);
	ringwake_ev_forget_wait_cbs(loop);
}
