/* SPDX-License-Identifier: MIT */
/*
 * One connection without its socket: what the client sent goes in, responses come out into the
 * site's output, in the order of the requests. While a digest is under way the requests behind it
 * wait in the input.
 */
#ifndef WEBSERVER_SESSION_H
#define WEBSERVER_SESSION_H

#include "deadline.h"
#include "handlers.h"

#define SESSION_INPUT_SIZE 8192

struct session {
	struct deadline deadline; /* first: the session is in the server's queue by it */
	struct exchange exchange;
	struct http_reader reader;
	bool ended; /* the client sends no more; for the server to set */
	uint64_t answered;
	uint64_t step;     /* that the deadline is for */
	size_t begin, end; /* what was received and not yet read */
	char input[SESSION_INPUT_SIZE];
};

/* answered(&session->exchange) tells that a digest has been answered; serve the session again. */
void session_init(struct session *session, struct site *site, struct deadlines *limits,
	void (*answered)(struct exchange *exchange));

/* Where to put what is received next; no room is left if *size is 0. */
char *session_room(struct session *session, size_t *size);
void session_received(struct session *session, size_t size);

/* Answers what has been received. What the session needs next, once the output is written out: */
enum session_next {
	SESSION_READ,  /* more to read */
	SESSION_FLUSH, /* nothing: serve it again */
	SESSION_WAIT,  /* a digest */
	SESSION_CLOSE, /* to be closed */
};
enum session_next session_serve(struct session *session);

/* Answers a request that has not come to its end. The session is to be served and closed. */
void session_refuse(struct session *session, int status);

/* True between two requests. */
bool session_idle(const struct session *session);

/*
 * It is the client's turn. Time limits are for a step of its as a whole, a request or the pause
 * before it, whatever trickles in meanwhile.
 */
void session_expect(struct session *session);

#endif
