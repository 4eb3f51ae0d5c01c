/* SPDX-License-Identifier: MIT */
/*
 * Attaches a ringwake target to the server's loop. attachment_uv.c implements it for libuv,
 * attachment_ev.c for libev; server_ring.c implements it for its own loop.
 */
#ifndef WEBSERVER_ATTACHMENT_H
#define WEBSERVER_ATTACHMENT_H

#include <ringwake/ringwake.h>

struct attachment;

/* Call it before the loop runs. loop is the server's loop. Returns 0 or a negative errno value. */
int attachment_open(struct attachment **out, void *loop, const struct ringwake_params *params);
struct ringwake *attachment_target(struct attachment *attachment);

/* Call it after the loop has ended. */
void attachment_close(struct attachment *attachment);

#endif
