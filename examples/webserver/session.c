/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <string.h>

/* Responses to pipelined requests are sent together, up to about this many bytes. */
#define OUTPUT_ENOUGH 65536

void session_init(struct session *session, struct site *site, struct deadlines *limits,
	void (*answered)(struct exchange *exchange))
{
	memset(session, 0, offsetof(struct session, input));
	session->deadline.queue = limits;
	http_reader_init(&session->reader);
	session->exchange.site = site;
	session->exchange.request = &session->reader.request;
	session->exchange.answered = answered;
}

char *session_room(struct session *session, size_t *size)
{
	size_t unread = session->end - session->begin;
	if (session->begin > 0) {
		memmove(session->input, session->input + session->begin, unread);
		session->begin = 0;
		session->end = unread;
	}
	*size = sizeof(session->input) - unread;
	return session->input + unread;
}

void session_received(struct session *session, size_t size)
{
	session->end += size;
}

enum session_next session_serve(struct session *session)
{
	struct exchange *exchange = &session->exchange;
	while (!exchange->pending) {
		if (exchange->last) {
			session->begin = session->end;
			return SESSION_CLOSE;
		}
		if (exchange->site->output.length >= OUTPUT_ENOUGH)
			return SESSION_FLUSH;
		size_t used;
		int status = http_read(&session->reader, session->input + session->begin,
			session->end - session->begin, &used);
		session->begin += used;
		if (status == 0)
			return session->ended ? SESSION_CLOSE : SESSION_READ;
		session->answered++;
		if (status == 200)
			site_answer(exchange);
		else
			site_refuse(exchange, status);
	}
	return SESSION_WAIT;
}

void session_refuse(struct session *session, int status)
{
	session->answered++;
	site_refuse(&session->exchange, status);
}

bool session_idle(const struct session *session)
{
	return http_reader_idle(&session->reader);
}

void session_expect(struct session *session)
{
	uint64_t step = 2 * session->answered + !session_idle(session);
	if (session->deadline.at_ms > 0 && session->step == step)
		return;
	session->step = step;
	deadline_set(&session->deadline);
}
