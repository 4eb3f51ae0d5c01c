/* SPDX-License-Identifier: MIT */
/* The response to each path. This file uses no socket and no loop. */
#ifndef WEBSERVER_HANDLERS_H
#define WEBSERVER_HANDLERS_H

#include "buffer.h"
#include "digest.h"
#include "http.h"
#include "work.h"

#define SITE_PATHS 5 /* four and all others */

/* The state behind the responses. The server counts its connections here. */
struct site {
	struct work_pool *pool;
	char loop[32]; /* name and version of the loop's library */
	bool stopping; /* the first signal has arrived */
	uint64_t connections_open;
	uint64_t connections_accepted;
	uint64_t connections_refused;
	uint64_t connections_timed_out;
	uint64_t digests_submitted;
	uint64_t digests_completed;
	uint64_t requests[SITE_PATHS][HTTP_STATUSES];
	struct buffer output; /* responses to be sent */
	struct buffer page;   /* scratch */
};

/* One request and its response, which goes to the site's output. */
struct exchange {
	struct site *site;
	const struct http_request *request;
	bool stop; /* the server stops, and no other request has arrived */
	bool last; /* the connection is closed after this response */
	unsigned path;
	void (*compute)(struct exchange *exchange);
	void (*finish)(struct exchange *exchange);
	uint64_t digest_bytes;
	bool digest_good;
	char digest[DIGEST_HEX_SIZE];
};

/*
 * Answers exchange->request. Or sets compute and finish: then call compute on a worker, and
 * afterwards site_finish(), or site_fail() if there is no worker.
 */
void site_answer(struct exchange *exchange);
void site_finish(struct exchange *exchange);
void site_fail(struct exchange *exchange);

/* Answers a request that could not be read; the status says why. */
void site_refuse(struct exchange *exchange, int status);

void site_free(struct site *site);

#endif
