/* SPDX-License-Identifier: MIT */
/* Compresses a stream of bytes. It needs the same memory for any length, about 400 KiB. */
#ifndef WEBSERVER_GZIP_H
#define WEBSERVER_GZIP_H

#include "buffer.h"

#include <zlib.h>

#define GZIP_PIECE 32768

struct gzip {
	struct buffer in; /* fill it before gzip_run() if the stream is hungry */
	bool in_ended;    /* set it with the last bytes */
	bool hungry;      /* all of the input is used, and more is needed */
	bool done, failed;
	bool open;
	size_t taken; /* bytes of the input */
	z_stream stream;
	size_t length; /* of the output */
	char out[GZIP_PIECE];
};

/* Returns NULL if there is no memory. */
struct gzip *gzip_new(void);
void gzip_free(struct gzip *gzip);

/* On a worker: replaces the output by the next one. */
void gzip_run(struct gzip *gzip);

#endif
