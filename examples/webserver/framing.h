/* SPDX-License-Identifier: MIT */
/*
 * Refuses framing that two servers could understand differently. http-parser lets any byte follow a
 * CR, and anything follow the size of a chunk; another server could see other requests in these
 * bytes. Each function that gets bytes returns how many of them are clear: these are the parser's,
 * and the next one is an error.
 */
#ifndef FRAMING_H
#define FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMING_TRAILER_MAX 16384 /* bytes of the fields after the last chunk */

/* All zeros before the first request. */
struct framing {
	bool after_cr;       /* the next byte must be LF */
	unsigned chunk;      /* framing.c has the states */
	uint64_t chunk_left; /* the size of the chunk, then the bytes that are still to come */
	size_t trailer_left; /* of FRAMING_TRAILER_MAX */
};

size_t framing_of_head(const struct framing *framing, const char *bytes, size_t length);

/* The parser has taken these bytes of the head. */
void framing_took(struct framing *framing, const char *bytes, size_t length);

/* At the end of a head. The parser may not have read its last LF. */
void framing_expect_body(struct framing *framing, bool has_chunks);

size_t framing_of_body(struct framing *framing, const char *bytes, size_t length);

/* The body is complete. */
void framing_end(struct framing *framing);

#endif
