/* SPDX-License-Identifier: MIT */
#include "fields.h"

#include <string.h>
#include <strings.h>

static const char *const names[FIELDS] = {
	[FIELD_EXPECT] = "expect",
	[FIELD_HOST] = "host",
	[FIELD_IF_NONE_MATCH] = "if-none-match",
	[FIELD_IF_RANGE] = "if-range",
	[FIELD_ORIGIN] = "origin",
	[FIELD_RANGE] = "range",
	[FIELD_TRANSFER_ENCODING] = "transfer-encoding",
};

void fields_name(struct fields *fields, const char *bytes, size_t length)
{
	if (fields->in_value)
		fields->name_length = 0;
	fields->in_value = false;
	for (size_t i = 0; i < length; i++, fields->name_length++) {
		if (fields->name_length < sizeof(fields->name))
			fields->name[fields->name_length] = bytes[i];
	}
}

/* Only what follows a name shows that it has ended. */
static void end_of_name(struct fields *fields)
{
	enum field field = 0;
	while (field < FIELDS &&
		(strlen(names[field]) != fields->name_length ||
			strncasecmp(names[field], fields->name, fields->name_length)))
		field++;
	fields->current = field;
	if (field < FIELDS)
		fields->value[field].count++;
}

void fields_value(struct fields *fields, const char *bytes, size_t length)
{
	if (!fields->in_value)
		end_of_name(fields);
	fields->in_value = true;
	enum field field = fields->current;
	if (field == FIELDS || fields->value[field].too_long)
		return;
	size_t *used = &fields->value[field].length;
	fields->value[field].too_long = length > FIELD_MAX - *used;
	if (fields->value[field].too_long)
		return;
	memcpy(fields->value[field].bytes + *used, bytes, length);
	*used += length;
}

const char *fields_get(struct fields *fields, enum field field)
{
	char *bytes = fields->value[field].bytes;
	size_t length = fields->value[field].length;
	if (fields->value[field].count > 1 || fields->value[field].too_long ||
		memchr(bytes, '\0', length))
		return "?";
	while (length > 0 && (bytes[length - 1] == ' ' || bytes[length - 1] == '\t'))
		length--;
	bytes[length] = '\0';
	return bytes;
}
