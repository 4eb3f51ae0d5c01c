/* SPDX-License-Identifier: MIT */
/* As grown_core.c, for the libev adapter. */
#include <errno.h>
#include <ringwake/ev.h>

extern __typeof__(ringwake_ev_async_init) ungrown_ringwake_ev_async_init;
extern __typeof__(ringwake_ev_async_send) ungrown_ringwake_ev_async_send;
extern __typeof__(ringwake_ev_work_init) ungrown_ringwake_ev_work_init;

void ringwake_ev_async_init(ringwake_ev_async *async, ringwake_ev_async_cb cb)
{
	ungrown_ringwake_ev_async_init(async, cb);
	async->grown[0] = async->grown[1] = async;
}

int ringwake_ev_async_send(ringwake_ev_async *async)
{
	if (async->grown[0] != async || async->grown[1] != async)
		return -EFAULT;
	return ungrown_ringwake_ev_async_send(async);
}

void ringwake_ev_work_init(
	ringwake_ev_work *work, void (*run)(ringwake_ev_work *work), ringwake_ev_work_cb cb)
{
	ungrown_ringwake_ev_work_init(work, run, cb);
	work->grown[0] = work;
}
