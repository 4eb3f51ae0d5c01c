/* SPDX-License-Identifier: MIT */
#include "gzip.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_BITS (15 + 16) /* the largest window, in the format of gzip */
#define MEMORY      8         /* zlib's default */

struct gzip *gzip_new(void)
{
	struct gzip *gzip = malloc(sizeof(*gzip));
	if (gzip)
		memset(gzip, 0, offsetof(struct gzip, out));
	return gzip;
}

void gzip_free(struct gzip *gzip)
{
	if (!gzip)
		return;
	if (gzip->open)
		deflateEnd(&gzip->stream);
	buffer_free(&gzip->in);
	free(gzip);
}

void gzip_run(struct gzip *gzip)
{
	z_stream *stream = &gzip->stream;
	gzip->length = 0;
	if (!gzip->open)
		gzip->open = deflateInit2(stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS,
				     MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
	gzip->failed = !gzip->open || gzip->in.failed;
	if (gzip->failed)
		return;
	stream->next_in = gzip->in.bytes ? (Bytef *)gzip->in.bytes + gzip->taken : NULL;
	stream->avail_in = (uInt)(gzip->in.length - gzip->taken);
	stream->next_out = (Bytef *)gzip->out;
	stream->avail_out = sizeof(gzip->out);
	gzip->done = deflate(stream, gzip->in_ended ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END;
	gzip->length = sizeof(gzip->out) - stream->avail_out;
	gzip->taken = gzip->in.length - stream->avail_in;
	gzip->hungry = !gzip->in_ended && stream->avail_in == 0 && stream->avail_out > 0;
	if (gzip->hungry) {
		buffer_clear(&gzip->in);
		gzip->taken = 0;
	}
}
