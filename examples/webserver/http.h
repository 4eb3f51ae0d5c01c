/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 without a socket: it reads requests from bytes and writes responses. The packaged
 * parser, llhttp or the older http-parser, defines the grammar; this file sets the limits.
 */
#ifndef WEBSERVER_HTTP_H
#define WEBSERVER_HTTP_H

#include "buffer.h"
#include "fields.h"
#include "framing.h"

/* WITH_HTTP_PARSER selects http-parser where both are installed. */
#if __has_include(<llhttp.h>) && !defined(WITH_HTTP_PARSER)
#include <llhttp.h>
typedef llhttp_t http_grammar;
#else
#include <http_parser.h>
typedef http_parser http_grammar;
#endif

#define HTTP_TARGET_MAX 8000  /* longer: 414 */
#define HTTP_HEAD_MAX   16384 /* request line and header fields; longer: 431 */

enum http_verb { HTTP_VERB_GET, HTTP_VERB_HEAD, HTTP_VERB_POST, HTTP_VERB_OTHER };

struct http_request {
	enum http_verb verb;
	bool keep_alive;
	bool old;          /* HTTP/1.0: keeping the connection needs a header field */
	bool has_body;     /* read it, or close the connection */
	bool expects;      /* "100 Continue" before it sends the body */
	const char *path;  /* "/" and so on, without the query */
	const char *query; /* "" if there is none */
	/* The values of these fields, or "". */
	const char *host, *if_none_match, *if_range, *origin, *range;
};

/* Reads the requests of one connection in order. Only the member request is public. */
struct http_reader {
	struct http_request request;
	http_grammar grammar;
	size_t head_length; /* bytes seen of the request that is being read */
	size_t target_length;
	int refusal; /* the status of a refused request, or 0 */
	bool complete;
	bool in_body;
	struct framing framing;
	struct buffer *body;
	struct fields fields;
	char target[HTTP_TARGET_MAX + 1];
};

void http_reader_init(struct http_reader *reader);

/*
 * Reads up to the end of one request and sets *used to the number of bytes read. Returns
 * 0     if all bytes are used and the request is not complete;
 * 200   if reader->request is the next request, valid until the next call;
 * else  the status with which to refuse the request. Nothing more can be read.
 */
int http_read(struct http_reader *reader, const char *bytes, size_t length, size_t *used);

/*
 * Reads the body of a request that has one, and appends it to *body. Returns 0 if all bytes are
 * used and the body is not complete; 200 if it is complete; or the status with which to refuse it.
 */
int http_read_body(struct http_reader *reader, const char *bytes, size_t length, size_t *used,
	struct buffer *body);

/* True between two requests. */
bool http_reader_idle(const struct http_reader *reader);

/* The name and version of the parser. */
const char *http_grammar_name(void);

/* All statuses that the server sends. The last one is also for any other number. */
#define HTTP_STATUSES 15
struct http_reason {
	int status;
	const char *text;
};
extern const struct http_reason http_reasons[HTTP_STATUSES];
unsigned http_reason_index(int status);

struct http_response {
	int status;
	const char *type;   /* of the content */
	const char *fields; /* more fields, each after its line end; NULL: no cache may store it */
	const char *body;
	size_t length;
	bool chunked;    /* the body follows, by http_write_chunk() */
	uint64_t more;   /* the number of bytes of the body that will follow this part */
	bool head_only;  /* the response to a HEAD request */
	bool keep_alive; /* if false, the connection is closed after it */
	bool old;        /* the response to an HTTP/1.0 request */
	bool endless;    /* the body follows, and ends with the connection */
};

void http_write(struct buffer *output, const struct http_response *response);

/* Writes a part of the body of a chunked response. The part of length 0 ends it. */
void http_write_chunk(struct buffer *output, bool old, const char *bytes, size_t length);

#endif
