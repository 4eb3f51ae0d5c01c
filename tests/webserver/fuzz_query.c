/* SPDX-License-Identifier: MIT */
/* A libFuzzer target for query.c, which must agree with a parser that is simple and slow. */
#include "query.h"

#include <stdlib.h>
#include <string.h>

#define MOST UINT64_C(16777216)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The value is at most 16777216 if, without zeros before it, it has 7 digits or is not after it. */
static int expected_of(const char *value)
{
	size_t digits = strspn(value, "0123456789");
	if (digits == 0 || value[digits] != '\0')
		return 400;
	while (*value == '0')
		value++;
	digits = strlen(value);
	return digits < 8 || (digits == 8 && strcmp(value, "16777216") <= 0) ? 200 : 413;
}

static int expected(char *query, uint64_t *number)
{
	for (char *next, *part = query; part; part = next) {
		next = strchr(part, '&');
		if (next)
			*next++ = '\0';
		if (strncmp(part, "bytes=", 6) == 0) {
			*number = strtoull(part + 6, NULL, 10);
			return expected_of(part + 6);
		}
	}
	return 400;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *query = malloc(size + 1);
	memcpy(query, data, size);
	query[size] = '\0';
	uint64_t number = 0, want_number = 0;
	int status = query_number(query, "bytes=", MOST, &number);
	int want = expected(query, &want_number);
	if (status != want || (status == 200 && number != want_number))
		abort();
	free(query);
	return 0;
}
