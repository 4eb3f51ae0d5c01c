/* SPDX-License-Identifier: MIT */
/* /gzip: takes a piece of the body, compresses it on a worker, and sends it before the next one. */
#include "respond.h"

static void compress_piece(struct exchange *exchange)
{
	gzip_run(exchange->gzip);
}

static void send_compressed(struct exchange *exchange);

static void start_compressing(struct exchange *exchange)
{
	exchange->gzip->in_ended = exchange->body_ended;
	exchange->compute = compress_piece;
	exchange->finish = send_compressed;
}

static void request_body(struct exchange *exchange)
{
	exchange->body = &exchange->gzip->in;
	exchange->finish = start_compressing;
}

static void send_compressed(struct exchange *exchange)
{
	struct buffer *output = &exchange->site->output;
	struct gzip *gzip = exchange->gzip;
	bool old = exchange->request->old;
	struct http_response response = {
		.status = 200, .type = "application/gzip", .chunked = true};
	if (gzip->failed) {
		site_fail(exchange);
		return;
	}
	if (!exchange->begun)
		respond_write(exchange, &response);
	exchange->begun = true;
	if (gzip->length > 0)
		http_write_chunk(output, old, gzip->out, gzip->length);
	if (gzip->done) {
		http_write_chunk(output, old, "", 0);
		site_abandon(exchange);
	} else if (gzip->hungry) {
		request_body(exchange);
	} else {
		start_compressing(exchange);
	}
}

void handler_gzip(struct exchange *exchange)
{
	exchange->gzip = gzip_new();
	if (!exchange->gzip) {
		respond_refusal(exchange, 503, NULL);
		return;
	}
	exchange->body_ended = !exchange->request->has_body;
	if (exchange->request->expects && exchange->request->has_body)
		buffer_text(&exchange->site->output, "HTTP/1.1 100 Continue\r\n\r\n");
	if (exchange->body_ended)
		start_compressing(exchange);
	else
		request_body(exchange);
}
