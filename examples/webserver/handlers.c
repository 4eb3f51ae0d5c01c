/* SPDX-License-Identifier: MIT */
#include "handlers.h"
#include "assets.h"
#include "pages.h"
#include "query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char type_css[] = "text/css; charset=utf-8";
static const char type_events[] = "text/event-stream";
static const char type_html[] = "text/html; charset=utf-8";
static const char type_js[] = "text/javascript; charset=utf-8";
static const char type_json[] = "application/json";
static const char type_metrics[] = "text/plain; version=0.0.4; charset=utf-8";
static const char type_text[] = "text/plain; charset=utf-8";

enum { PATH_LOAD = SITE_PATHS - 4, PATH_GZIP, PATH_FILES, PATH_OTHER };

static bool is_posted(unsigned path)
{
	return path == PATH_LOAD || path == PATH_GZIP;
}

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

/* Sets the members of the response that depend on the request. */
static void write_response(struct exchange *exchange, struct http_response *response)
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

/* Begins the body of a response. */
static struct buffer *new_page(struct exchange *exchange)
{
	struct buffer *page = &exchange->site->page;
	buffer_clear(page);
	return page;
}

static void respond_with(struct exchange *exchange, int status, const char *type,
	const char *fields, const char *body, size_t length)
{
	struct http_response response = {
		.status = status,
		.type = type,
		.fields = fields,
		.body = body,
		.length = length,
	};
	write_response(exchange, &response);
}

static void respond(
	struct exchange *exchange, int status, const char *type, const char *body, size_t length)
{
	respond_with(exchange, status, type, NULL, body, length);
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

/* The page may load files and figures of this server only, and figures of the peer. */
static void answer_home(struct exchange *exchange)
{
	struct buffer *fields = new_page(exchange);
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
		refuse(exchange, 503, NULL);
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
	struct buffer *page = new_page(exchange);
	page_metrics(exchange->site);
	if (page->failed)
		refuse(exchange, 503, NULL);
	else
		respond_with(exchange, 200, type_metrics, figure_fields(exchange), page->bytes,
			page->length);
}

/* The head. The connection gets the events, which the ticker sends. */
static void answer_events(struct exchange *exchange)
{
	if (!exchange->site->events.channel) {
		refuse(exchange, 503, "/events needs --wake ringwake");
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
		refuse(exchange, 403, "only this server's page may start the load");
		return;
	}
	int error = load_start(exchange->site);
	if (error == -EBUSY)
		refuse(exchange, 409, "the load is running");
	else if (error)
		refuse(exchange, 503, NULL);
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
		refuse(exchange, file->status, NULL);
		site_abandon(exchange);
		return;
	}
	struct buffer *page = new_page(exchange);
	buffer_text(page,
		"\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff"
		"\r\nAccept-Ranges: bytes\r\nETag: ");
	buffer_text(page, file->tag);
	if (file->status == 206 || file->status == 416)
		content_range(page, file);
	buffer_append(page, "", 1); /* ends the text */
	if (page->failed) {
		refuse(exchange, 503, NULL);
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
	write_response(exchange, &response);
	if (response.head_only || file->status == 416)
		site_abandon(exchange);
	else
		finish_piece(exchange);
}

static void answer_file(struct exchange *exchange)
{
	exchange->file = file_new();
	if (!exchange->file) {
		refuse(exchange, 503, NULL);
		return;
	}
	exchange->compute = open_file;
	exchange->finish = respond_file;
}

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
		write_response(exchange, &response);
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

static void answer_gzip(struct exchange *exchange)
{
	exchange->gzip = gzip_new();
	if (!exchange->gzip) {
		refuse(exchange, 503, NULL);
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
	{"/gzip", answer_gzip},
	{"files", answer_file},
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
		refuse(exchange, 404, NULL);
	else if (is_posted(path) != (request->verb == HTTP_VERB_POST))
		refuse_method(exchange);
	else if (request->has_body && path != PATH_GZIP)
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

/* A response that has begun can only end too early. */
static void end_with(struct exchange *exchange, int status)
{
	if (exchange->begun)
		exchange->last = true;
	else
		refuse(exchange, status, NULL);
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
