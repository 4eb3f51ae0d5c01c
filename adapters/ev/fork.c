/* SPDX-License-Identifier: MIT */
/*
 * A forked child, from ev_loop_fork() on. It lets go of its copies of the parent's ring and opens a
 * target of its own. Sends that the parent's loop had not noted when it forked are noted by the
 * child's loop as well, as libev has it; messages and work in the parent's hands stay there.
 */
#include "attach.h"

#include <stdlib.h>

struct inherited {
	struct inherited *next;
	struct ringwake *target;
};

/* For senders that know the old target: it goes on to refuse them. */
static void inherit(struct ringwake_ev *attached)
{
	struct inherited *inherited = malloc(sizeof *inherited);
	if (inherited == NULL)
		return;
	inherited->target = ringwake_ref(attached->target);
	inherited->next = attached->inherited;
	attached->inherited = inherited;
}

void ringwake_ev_forget_inherited(struct ringwake_ev *attached)
{
	struct inherited *inherited = attached->inherited;
	while (inherited) {
		struct inherited *next = inherited->next;
		ringwake_unref(inherited->target);
		free(inherited);
		inherited = next;
	}
}

void ringwake_ev_renew(struct ringwake_ev *attached)
{
	struct ringwake *target;
	ringwake_ev_forget_work(attached);
	/* If either fails, the loop runs on, and sends go on to return -EOWNERDEAD. */
	if (ringwake_open(&target, NULL, &attached->params) < 0)
		return;
	if (ringwake_ev_change_doorbell(attached, target) < 0) {
		ringwake_close(target);
		return;
	}
	inherit(attached);
	ringwake_close(attached->target);
	attached->target = target;
	attached->path = ringwake_path(target);
	ringwake_ev_move_asyncs(attached);
}
