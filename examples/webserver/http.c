/* SPDX-License-Identifier: MIT */
#include "http.h"
#include "host.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define TEXT_OF(number)                   #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

/*
 * Both parsers have the same callbacks. They differ in how to stop after a request, in how to find
 * the number of bytes parsed, and in how to recognize a length that does not fit into 64 bits.
 */
#ifdef LLHTTP_VERSION_MAJOR

#define GRAMMAR_NAME                                                                               \
	"llhttp " VERSION_TEXT(LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH)
typedef llhttp_settings_t grammar_settings;
#define F_HAS_LENGTH F_CONTENT_LENGTH

static void grammar_init(http_grammar *grammar, const grammar_settings *settings)
{
	llhttp_init(grammar, HTTP_REQUEST, settings);
}

static int grammar_stop(http_grammar *grammar)
{
	(void)grammar;
	return HPE_PAUSED;
}

static bool grammar_keep_alive(const http_grammar *grammar)
{
	return llhttp_should_keep_alive(grammar);
}

/* Returns how many bytes were parsed. Sets *refusal if they cannot be the start of a request. */
static size_t grammar_execute(http_grammar *grammar, const grammar_settings *settings,
	const char *bytes, size_t length, int *refusal)
{
	(void)settings;
	llhttp_errno_t error = llhttp_execute(grammar, bytes, length);
	if (error == HPE_INVALID_CONTENT_LENGTH &&
		strcmp(llhttp_get_error_reason(grammar), "Content-Length overflow") == 0)
		*refusal = 413;
	else if (error != HPE_OK && error != HPE_PAUSED)
		*refusal = 400;
	if (error != HPE_PAUSED)
		return length;
	llhttp_resume(grammar);
	return (size_t)(llhttp_get_error_pos(grammar) - bytes);
}

#else

#define GRAMMAR_NAME                                                                               \
	"http-parser " VERSION_TEXT(                                                               \
		HTTP_PARSER_VERSION_MAJOR, HTTP_PARSER_VERSION_MINOR, HTTP_PARSER_VERSION_PATCH)
typedef http_parser_settings grammar_settings;
#define F_HAS_LENGTH F_CONTENTLENGTH

static void grammar_init(http_grammar *grammar, const grammar_settings *settings)
{
	(void)settings;
	http_parser_init(grammar, HTTP_REQUEST);
}

static int grammar_stop(http_grammar *grammar)
{
	http_parser_pause(grammar, 1);
	return 0;
}

static bool grammar_keep_alive(const http_grammar *grammar)
{
	return http_should_keep_alive(grammar);
}

/* Returns how many bytes were parsed. Sets *refusal if they cannot be the start of a request. */
static size_t grammar_execute(http_grammar *grammar, const grammar_settings *settings,
	const char *bytes, size_t length, int *refusal)
{
	size_t used = http_parser_execute(grammar, settings, bytes, length);
	enum http_errno error = HTTP_PARSER_ERRNO(grammar);
	/* The parser stops at the digit that makes a length too large, or at what must not follow.
	 */
	if (error == HPE_INVALID_CONTENT_LENGTH && used < length &&
		isxdigit((unsigned char)bytes[used]) &&
		grammar->content_length > UINT64_MAX / 16 - 1)
		*refusal = 413;
	else if (error != HPE_OK && error != HPE_PAUSED)
		*refusal = 400;
	if (error == HPE_PAUSED)
		http_parser_pause(grammar, 0);
	return used;
}

#endif

static struct http_reader *reader_of(http_grammar *grammar)
{
	return grammar->data;
}

static int refuse(struct http_reader *reader, int status)
{
	reader->refusal = status;
	return -1;
}

static int on_message_begin(http_grammar *grammar)
{
	struct http_reader *reader = reader_of(grammar);
	reader->target_length = 0;
	memset(&reader->fields, 0, sizeof(reader->fields));
	return 0;
}

static int on_target(http_grammar *grammar, const char *bytes, size_t length)
{
	struct http_reader *reader = reader_of(grammar);
	if (length > HTTP_TARGET_MAX - reader->target_length)
		return refuse(reader, 414);
	/* http-parser accepts some control characters */
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)bytes[i] < ' ')
			return refuse(reader, 400);
	memcpy(reader->target + reader->target_length, bytes, length);
	reader->target_length += length;
	return 0;
}

static int on_field_name(http_grammar *grammar, const char *bytes, size_t length)
{
	struct http_reader *reader = reader_of(grammar);
	/* http-parser accepts spaces in a field's name */
	if (memchr(bytes, ' ', length))
		return refuse(reader, 400);
	if (!reader->in_body) /* otherwise it comes after the body, and is not used */
		fields_name(&reader->fields, bytes, length);
	return 0;
}

static int on_field_value(http_grammar *grammar, const char *bytes, size_t length)
{
	struct http_reader *reader = reader_of(grammar);
	if (!reader->in_body)
		fields_value(&reader->fields, bytes, length);
	return 0;
}

/* A target may be a whole URL. The server ignores its host. Sets the path in any case. */
static bool split_target(struct http_reader *reader)
{
	char *path = reader->target;
	bool valid = true;
	path[reader->target_length] = '\0';
	if (strncasecmp(path, "http://", 7) == 0) {
		size_t host_length = strcspn(path + 7, "/?");
		valid = host_length > 0 && host_is_valid(path + 7, host_length);
		path += 7 + host_length;
		if (*path != '/')
			*--path = '/'; /* overwrites a character before it */
	}
	char *query = path + strcspn(path, "?");
	if (*query)
		*query++ = '\0';
	reader->request.path = path;
	reader->request.query = query;
	return valid && *path == '/';
}

static enum http_verb verb_of(const http_grammar *grammar)
{
	return grammar->method == HTTP_GET     ? HTTP_VERB_GET
		: grammar->method == HTTP_HEAD ? HTTP_VERB_HEAD
		: grammar->method == HTTP_POST ? HTTP_VERB_POST
					       : HTTP_VERB_OTHER;
}

/* A length that two servers could understand differently is refused. */
static bool length_is_clear(struct http_reader *reader, bool old)
{
	if (reader->fields.value[FIELD_TRANSFER_ENCODING].count == 0)
		return true;
	return !old && !(reader->grammar.flags & F_HAS_LENGTH) &&
		strcasecmp(fields_get(&reader->fields, FIELD_TRANSFER_ENCODING), "chunked") == 0;
}

static int on_head_complete(http_grammar *grammar)
{
	struct http_reader *reader = reader_of(grammar);
	/* the server may ignore an offer to change the protocol */
	if (grammar->method != HTTP_CONNECT)
		grammar->upgrade = 0;
	bool old = grammar->http_minor == 0;
	const char *host = fields_get(&reader->fields, FIELD_HOST);
	if (grammar->http_major != 1 || grammar->http_minor > 1 ||
		(!old && reader->fields.value[FIELD_HOST].count == 0) ||
		!host_is_valid(host, strlen(host)) || !length_is_clear(reader, old))
		return refuse(reader, 400);
	struct http_request *request = &reader->request;
	request->verb = verb_of(grammar);
	request->old = old;
	request->host = host;
	request->origin = fields_get(&reader->fields, FIELD_ORIGIN);
	request->if_none_match = fields_get(&reader->fields, FIELD_IF_NONE_MATCH);
	request->if_range = fields_get(&reader->fields, FIELD_IF_RANGE);
	request->range = fields_get(&reader->fields, FIELD_RANGE);
	request->has_body = (grammar->flags & F_CHUNKED) ||
		((grammar->flags & F_HAS_LENGTH) && grammar->content_length > 0);
	request->expects =
		!old && strcasecmp(fields_get(&reader->fields, FIELD_EXPECT), "100-continue") == 0;
	request->keep_alive = grammar_keep_alive(grammar);
	if (!split_target(reader) && request->verb != HTTP_VERB_OTHER)
		return refuse(reader, 400);
	reader->complete = true;
	reader->in_body = request->has_body;
	return request->has_body ? grammar_stop(grammar) : 0;
}

static int on_body(http_grammar *grammar, const char *bytes, size_t length)
{
	buffer_append(reader_of(grammar)->body, bytes, length);
	return 0;
}

static int on_message_complete(http_grammar *grammar)
{
	reader_of(grammar)->in_body = false;
	return grammar_stop(grammar);
}

static const grammar_settings settings = {
	.on_message_begin = on_message_begin,
	.on_url = on_target,
	.on_header_field = on_field_name,
	.on_header_value = on_field_value,
	.on_headers_complete = on_head_complete,
	.on_body = on_body,
	.on_message_complete = on_message_complete,
};

/* As grammar_execute(), for any number of bytes. Returns the refusal, or 0. */
static int execute(struct http_reader *reader, const char *bytes, size_t length, size_t *used)
{
	int refusal = 0;
	*used = length > 0 ? grammar_execute(&reader->grammar, &settings, bytes, length, &refusal)
			   : 0;
	return reader->refusal ? reader->refusal : refusal;
}

void http_reader_init(struct http_reader *reader)
{
	memset(reader, 0, offsetof(struct http_reader, target));
	grammar_init(&reader->grammar, &settings);
	reader->grammar.data = reader;
}

/* Empty lines before a request are not a part of it. Returns their length; the parser skips them.
 */
static size_t empty_lines(const char *bytes, size_t length)
{
	size_t empty = 0;
	while (empty < length && (bytes[empty] == '\r' || bytes[empty] == '\n'))
		empty++;
	return empty;
}

int http_read(struct http_reader *reader, const char *bytes, size_t length, size_t *used)
{
	*used = 0;
	if (length == 0)
		return 0;
	if (http_reader_idle(reader)) {
		reader->request = (struct http_request){.verb = HTTP_VERB_OTHER};
		reader->grammar.method = HTTP_DELETE; /* until the parser knows it */
	}
	size_t clear = framing_of_head(&reader->framing, bytes, length);
	size_t empty = http_reader_idle(reader) ? empty_lines(bytes, clear) : 0;
	/* The parser gets no byte behind the limit: any pieces have the same refusal. */
	size_t room = empty + HTTP_HEAD_MAX - reader->head_length;
	int refusal = execute(reader, bytes, clear < room ? clear : room, used);
	framing_took(&reader->framing, bytes, *used);
	reader->head_length += *used - (empty < *used ? empty : *used);
	reader->request.verb = verb_of(&reader->grammar); /* refusals also obey HEAD */
	if (refusal)
		return refusal;
	if (reader->complete) {
		reader->complete = false;
		reader->head_length = 0;
		framing_expect_body(&reader->framing, reader->grammar.flags & F_CHUNKED);
		return 200;
	}
	return *used == length ? 0 : clear > room ? 431 : 400;
}

int http_read_body(struct http_reader *reader, const char *bytes, size_t length, size_t *used,
	struct buffer *body)
{
	reader->body = body;
	size_t clear = framing_of_body(&reader->framing, bytes, length);
	int refusal = execute(reader, bytes, clear, used);
	if (!reader->in_body)
		framing_end(&reader->framing);
	if (refusal || !reader->in_body)
		return refusal ? refusal : 200;
	return *used == length ? 0 : reader->framing.trailer_left == 0 ? 431 : 400;
}

bool http_reader_idle(const struct http_reader *reader)
{
	return reader->head_length == 0 && !reader->in_body;
}

const char *http_grammar_name(void)
{
	return GRAMMAR_NAME;
}

const struct http_reason http_reasons[HTTP_STATUSES] = {
	{200, "OK"},
	{206, "Partial Content"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{416, "Range Not Satisfiable"},
	{431, "Request Header Fields Too Large"},
	{503, "Service Unavailable"},
	{500, "Internal Server Error"},
};

unsigned http_reason_index(int status)
{
	unsigned i = 0;
	while (i < HTTP_STATUSES - 1 && http_reasons[i].status != status)
		i++;
	return i;
}

/* The Date field changes once a second. */
static const char *date_field(void)
{
	static _Thread_local char field[48];
	static _Thread_local time_t second = -1;
	time_t now = time(NULL);
	if (now != second) {
		struct tm parts;
		gmtime_r(&now, &parts);
		strftime(field, sizeof(field), "\r\nDate: %a, %d %b %Y %H:%M:%S GMT", &parts);
		second = now;
	}
	return field;
}

void http_write(struct buffer *output, const struct http_response *response)
{
	buffer_text(output, "HTTP/1.1 ");
	buffer_number(output, (uint64_t)response->status);
	buffer_text(output, " ");
	buffer_text(output, http_reasons[http_reason_index(response->status)].text);
	buffer_text(output, date_field());
	if (response->status != 304) {
		buffer_text(output, "\r\nContent-Type: ");
		buffer_text(output, response->type);
	}
	if (response->chunked && !response->old) {
		buffer_text(output, "\r\nTransfer-Encoding: chunked");
	} else if (response->status != 304 && !response->chunked && !response->endless) {
		buffer_text(output, "\r\nContent-Length: ");
		buffer_number(output, response->length + response->more);
	}
	buffer_text(output, response->fields ? response->fields : "\r\nCache-Control: no-store");
	if (!response->keep_alive)
		buffer_text(output, "\r\nConnection: close");
	else if (response->old)
		buffer_text(output, "\r\nConnection: keep-alive");
	buffer_text(output, "\r\n\r\n");
	if (!response->head_only)
		buffer_append(output, response->body, response->length);
}

void http_write_chunk(struct buffer *output, bool old, const char *bytes, size_t length)
{
	char size[24];
	snprintf(size, sizeof(size), "%zx\r\n", length);
	if (!old)
		buffer_text(output, size);
	buffer_append(output, bytes, length);
	if (!old)
		buffer_text(output, "\r\n");
}
