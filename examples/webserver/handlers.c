/* SPDX-License-Identifier: MIT */
#include "handlers.h"
#include "pages.h"
#include "query.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char type_events[] = "text/event-stream";
static const char type_html[] = "text/html; charset=utf-8";
static const char type_json[] = "application/json";
static const char type_metrics[] = "text/plain; version=0.0.4; charset=utf-8";
static const char type_text[] = "text/plain; charset=utf-8";

#define PATH_OTHER (SITE_PATHS - 1)

/* A request that could not be read has no path. */
static void log_response(const struct exchange *exchange, int status, size_t length)
{
	const struct http_request *request = exchange->request;
	struct access_record record = {
		.time = time(NULL),
		.client = exchange->client,
		.verb = request->verb,
		.old = request->old,
		.status = status,
		.bytes = request->verb == HTTP_VERB_HEAD ? 0 : length,
	};
	if (request->path) {
		int all = snprintf(record.target, sizeof(record.target), "%s%s%s", request->path,
			*request->query ? "?" : "", request->query);
		record.length = all < ACCESS_TARGET_MAX ? (unsigned)all : ACCESS_TARGET_MAX - 1;
	}
	access_log_add(exchange->site->log, &record);
}

static void respond(
	struct exchange *exchange, int status, const char *type, const char *body, size_t length)
{
	const struct http_request *request = exchange->request;
	exchange->last = status != 200 || !request->keep_alive || exchange->stop;
	counter_up(&exchange->site->requests[exchange->path][http_reason_index(status)]);
	if (exchange->site->log)
		log_response(exchange, status, length);
	http_write(&exchange->site->output,
		&(struct http_response){
			.status = status,
			.type = type,
			.body = body,
			.length = length,
			.head_only = request->verb == HTTP_VERB_HEAD,
			.keep_alive = !exchange->last,
			.old = request->old,
			.endless = exchange->endless,
		});
}

/* Begins the body of a response. */
static struct buffer *new_page(struct exchange *exchange)
{
	struct buffer *page = &exchange->site->page;
	buffer_clear(page);
	return page;
}

static void refuse(struct exchange *exchange, int status, const char *why)
{
	struct buffer *page = new_page(exchange);
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

static void respond_page(struct exchange *exchange, const char *type)
{
	const struct buffer *page = &exchange->site->page;
	if (page->failed)
		refuse(exchange, 503, NULL);
	else
		respond(exchange, 200, type, page->bytes, page->length);
}

void site_refuse(struct exchange *exchange, int status)
{
	exchange->path = PATH_OTHER;
	refuse(exchange, status, NULL);
}

static void answer_home(struct exchange *exchange)
{
	new_page(exchange);
	page_home(exchange->site);
	respond_page(exchange, type_html);
}

static void answer_metrics(struct exchange *exchange)
{
	new_page(exchange);
	page_metrics(exchange->site);
	respond_page(exchange, type_metrics);
}

/* The head. The connection gets the events, which the ticker sends. */
static void answer_events(struct exchange *exchange)
{
	if (!exchange->site->events.channel) {
		refuse(exchange, 503, "/events needs --wake ringwake");
		return;
	}
	exchange->endless = exchange->stop = true;
	respond(exchange, 200, type_events, NULL, 0);
}

static void answer_healthz(struct exchange *exchange)
{
	respond(exchange, 200, type_text, "ok\n", 3);
}

static void compute_digest(struct exchange *exchange)
{
	exchange->digest_good = digest_compute(exchange->digest_bytes, exchange->digest);
}

static void respond_digest(struct exchange *exchange)
{
	if (exchange->digest_good) {
		struct buffer *page = new_page(exchange);
		buffer_text(page, "{\"bytes\":");
		buffer_number(page, exchange->digest_bytes);
		buffer_text(page, ",\"sha256\":\"");
		buffer_text(page, exchange->digest);
		buffer_text(page, "\"}\n");
		respond_page(exchange, type_json);
	} else {
		refuse(exchange, 500, NULL);
	}
}

static void answer_digest(struct exchange *exchange)
{
	int status = query_number(
		exchange->request->query, "bytes=", DIGEST_BYTES_MAX, &exchange->digest_bytes);
	if (status == 400) {
		refuse(exchange, status, "ask for /digest?bytes=N");
		return;
	}
	if (status == 413) {
		_Static_assert(DIGEST_BYTES_MAX == 16777216, "as the text says");
		refuse(exchange, status, "bytes is at most 16777216");
		return;
	}
	exchange->compute = compute_digest;
	exchange->finish = respond_digest;
}

static const struct {
	const char *path;
	void (*answer)(struct exchange *exchange);
} routes[SITE_PATHS] = {
	{"/", answer_home},
	{"/digest", answer_digest},
	{"/metrics", answer_metrics},
	{"/healthz", answer_healthz},
	{"/events", answer_events},
	{"other", NULL},
};

const char *site_path_name(unsigned path)
{
	return routes[path].path;
}

void site_answer(struct exchange *exchange)
{
	const struct http_request *request = exchange->request;
	unsigned path = 0;
	while (path < PATH_OTHER && strcmp(routes[path].path, request->path) != 0)
		path++;
	exchange->path = path;
	if (request->verb == HTTP_VERB_OTHER)
		refuse(exchange, 405, NULL);
	else if (path == PATH_OTHER)
		refuse(exchange, 404, NULL);
	else if (request->has_body)
		refuse(exchange, 413, NULL);
	else
		routes[path].answer(exchange);
}

void site_finish(struct exchange *exchange)
{
	void (*finish)(struct exchange *) = exchange->finish;
	exchange->finish = NULL;
	finish(exchange);
}

void site_fail(struct exchange *exchange)
{
	exchange->finish = NULL;
	refuse(exchange, 503, NULL);
}

void site_free(struct site *site)
{
	buffer_free(&site->output);
	buffer_free(&site->page);
}
