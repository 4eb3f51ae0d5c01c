/* SPDX-License-Identifier: MIT */
#include "histogram.h"

/* Values below 8 have a bucket each. */
static unsigned bucket_of(uint64_t value)
{
	if (value < 8)
		return (unsigned)value;
	unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
	unsigned bucket = (exponent - 2) * 8 + (unsigned)(value >> (exponent - 3) & 7);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static uint64_t largest_in(unsigned bucket)
{
	if (bucket < 8)
		return bucket;
	return (UINT64_C(8) + bucket % 8 + 1) * (UINT64_C(1) << (bucket / 8 - 1)) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	counter_up(&histogram->buckets[bucket_of(value)]);
}

uint64_t histogram_quantile(const uint64_t numbers[HISTOGRAM_BUCKETS], unsigned per_mille)
{
	uint64_t total = 0, seen = 0;
	unsigned bucket = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += numbers[i];
	if (total == 0)
		return 0;
	for (; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
		seen += numbers[bucket];
		if (seen * 1000 >= total * per_mille)
			break;
	}
	return largest_in(bucket);
}
