/* SPDX-License-Identifier: MIT */
/*
 * Counts times in the buckets of ringwake_histogram. One thread adds. Any thread reads, without a
 * lock. All zeros is an empty histogram.
 */
#ifndef RINGWAKE_HISTOGRAM_H
#define RINGWAKE_HISTOGRAM_H

#include <ringwake/pool.h>
#include <stdatomic.h>

struct histogram {
	_Atomic uint64_t sum, max;
	_Atomic uint64_t buckets[RINGWAKE_HISTOGRAM_BUCKETS];
};

/* The thread that adds. */
void ringwake_histogram_add(struct histogram *histogram, uint64_t time_ns);

/* Any thread. Adds what the histogram has counted to out. */
void ringwake_histogram_merge(struct ringwake_histogram *out, const struct histogram *histogram);

#endif
