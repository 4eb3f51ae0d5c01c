/* SPDX-License-Identifier: MIT */
#ifndef WEBSERVER_HOST_H
#define WEBSERVER_HOST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True if the text is the value of a Host field: a name, an IPv4 address or an IP literal in
 * brackets, and perhaps a colon and a port (RFC 9110, section 7.2). It may be empty.
 */
bool host_is_valid(const char *text, size_t length);

#endif
