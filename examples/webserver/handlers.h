/* SPDX-License-Identifier: MIT */
/* The response to each path. This file uses no socket and no loop. */
#ifndef WEBSERVER_HANDLERS_H
#define WEBSERVER_HANDLERS_H

#include "access_log.h"
#include "buffer.h"
#include "counter.h"
#include "digest.h"
#include "events.h"
#include "file.h"
#include "gzip.h"
#include "histogram.h"
#include "http.h"
#include "load.h"
#include "work.h"

#include <stdatomic.h>

#define SITE_PATHS 11 /* nine, files and all others */

/* The state behind the responses of one loop. The server counts its connections here. */
struct site {
	struct site *first, *next; /* the sites of all loops, whose counters every loop reads */
	struct work_link *link;
	char loop[32];          /* name and version of the loop's library */
	const char *peer;       /* the origin of the server that the page shows as well, or "" */
	bool stopping;          /* the first signal has arrived */
	bool loading;           /* this loop runs the load */
	_Atomic bool load_runs; /* on any loop; the first site's counts */
	int root;               /* the directory that has the files, or -1 */
	struct counter connections_open;
	struct counter connections_accepted;
	struct counter connections_refused;
	struct counter connections_timed_out;
	struct counter work_submitted;
	struct counter work_completed;
	struct counter requests[SITE_PATHS][HTTP_STATUSES];
	struct histogram wakes; /* ns from the end of work until the loop knows */
	struct events events;
	struct access_log *log; /* or NULL */
	struct buffer output;   /* responses to be sent */
	struct buffer page;     /* scratch */
};

/* One request and its response, which goes to the site's output. */
struct exchange {
	struct site *site;
	const struct http_request *request;
	union address client; /* for the log */
	bool stop;            /* the server stops, and no other request has arrived */
	bool last;            /* the connection is closed after this response */
	bool endless;         /* the response is a head, and then events */
	bool begun;           /* the response has begun, and its other parts will follow */
	unsigned path;
	void (*compute)(struct exchange *exchange);
	void (*finish)(struct exchange *exchange);
	uint64_t computed_at; /* ns; see clock.h */
	uint64_t digest_bytes;
	bool digest_good;
	char digest[DIGEST_HEX_SIZE];
	struct file *file;
	struct gzip *gzip;
	struct buffer *body; /* a part of the request's body goes here */
	bool body_ended;
};

/*
 * Answers exchange->request. Or sets compute and finish: then call compute on a worker, set it to
 * NULL, and call site_finish(), or site_fail() if there is no worker. Or sets body and finish: then
 * append BODY_PIECE bytes of the request's body to *body, or its rest, set body to NULL, and call
 * site_finish(). These functions may also set them, for the next part of the response. Call
 * site_finish() only when the output of the part before it is sent: so a slow client holds up the
 * work and costs little memory.
 */
#define BODY_PIECE GZIP_PIECE
void site_answer(struct exchange *exchange);
void site_finish(struct exchange *exchange);
void site_fail(struct exchange *exchange);

/* Answers a request that could not be read; the status says why. */
void site_refuse(struct exchange *exchange, int status);

/* Frees what belongs to the response. Call it if the connection ends before the response. */
void site_abandon(struct exchange *exchange);

void site_free(struct site *site);

/* The answers that have files of their own. */
void handler_file(struct exchange *exchange);
void handler_gzip(struct exchange *exchange);

#endif
