/* SPDX-License-Identifier: MIT */
#include "range.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* A number that is too large becomes the largest one. Returns false if there is no digit. */
static bool read_number(const char **text, uint64_t *number)
{
	const char *digit = *text;
	uint64_t value = 0;
	for (; is_digit(*digit); digit++) {
		unsigned next = (unsigned)(*digit - '0');
		value = value > (UINT64_MAX - next) / 10 ? UINT64_MAX : value * 10 + next;
	}
	bool found = digit > *text;
	*text = digit;
	*number = value;
	return found;
}

enum range range_parse(const char *value, uint64_t size, uint64_t *first, uint64_t *end)
{
	uint64_t from, to;
	if (strncasecmp(value, "bytes=", 6) != 0)
		return RANGE_NONE;
	value += 6;
	bool has_from = read_number(&value, &from);
	if (*value++ != '-')
		return RANGE_NONE;
	bool has_to = read_number(&value, &to);
	if (*value != '\0' || (!has_from && !has_to) || (has_from && has_to && to < from))
		return RANGE_NONE;
	if (!has_from) { /* the last bytes */
		from = to < size ? size - to : 0;
		has_to = false;
	}
	if (from >= size)
		return RANGE_OUTSIDE;
	*first = from;
	*end = has_to && to < size ? to + 1 : size;
	return RANGE_PART;
}

/* A tag begins and ends with a quote and has no other, so a part of the list that is equal is it.
 */
bool range_has_tag(const char *list, const char *tag)
{
	return strcmp(list, "*") == 0 || strstr(list, tag);
}
