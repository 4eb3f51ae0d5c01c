/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_UV_ATTACH_H
#define RINGWAKE_UV_ATTACH_H

#include <ringwake/uv.h>

struct ringwake_uv {
	struct ringwake_uv *next; /* in the list of all attached loops */
	uv_loop_t *loop;
	struct ringwake *target;
	uv_poll_t doorbell;  /* ends the loop's wait */
	uv_prepare_t before; /* the edges of the wait */
	uv_check_t after;
	uv_idle_t busy;       /* started when the loop must not sleep */
	unsigned handles;     /* asyncs that are open or closing */
	unsigned outstanding; /* work, and closings that wait for a message */
	bool uses_workers;
};

/* Loop thread. The loop is alive while there are more holds than releases. */
void ringwake_uv_hold(struct ringwake_uv *attached);
void ringwake_uv_release(struct ringwake_uv *attached);

/* Lets go of the shared workers, if this loop ever gave them work. */
void ringwake_uv_leave_workers(struct ringwake_uv *attached);

#endif
