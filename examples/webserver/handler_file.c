/* SPDX-License-Identifier: MIT */
/* Files below the root: the head with the first piece, and then each piece when the one before it
 * is sent. */
#include "respond.h"

static void open_file(struct exchange *exchange)
{
	file_open(exchange->file, exchange->site->root, exchange->request);
}

static void read_file(struct exchange *exchange)
{
	file_read(exchange->file);
}

static void send_piece(struct exchange *exchange);

/* If the file cannot be read any more, the client sees that the connection is closed too early. */
static void finish_piece(struct exchange *exchange)
{
	const struct file *file = exchange->file;
	bool more = file->next < file->end && !file->failed;
	exchange->last |= file->failed;
	exchange->begun = more;
	if (more) {
		exchange->compute = read_file;
		exchange->finish = send_piece;
	} else {
		site_abandon(exchange);
	}
}

static void send_piece(struct exchange *exchange)
{
	const struct file *file = exchange->file;
	buffer_append(&exchange->site->output, file->piece, file->length);
	finish_piece(exchange);
}

static void content_range(struct buffer *page, const struct file *file)
{
	buffer_text(page, "\r\nContent-Range: bytes ");
	if (file->status == 416) {
		buffer_text(page, "*");
	} else {
		buffer_number(page, file->next - file->length);
		buffer_text(page, "-");
		buffer_number(page, file->end - 1);
	}
	buffer_text(page, "/");
	buffer_number(page, file->size);
}

/* Begins with the header and the first piece. */
static void respond_file(struct exchange *exchange)
{
	struct file *file = exchange->file;
	if (file->status >= 400 && file->status != 416) {
		respond_refusal(exchange, file->status, NULL);
		site_abandon(exchange);
		return;
	}
	struct buffer *page = respond_new_page(exchange);
	buffer_text(page,
		"\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff"
		"\r\nAccept-Ranges: bytes\r\nETag: ");
	buffer_text(page, file->tag);
	if (file->status == 206 || file->status == 416)
		content_range(page, file);
	buffer_append(page, "", 1); /* ends the text */
	if (page->failed) {
		respond_refusal(exchange, 503, NULL);
		site_abandon(exchange);
		return;
	}
	struct http_response response = {
		.status = file->status,
		.type = file->type,
		.fields = page->bytes,
		.body = file->piece,
		.length = file->length,
		.more = file->status == 416 ? 0 : file->end - file->next,
	};
	respond_write(exchange, &response);
	if (response.head_only || file->status == 416)
		site_abandon(exchange);
	else
		finish_piece(exchange);
}

void handler_file(struct exchange *exchange)
{
	exchange->file = file_new();
	if (!exchange->file) {
		respond_refusal(exchange, 503, NULL);
		return;
	}
	exchange->compute = open_file;
	exchange->finish = respond_file;
}
