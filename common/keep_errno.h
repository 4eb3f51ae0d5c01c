/* SPDX-License-Identifier: MIT */
/* Memory for functions that preserve errno and report a failure by their result. */
#ifndef RINGWAKE_KEEP_ERRNO_H
#define RINGWAKE_KEEP_ERRNO_H

#include <errno.h>
#include <stdlib.h>

/* As malloc(), but errno is preserved. */
static inline void *malloc_keeping_errno(size_t size)
{
	int saved = errno;
	void *memory = malloc(size);
	errno = saved;
	return memory;
}

/* As calloc(), but errno is preserved. */
static inline void *calloc_keeping_errno(size_t count, size_t size)
{
	int saved = errno;
	void *memory = calloc(count, size);
	errno = saved;
	return memory;
}

#endif
