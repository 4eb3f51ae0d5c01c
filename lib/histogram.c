/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram. The first eight buckets are for 1 to 8 ns. From there on, each power of
 * two has eight buckets of equal width, so a bucket is at most an eighth as wide as its bound. The
 * bound belongs to the bucket, so every power of two is a bound. The last bucket has no bound.
 *
 * Memory order. Each word has one writer, and nothing else is published through it, so all accesses
 * are relaxed. A reader may see a time in the buckets and not yet in the sum.
 */
#include "histogram.h"

#define EIGHT_LOG2 3
#define EIGHT      (1u << EIGHT_LOG2)

static unsigned bucket_of(uint64_t time_ns)
{
	uint64_t below = time_ns > 0 ? time_ns - 1 : 0;
	if (below < EIGHT)
		return (unsigned)below;
	unsigned exponent = 63 - (unsigned)__builtin_clzll(below);
	unsigned eighth = (unsigned)(below >> (exponent - EIGHT_LOG2)) % EIGHT;
	unsigned bucket = (exponent - EIGHT_LOG2 + 1) * EIGHT + eighth;
	return bucket < RINGWAKE_HISTOGRAM_BUCKETS ? bucket : RINGWAKE_HISTOGRAM_BUCKETS - 1;
}

uint64_t ringwake_histogram_bound(unsigned bucket)
{
	if (bucket >= RINGWAKE_HISTOGRAM_BUCKETS - 1)
		return UINT64_MAX;
	if (bucket < EIGHT)
		return bucket + 1;
	return (uint64_t)(EIGHT + bucket % EIGHT + 1) << (bucket / EIGHT - 1);
}

static uint64_t get(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* Not a read-modify-write, because no other thread writes. */
static void add(_Atomic uint64_t *word, uint64_t number)
{
	atomic_store_explicit(word, get(word) + number, memory_order_relaxed);
}

void ringwake_histogram_add(struct histogram *histogram, uint64_t time_ns)
{
	add(&histogram->buckets[bucket_of(time_ns)], 1);
	add(&histogram->sum, time_ns);
	if (time_ns > get(&histogram->max))
		atomic_store_explicit(&histogram->max, time_ns, memory_order_relaxed);
}

void ringwake_histogram_merge(struct ringwake_histogram *out, const struct histogram *histogram)
{
	uint64_t max = get(&histogram->max);
	out->sum += get(&histogram->sum);
	if (max > out->max)
		out->max = max;
	for (unsigned i = 0; i < RINGWAKE_HISTOGRAM_BUCKETS; i++) {
		uint64_t number = get(&histogram->buckets[i]);
		out->buckets[i] += number;
		out->count += number;
	}
}

uint64_t ringwake_histogram_quantile(
	const struct ringwake_histogram *histogram, unsigned part, unsigned whole)
{
	if (part >= whole)
		return histogram->max;
	/* count * part / whole, rounded up; this cannot overflow, because part < whole. */
	uint64_t wanted = histogram->count / whole * part +
		(histogram->count % whole * part + whole - 1) / whole;
	uint64_t seen = 0;
	for (unsigned i = 0; i < RINGWAKE_HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		uint64_t bound = ringwake_histogram_bound(i);
		if (seen > 0 && seen >= wanted)
			return bound < histogram->max ? bound : histogram->max;
	}
	return histogram->max;
}
