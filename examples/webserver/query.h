/* SPDX-License-Identifier: MIT */
/* Reads a number from the query of a URL. */
#ifndef WEBSERVER_QUERY_H
#define WEBSERVER_QUERY_H

#include <stdint.h>

/*
 * Reads N from the first name=N in a query such as "a=b&name=N". name ends with "=". Returns 200,
 * 400 if there is no such number, or 413 if it is larger than most.
 */
int query_number(const char *query, const char *name, uint64_t most, uint64_t *number);

#endif
