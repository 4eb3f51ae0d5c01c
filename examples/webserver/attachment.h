/* SPDX-License-Identifier: MIT */
/*
 * How ringwake comes to the server's loop: a target of ringwake's that the loop serves. On libuv it
 * is attachment_uv.c, on libev attachment_ev.c; a server whose loop is its own has it in its own
 * file.
 */
#ifndef WEBSERVER_ATTACHMENT_H
#define WEBSERVER_ATTACHMENT_H

#include <ringwake/ringwake.h>

struct attachment;

/* Before the loop runs. loop is the server's. 0 or a negative errno value. */
int attachment_open(struct attachment **out, void *loop, const struct ringwake_params *params);
struct ringwake *attachment_target(struct attachment *attachment);

/* After the loop has run. */
void attachment_close(struct attachment *attachment);

#endif
