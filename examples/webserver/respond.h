/* SPDX-License-Identifier: MIT */
/* Writes responses to the site's output, counts and logs them. */
#ifndef WEBSERVER_RESPOND_H
#define WEBSERVER_RESPOND_H

#include "handlers.h"

extern const char type_text[];

/* Sets the members of the response that depend on the request, and writes it. */
void respond_write(struct exchange *exchange, struct http_response *response);

void respond_with(struct exchange *exchange, int status, const char *type, const char *fields,
	const char *body, size_t length);
void respond(
	struct exchange *exchange, int status, const char *type, const char *body, size_t length);

/* A reason is a text for people, or NULL. */
void respond_refusal(struct exchange *exchange, int status, const char *why);

/* Begins the body of a response, which respond_page() sends. */
struct buffer *respond_new_page(struct exchange *exchange);
void respond_page(struct exchange *exchange, const char *type);

#endif
