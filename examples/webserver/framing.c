/* SPDX-License-Identifier: MIT */
#include "framing.h"

/* Where the next byte of a body with chunks is. */
enum {
	CHUNK_NONE,  /* the body has no chunks */
	CHUNK_SIZE,  /* in the size */
	CHUNK_SPACE, /* in the space behind it */
	CHUNK_EXTENSION,
	CHUNK_DATA,
	CHUNK_END, /* in the line end behind the data */
	CHUNK_TRAILER,
};

static size_t clear_lines(bool after_cr, const char *bytes, size_t length)
{
	size_t clear = 0;
	for (; clear < length && (!after_cr || bytes[clear] == '\n'); clear++)
		after_cr = bytes[clear] == '\r';
	return clear;
}

size_t framing_of_head(const struct framing *framing, const char *bytes, size_t length)
{
	return clear_lines(framing->after_cr, bytes, length);
}

void framing_took(struct framing *framing, const char *bytes, size_t length)
{
	if (length > 0)
		framing->after_cr = bytes[length - 1] == '\r';
}

void framing_expect_body(struct framing *framing, bool has_chunks)
{
	framing->chunk = !has_chunks ? CHUNK_NONE : framing->after_cr ? CHUNK_END : CHUNK_SIZE;
	framing->chunk_left = 0;
	framing->trailer_left = FRAMING_TRAILER_MAX;
}

void framing_end(struct framing *framing)
{
	framing->after_cr = false;
}

/* Returns the state after this byte behind a chunk's data, or CHUNK_NONE: it must not be there. */
static unsigned after_data(unsigned char byte)
{
	return byte == '\n' ? CHUNK_SIZE : byte == '\r' ? CHUNK_END : CHUNK_NONE;
}

/* The same for a byte of the line with the size. The parser checks the digits. */
static unsigned after_size(struct framing *framing, unsigned char byte)
{
	if (byte == '\n')
		return framing->chunk_left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
	if (byte == '\r')
		return framing->chunk;
	if (framing->chunk == CHUNK_EXTENSION || byte == ';')
		return byte < ' ' && byte != '\t' ? CHUNK_NONE : CHUNK_EXTENSION;
	if (byte == ' ' || byte == '\t')
		return CHUNK_SPACE;
	if (framing->chunk == CHUNK_SPACE)
		return CHUNK_NONE;
	framing->chunk_left = framing->chunk_left * 16 +
		(byte <= '9' ? byte - (unsigned)'0' : (byte | 0x20U) - 'a' + 10);
	return CHUNK_SIZE;
}

static size_t skip_data(struct framing *framing, size_t length)
{
	size_t step = framing->chunk_left < length ? (size_t)framing->chunk_left : length;
	framing->chunk_left -= step;
	if (framing->chunk_left == 0)
		framing->chunk = CHUNK_END;
	return step;
}

/* Of the chunks, whose lines LF alone does not end. */
static bool step_chunk(struct framing *framing, unsigned char byte)
{
	if (framing->after_cr != (byte == '\n'))
		return false;
	framing->after_cr = byte == '\r';
	unsigned next = framing->chunk == CHUNK_END ? after_data(byte) : after_size(framing, byte);
	if (next == CHUNK_NONE)
		return false;
	framing->chunk = next;
	return true;
}

static size_t clear_chunks(struct framing *framing, const char *bytes, size_t length)
{
	size_t clear = 0;
	while (clear < length && framing->chunk != CHUNK_TRAILER) {
		if (framing->chunk == CHUNK_DATA)
			clear += skip_data(framing, length - clear);
		else if (step_chunk(framing, (unsigned char)bytes[clear]))
			clear++;
		else
			return clear;
	}
	size_t rest =
		length - clear < framing->trailer_left ? length - clear : framing->trailer_left;
	rest = clear_lines(framing->after_cr, bytes + clear, rest);
	framing_took(framing, bytes + clear, rest);
	framing->trailer_left -= rest;
	return clear + rest;
}

size_t framing_of_body(struct framing *framing, const char *bytes, size_t length)
{
	if (framing->chunk != CHUNK_NONE)
		return clear_chunks(framing, bytes, length);
	if (length > 0 && framing->after_cr && *bytes != '\n')
		return 0;
	if (length > 0)
		framing->after_cr = false;
	return length;
}
