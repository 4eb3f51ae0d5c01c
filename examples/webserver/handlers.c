/* SPDX-License-Identifier: MIT */
#include "handlers.h"
#include "assets.h"
#include "pages.h"
#include "query.h"
#include "respond.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char type_css[] = "text/css; charset=utf-8";
static const char type_events[] = "text/event-stream";
static const char type_html[] = "text/html; charset=utf-8";
static const char type_js[] = "text/javascript; charset=utf-8";
static const char type_json[] = "application/json";
static const char type_metrics[] = "text/plain; version=0.0.4; charset=utf-8";

enum { PATH_LOAD = SITE_PATHS - 4, PATH_GZIP, PATH_FILES, PATH_OTHER };

static bool is_posted(unsigned path)
{
	return path == PATH_LOAD || path == PATH_GZIP;
}

/* The page may load files and figures of this server only, and figures of the peer. */
static void answer_home(struct exchange *exchange)
{
	struct buffer *fields = respond_new_page(exchange);
	struct asset html = asset_html();
	buffer_text(fields,
		"\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff"
		"\r\nReferrer-Policy: no-referrer"
		"\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; "
		"style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'; connect-src 'self' ");
	buffer_text(fields, exchange->site->peer);
	buffer_append(fields, "", 1); /* ends the text */
	if (fields->failed)
		respond_refusal(exchange, 503, NULL);
	else
		respond_with(exchange, 200, type_html, fields->bytes, html.bytes, html.length);
}

static void respond_asset(struct exchange *exchange, const char *type, struct asset asset)
{
	respond_with(exchange, 200, type,
		"\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff", asset.bytes,
		asset.length);
}

static void answer_css(struct exchange *exchange)
{
	respond_asset(exchange, type_css, asset_css());
}

static void answer_js(struct exchange *exchange)
{
	respond_asset(exchange, type_js, asset_js());
}

/* The peer's page may read the figures. The fields are valid until the next call. */
static const char *figure_fields(const struct exchange *exchange)
{
	static _Thread_local char fields[256];
	const char *peer = exchange->site->peer;
	if (!*peer)
		return NULL;
	snprintf(fields, sizeof(fields),
		"\r\nCache-Control: no-store\r\nVary: Origin\r\nAccess-Control-Allow-Origin: %s",
		peer);
	return fields;
}

static void answer_metrics(struct exchange *exchange)
{
	struct buffer *page = respond_new_page(exchange);
	page_metrics(exchange->site);
	if (page->failed)
		respond_refusal(exchange, 503, NULL);
	else
		respond_with(exchange, 200, type_metrics, figure_fields(exchange), page->bytes,
			page->length);
}

/* The head. The connection gets the events, which the ticker sends. */
static void answer_events(struct exchange *exchange)
{
	if (!exchange->site->events.channel) {
		respond_refusal(exchange, 503, "/events needs --wake ringwake");
		return;
	}
	exchange->endless = exchange->stop = true;
	respond_with(exchange, 200, type_events, figure_fields(exchange), NULL, 0);
}

/* A browser names the page that sends a POST request. Pages of other
 * servers must not start work. */
static bool is_allowed(const struct exchange *exchange)
{
	static const char scheme[] = "http://";
	const struct http_request *request = exchange->request;
	const char *origin = request->origin;
	return !*origin || strcmp(origin, exchange->site->peer) == 0 ||
		(strncmp(origin, scheme, strlen(scheme)) == 0 &&
			strcmp(origin + strlen(scheme), request->host) == 0);
}

static void answer_load(struct exchange *exchange)
{
	if (!is_allowed(exchange)) {
		respond_refusal(exchange, 403, "only this server's page may start the load");
		return;
	}
	int error = load_start(exchange->site);
	if (error == -EBUSY)
		respond_refusal(exchange, 409, "the load is running");
	else if (error)
		respond_refusal(exchange, 503, NULL);
	else
		respond(exchange, 200, type_text, "started\n", 8);
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
		struct buffer *page = respond_new_page(exchange);
		buffer_text(page, "{\"bytes\":");
		buffer_number(page, exchange->digest_bytes);
		buffer_text(page, ",\"sha256\":\"");
		buffer_text(page, exchange->digest);
		buffer_text(page, "\"}\n");
		respond_page(exchange, type_json);
	} else {
		respond_refusal(exchange, 500, NULL);
	}
}

static void answer_digest(struct exchange *exchange)
{
	int status = query_number(
		exchange->request->query, "bytes=", DIGEST_BYTES_MAX, &exchange->digest_bytes);
	if (status == 400) {
		respond_refusal(exchange, status, "ask for /digest?bytes=N");
		return;
	}
	if (status == 413) {
		_Static_assert(DIGEST_BYTES_MAX == 16777216, "as the text says");
		respond_refusal(exchange, status, "bytes is at most 16777216");
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
	{"/page.css", answer_css},
	{"/page.js", answer_js},
	{"/load", answer_load},
	{"/gzip", handler_gzip},
	{"files", handler_file},
	{"other", NULL},
};

const char *site_path_name(unsigned path)
{
	return routes[path].path;
}

static void refuse_method(struct exchange *exchange)
{
	static const char text[] = "405 Method Not Allowed\n";
	respond_with(exchange, 405, type_text,
		is_posted(exchange->path) ? "\r\nCache-Control: no-store\r\nAllow: POST"
					  : "\r\nCache-Control: no-store\r\nAllow: GET, HEAD",
		text, strlen(text));
}

void site_answer(struct exchange *exchange)
{
	const struct http_request *request = exchange->request;
	unsigned path = 0;
	while (path < PATH_FILES && strcmp(routes[path].path, request->path) != 0)
		path++;
	if (path == PATH_FILES && exchange->site->root < 0)
		path = PATH_OTHER;
	exchange->path = path;
	if (request->verb == HTTP_VERB_OTHER)
		refuse_method(exchange);
	else if (path == PATH_OTHER)
		respond_refusal(exchange, 404, NULL);
	else if (is_posted(path) != (request->verb == HTTP_VERB_POST))
		refuse_method(exchange);
	else if (request->has_body && path != PATH_GZIP)
		respond_refusal(exchange, 413, NULL);
	else
		routes[path].answer(exchange);
}

void site_finish(struct exchange *exchange)
{
	void (*finish)(struct exchange *) = exchange->finish;
	exchange->finish = NULL;
	finish(exchange);
}

/* A response that has begun can only end too early. */
static void end_with(struct exchange *exchange, int status)
{
	if (exchange->begun)
		exchange->last = true;
	else
		respond_refusal(exchange, status, NULL);
	site_abandon(exchange);
}

void site_fail(struct exchange *exchange)
{
	end_with(exchange, 503);
}

void site_refuse(struct exchange *exchange, int status)
{
	exchange->path = PATH_OTHER;
	end_with(exchange, status);
}

void site_abandon(struct exchange *exchange)
{
	file_free(exchange->file);
	gzip_free(exchange->gzip);
	exchange->file = NULL;
	exchange->gzip = NULL;
	exchange->body = NULL;
	exchange->begun = false;
	exchange->compute = exchange->finish = NULL;
}

void site_free(struct site *site)
{
	buffer_free(&site->output);
	buffer_free(&site->page);
}
