/* SPDX-License-Identifier: MIT */
#include "respond.h"

#include <stdio.h>
#include <time.h>

const char type_text[] = "text/plain; charset=utf-8";

/* A request that could not be read has no path. */
static void log_response(const struct exchange *exchange, const struct http_response *response)
{
	const struct http_request *request = exchange->request;
	struct access_record record = {
		.time = time(NULL),
		.client = exchange->client,
		.verb = request->verb,
		.old = request->old,
		.status = response->status,
		.bytes = response->head_only ? 0 : response->length + response->more,
	};
	if (request->path) {
		int all = snprintf(record.target, sizeof(record.target), "%s%s%s", request->path,
			*request->query ? "?" : "", request->query);
		record.length = all < ACCESS_TARGET_MAX ? (unsigned)all : ACCESS_TARGET_MAX - 1;
	}
	access_log_add(exchange->site->log, &record);
}

void respond_write(struct exchange *exchange, struct http_response *response)
{
	const struct http_request *request = exchange->request;
	exchange->last = response->status >= 400 || !request->keep_alive || exchange->stop ||
		(response->chunked && request->old);
	counter_up(&exchange->site->requests[exchange->path][http_reason_index(response->status)]);
	response->head_only = request->verb == HTTP_VERB_HEAD || response->status == 304;
	response->keep_alive = !exchange->last;
	response->old = request->old;
	response->endless = exchange->endless;
	if (exchange->site->log)
		log_response(exchange, response);
	http_write(&exchange->site->output, response);
}

struct buffer *respond_new_page(struct exchange *exchange)
{
	struct buffer *page = &exchange->site->page;
	buffer_clear(page);
	return page;
}

void respond_with(struct exchange *exchange, int status, const char *type, const char *fields,
	const char *body, size_t length)
{
	struct http_response response = {
		.status = status,
		.type = type,
		.fields = fields,
		.body = body,
		.length = length,
	};
	respond_write(exchange, &response);
}

void respond(
	struct exchange *exchange, int status, const char *type, const char *body, size_t length)
{
	respond_with(exchange, status, type, NULL, body, length);
}

void respond_refusal(struct exchange *exchange, int status, const char *why)
{
	struct buffer *page = respond_new_page(exchange);
	buffer_number(page, (uint64_t)status);
	buffer_text(page, " ");
	buffer_text(page, http_reasons[http_reason_index(status)].text);
	if (why) {
		buffer_text(page, ": ");
		buffer_text(page, why);
	}
	buffer_text(page, "\n");
	respond(exchange, status, type_text, page->bytes, page->length);
}

void respond_page(struct exchange *exchange, const char *type)
{
	const struct buffer *page = &exchange->site->page;
	if (page->failed)
		respond_refusal(exchange, 503, NULL);
	else
		respond(exchange, 200, type, page->bytes, page->length);
}
