/* SPDX-License-Identifier: MIT */
/*
 * Memory for the clients that are served when no other is left. libuv and libev end the program if
 * they get none. While the reserve is in use, the server refuses new clients.
 */
#ifndef WEBSERVER_RESERVE_H
#define WEBSERVER_RESERVE_H

#include <stdbool.h>
#include <stddef.h>

/* Returns true if there is a reserve again. */
bool reserve_fill(void);

/* As realloc(). If that fails, releases the reserve and tries again. Any thread may call it. */
void *reserve_realloc(void *memory, size_t size);

#endif
