/* SPDX-License-Identifier: MIT */
#include "query.h"

#include <stdbool.h>
#include <string.h>

int query_number(const char *query, const char *name, uint64_t most, uint64_t *number)
{
	size_t length = strlen(name);
	while (strncmp(query, name, length) != 0) {
		query += strcspn(query, "&");
		if (*query++ == '\0')
			return 400;
	}
	const char *digit = query + length;
	if (*digit < '0' || *digit > '9')
		return 400;
	uint64_t value = 0;
	bool too_large = false;
	for (; *digit >= '0' && *digit <= '9'; digit++) {
		unsigned next = (unsigned)(*digit - '0');
		too_large |= next > most || value > (most - next) / 10;
		value = value * 10 + next;
	}
	if (*digit != '\0' && *digit != '&')
		return 400;
	*number = value;
	return too_large ? 413 : 200;
}
