/* SPDX-License-Identifier: MIT */
/*
 * The public structures grow by using up their reserved members. A caller that was built against a
 * later version may set members that this version does not have; open refuses them.
 */
#ifndef RINGWAKE_RESERVED_H
#define RINGWAKE_RESERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool ringwake_is_zero(const uint64_t *reserved, size_t count)
{
	uint64_t all = 0; /* no branch for each member, because each submit checks them */
#pragma GCC unroll 16
	for (size_t i = 0; i < count; i++)
		all |= reserved[i];
	return all == 0;
}
#define RESERVED_IS_ZERO(params)                                                                   \
	ringwake_is_zero((params)->reserved, sizeof(params)->reserved / sizeof *(params)->reserved)

/* Fills the caller's structure of figures, whose version may have fewer members, or more. */
static inline void ringwake_copy_out(void *out, size_t out_size, const void *figures, size_t size)
{
	memset(out, 0, out_size);
	memcpy(out, figures, size < out_size ? size : out_size);
}

#endif
