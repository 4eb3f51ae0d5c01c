/* SPDX-License-Identifier: MIT */
/*
 * A byte buffer that grows. When memory runs out, the buffer is marked as failed and drops all
 * further bytes, so the caller needs to check for failure only once, at the end.
 */
#ifndef WEBSERVER_BUFFER_H
#define WEBSERVER_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zeros is an empty buffer. */
struct buffer {
	char *bytes;
	size_t length;
	size_t capacity;
	bool failed;
};

void buffer_append(struct buffer *buffer, const char *bytes, size_t length);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_number(struct buffer *buffer, uint64_t number);

/* Empties the buffer and keeps its memory. */
void buffer_clear(struct buffer *buffer);
void buffer_free(struct buffer *buffer);

#endif
