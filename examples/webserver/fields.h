/* SPDX-License-Identifier: MIT */
/* Collects the values of the header fields that the server reads, which may arrive in pieces. */
#ifndef WEBSERVER_FIELDS_H
#define WEBSERVER_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

enum field {
	FIELD_EXPECT,
	FIELD_HOST,
	FIELD_IF_NONE_MATCH,
	FIELD_IF_RANGE,
	FIELD_ORIGIN,
	FIELD_RANGE,
	FIELD_TRANSFER_ENCODING,
	FIELDS
};

#define FIELD_MAX 261 /* a domain name, a colon and a port */

/* All zeros is a header without fields. */
struct fields {
	bool in_value;
	enum field current; /* FIELDS: one that the server does not read */
	size_t name_length;
	char name[20];
	struct {
		unsigned count;
		bool too_long;
		size_t length;
		char bytes[FIELD_MAX + 1];
	} value[FIELDS];
};

void fields_name(struct fields *fields, const char *bytes, size_t length);
void fields_value(struct fields *fields, const char *bytes, size_t length);

/*
 * Returns the value, or "" if there is none, or "?", which is not a valid value of these fields, if
 * there is more than one or it is too long.
 */
const char *fields_get(struct fields *fields, enum field field);

#endif
