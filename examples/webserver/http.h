/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 without a socket: bytes in, requests out, and the text of a response. The grammar is
 * that of the packaged parser, llhttp or its elder http-parser; the limits are set here.
 */
#ifndef WEBSERVER_HTTP_H
#define WEBSERVER_HTTP_H

#include "buffer.h"

#if __has_include(<llhttp.h>)
#include <llhttp.h>
typedef llhttp_t http_grammar;
#else
#include <http_parser.h>
typedef http_parser http_grammar;
#endif

#define HTTP_TARGET_MAX 8000  /* longer: 414 */
#define HTTP_HEAD_MAX   16384 /* request line and header fields; longer: 431 */

enum http_verb { HTTP_VERB_GET, HTTP_VERB_HEAD, HTTP_VERB_OTHER };

struct http_request {
	enum http_verb verb;
	bool keep_alive;
	bool old;          /* HTTP/1.0, where keeping the connection has to be said */
	bool has_body;     /* the body itself is not read */
	const char *path;  /* "/" and so on, without the query */
	const char *query; /* "" if there is none */
};

/* Reads the requests of one connection, one after the other. Only request is public. */
struct http_reader {
	struct http_request request;
	http_grammar grammar;
	size_t head_length; /* bytes seen of the request that is being read */
	size_t target_length;
	int refusal; /* the status to refuse the request with, once it is known */
	bool complete;
	bool in_value;
	unsigned name_length; /* of the header field that is being read */
	unsigned hosts;       /* how many Host fields the request has */
	char name[4];
	char target[HTTP_TARGET_MAX + 1];
};

void http_reader_init(struct http_reader *reader);

/*
 * Reads up to the end of one request and says in used how many bytes it took.
 * 0     all bytes are used and the request is not complete
 * 200   reader->request is the next request, valid until the next call
 * else  the request has to be refused with that status, and nothing more can be read
 */
int http_read(struct http_reader *reader, const char *bytes, size_t length, size_t *used);

/* True between two requests. */
bool http_reader_idle(const struct http_reader *reader);

/* Which library reads the requests, and its version. */
const char *http_grammar_name(void);

/* The words that go with a status. */
const char *http_reason(int status);

struct http_response {
	int status;
	const char *type; /* of the content */
	const char *body;
	size_t length;
	bool head_only;  /* the response to a HEAD request */
	bool keep_alive; /* else the connection is closed after it */
	bool old;        /* to an HTTP/1.0 request */
};

/* Loop thread, because of the cached date. */
void http_write(struct buffer *output, const struct http_response *response);

#endif
