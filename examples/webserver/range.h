/* SPDX-License-Identifier: MIT */
/* The header fields by which a client asks for a part of a file, or only for a new version. */
#ifndef WEBSERVER_RANGE_H
#define WEBSERVER_RANGE_H

#include <stdbool.h>
#include <stdint.h>

enum range { RANGE_NONE, RANGE_PART, RANGE_OUTSIDE };

/*
 * Reads the value of a Range field with one range, such as "bytes=0-99", of a file of this size.
 * If it returns RANGE_PART, the bytes from *first to before *end are asked for. RANGE_NONE, all
 * bytes, is also for several ranges and for a value that is not valid.
 */
enum range range_parse(const char *value, uint64_t size, uint64_t *first, uint64_t *end);

/* True if the list, the value of an If-None-Match field, has the tag or is "*". */
bool range_has_tag(const char *list, const char *tag);

#endif
