/* SPDX-License-Identifier: MIT */
/*
 * One connection without its socket. It reads requests from the client's bytes and appends the
 * responses, in the order of the requests, to the site's output. While a digest is pending, later
 * requests wait in the input.
 */
#ifndef WEBSERVER_SESSION_H
#define WEBSERVER_SESSION_H

#include "deadline.h"
#include "handlers.h"

#define SESSION_INPUT_SIZE 8192

struct session {
	struct deadline deadline; /* must be first: the server casts it to the session */
	struct exchange exchange;
	struct http_reader reader;
	bool ended; /* the client sends no more; the server sets it */
	uint64_t answered;
	uint64_t step;     /* the step that the deadline limits */
	size_t begin, end; /* received bytes that are not read yet */
	char input[SESSION_INPUT_SIZE];
};

/* answered(&session->exchange) is called when a digest is answered; then serve the session again.
 */
void session_init(struct session *session, struct site *site, struct deadlines *limits,
	void (*answered)(struct exchange *exchange));

/* Returns where to put the next bytes received. No room is left if *size is 0. */
char *session_room(struct session *session, size_t *size);
void session_received(struct session *session, size_t size);

/* Answers the received requests. Returns what the session needs once the output is sent: */
enum session_next {
	SESSION_READ,  /* more input */
	SESSION_FLUSH, /* another call of session_serve() */
	SESSION_WAIT,  /* the completion of a digest */
	SESSION_CLOSE, /* its connection closed */
};
enum session_next session_serve(struct session *session);

/* Refuses a request that is not complete. The caller must serve and then close the session. */
void session_refuse(struct session *session, int status);

/* True between two requests. */
bool session_idle(const struct session *session);

/*
 * Call it when the server waits for the client. A time limit applies to a whole step of the client,
 * a request or the pause before it, even if single bytes arrive meanwhile.
 */
void session_expect(struct session *session);

#endif
