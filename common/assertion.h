/* SPDX-License-Identifier: MIT */
/*
 * RINGWAKE_ASSERT(condition, rule): in a debug build, if the condition is false, prints the rule
 * and aborts the process. In any other build it expands to nothing, and the condition is not
 * evaluated. An assertion may fail in a signal handler.
 */
#ifndef RINGWAKE_ASSERTION_H
#define RINGWAKE_ASSERTION_H

#ifdef RINGWAKE_DEBUG
#include <stdlib.h>
#include <unistd.h>

static inline void ringwake_assertion_failed(const char *text, size_t size)
{
	if (write(STDERR_FILENO, text, size) < 0)
		abort();
	abort();
}

#define RINGWAKE_STRING(x)  #x
#define RINGWAKE_NUMBER(x)  RINGWAKE_STRING(x)
#define RINGWAKE_PLACE      __FILE__ ":" RINGWAKE_NUMBER(__LINE__)
#define RINGWAKE_TEXT(rule) "ringwake: " rule " (" RINGWAKE_PLACE ")\n"
#define RINGWAKE_ASSERT(condition, rule)                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ringwake_assertion_failed(                                                 \
				RINGWAKE_TEXT(rule), sizeof(RINGWAKE_TEXT(rule)) - 1);             \
	} while (0)
#else
#define RINGWAKE_ASSERT(condition, rule) ((void)0)
#endif

#endif
