/* SPDX-License-Identifier: MIT */
/*
 * A libFuzzer target for http.c. The first byte selects how the other bytes are cut into pieces.
 * The pieces must give the same requests as all bytes at once.
 */
#include "http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "failed: %s\n", what);
	abort();
}

static void note(struct buffer *notes, const struct http_request *request)
{
	check(request->path && request->query, "a request has a path and a query");
	buffer_number(notes, request->verb);
	buffer_text(notes, request->keep_alive ? " keep" : " close");
	buffer_text(notes, request->old ? " old" : " new");
	buffer_text(notes, request->has_body ? " body " : " ");
	buffer_text(notes, request->path);
	buffer_text(notes, " ? ");
	buffer_text(notes, request->query);
	buffer_text(notes, "\n");
}

/*
 * Reads a piece from memory of its own, so that AddressSanitizer sees a read behind it. body is
 * NULL between two requests.
 */
static int read_piece(struct http_reader *reader, const char *bytes, size_t length, size_t *used,
	struct buffer *body)
{
	char *piece = malloc(length);
	memcpy(piece, bytes, length);
	int status = body ? http_read_body(reader, piece, length, used, body)
			  : http_read(reader, piece, length, used);
	free(piece);
	check(*used <= length, "no more bytes are used than there are");
	check(status != 0 || *used == length, "all bytes are used if the request is incomplete");
	return status;
}

/* Notes all requests, and the refusal that ends them. Pieces have at most this many bytes. */
static void read_all(
	const char *bytes, size_t length, unsigned random, size_t most, struct buffer *notes)
{
	struct http_reader *reader = malloc(sizeof(*reader));
	http_reader_init(reader);
	struct buffer bytes_of_body = {0}, *body = NULL;
	int status = 0;
	while (length > 0 && (status == 0 || status == 200)) {
		size_t used;
		random = random * 1103515245 + 12345;
		size_t piece = 1 + (random >> 16) % most;
		status = read_piece(reader, bytes, piece < length ? piece : length, &used, body);
		bytes += used;
		length -= used;
		if (status == 200 && !body) {
			note(notes, &reader->request);
			body = reader->request.has_body ? &bytes_of_body : NULL;
		} else if (status == 200) {
			check(http_reader_idle(reader), "a request ends with its body");
			body = NULL;
		}
	}
	buffer_append(notes, bytes_of_body.bytes, bytes_of_body.length);
	buffer_free(&bytes_of_body);
	/* A target that is too long and, behind the limit, invalid: the parser tells of one of
	 * them. */
	if (status != 0 && status != 200)
		buffer_number(notes, (uint64_t)(status == 414 ? 400 : status));
	buffer_text(notes, reader->request.verb == HTTP_VERB_HEAD ? " head\n" : "\n");
	free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer whole = {0}, pieces = {0};
	if (size < 2)
		return 0;
	const char *bytes = (const char *)data + 1;
	read_all(bytes, size - 1, 0, SIZE_MAX, &whole);
	read_all(bytes, size - 1, data[0], 1 + data[0] % 50, &pieces);
	if (whole.length != pieces.length || memcmp(whole.bytes, pieces.bytes, whole.length) != 0) {
		fprintf(stderr, "at once:\n%.*s\nin pieces:\n%.*s\n", (int)whole.length,
			whole.bytes, (int)pieces.length, pieces.bytes);
		check(false, "pieces give the same requests");
	}
	buffer_free(&whole);
	buffer_free(&pieces);
	return 0;
}
