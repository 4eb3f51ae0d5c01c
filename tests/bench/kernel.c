/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <liburing.h>
#include <ringwake/ringwake.h>

/* Newer than the headers that liburing 2.3 brings. */
#define OP_FUTEX_WAIT 51

enum answer { NOT_ASKED, NO, YES };

bool kernel_has_sync_msg_ring(void)
{
	static enum answer answer;
	struct ringwake_params params = {.path = RINGWAKE_PATH_MSG_RING};
	struct ringwake *target;
	if (answer == NOT_ASKED) {
		answer = ringwake_open(&target, NULL, &params) == 0 ? YES : NO;
		if (answer == YES)
			ringwake_close(target);
	}
	return answer == YES;
}

bool kernel_has_futex_wait(void)
{
	static enum answer answer;
	if (answer == NOT_ASKED) {
		struct io_uring_probe *probe = io_uring_get_probe();
		answer = probe && probe->last_op >= OP_FUTEX_WAIT ? YES : NO;
		io_uring_free_probe(probe);
	}
	return answer == YES;
}
