/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram: each power of two has eight buckets of equal width, so a quantile is at
 * most an eighth too large. One thread adds; any thread reads.
 */
#ifndef WEBSERVER_HISTOGRAM_H
#define WEBSERVER_HISTOGRAM_H

#include "counter.h"

#define HISTOGRAM_BUCKETS 320 /* the last one is for 2^41 and more */

/* All zeros is an empty histogram. */
struct histogram {
	struct counter buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/*
 * The largest value of the bucket below which per_mille thousandths of the numbers are, or 0 if all
 * numbers are 0. numbers is the sum or the difference of histograms.
 */
uint64_t histogram_quantile(const uint64_t numbers[HISTOGRAM_BUCKETS], unsigned per_mille);

#endif
