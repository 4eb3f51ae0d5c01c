/* SPDX-License-Identifier: MIT */
/* Prints medians and ratios of samples, as a table and as JSON with one record a line. */
#ifndef REPORT_H
#define REPORT_H

#include <stdio.h>

#include "question.h"

struct samples {
	const struct question *question;
	unsigned rounds;
	double *values;
};

/* The values of all metrics for one variant at one point in one round. */
double *sample(const struct samples *samples, unsigned point, unsigned variant, unsigned round);

unsigned find_variant(const struct question *question, const char *name);

struct samples *samples_new(const struct question *question, unsigned rounds);
void samples_free(struct samples *samples);

void print_table(FILE *file, const struct samples *samples);

/* Prints elements of an array. All calls print elements of the same one. */
void print_json(FILE *file, const struct samples *samples);

#endif
