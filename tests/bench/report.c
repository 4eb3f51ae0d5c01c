/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

/* The values of one metric, one a round, and their summary. */
struct series {
	unsigned count;
	double *values;
	double median, low, high; /* low and high: the quartiles */
};

struct samples *samples_new(const struct question *question, unsigned rounds)
{
	struct samples *samples = allocate(1, sizeof *samples);
	size_t count = (size_t)question->point_count * question->variant_count * rounds;
	samples->question = question;
	samples->rounds = rounds;
	samples->values = allocate(count * MAX_METRICS, sizeof(double));
	return samples;
}

void samples_free(struct samples *samples)
{
	free(samples->values);
	free(samples);
}

double *sample(const struct samples *samples, unsigned point, unsigned variant, unsigned round)
{
	size_t index = (size_t)point * samples->question->variant_count + variant;
	return &samples->values[(index * samples->rounds + round) * MAX_METRICS];
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

static double quantile(const double *sorted, unsigned count, double part)
{
	double place = part * (count - 1);
	unsigned below = (unsigned)place;
	unsigned above = below + 1 < count ? below + 1 : below;
	return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/* If a round has no figure, there is no median. */
static void summarise(struct series *series)
{
	double sorted[series->count];
	series->median = series->low = series->high = NAN;
	for (unsigned i = 0; i < series->count; i++) {
		if (isnan(series->values[i]))
			return;
	}
	memcpy(sorted, series->values, sizeof sorted);
	qsort(sorted, series->count, sizeof sorted[0], compare);
	series->median = quantile(sorted, series->count, 0.5);
	series->low = quantile(sorted, series->count, 0.25);
	series->high = quantile(sorted, series->count, 0.75);
}

/* NULL: nothing that is missing here. */
static const char *needs(const struct variant *variant)
{
	if (variant->what == NULL || (variant->possible && !variant->possible()))
		return variant->needs;
	if (variant->path && strcmp(variant->path, "msg_ring") == 0 && !kernel_has_sync_msg_ring())
		return "Linux 6.13";
	return NULL;
}

bool is_possible(const struct variant *variant)
{
	return needs(variant) == NULL;
}

unsigned find_variant(const struct question *question, const char *name)
{
	for (unsigned i = 0; i < question->variant_count; i++) {
		if (strcmp(question->variants[i].name, name) == 0)
			return i;
	}
	fprintf(stderr, "%s: no variant %s\n", question->name, name);
	exit(1);
}

static void collect(const struct samples *samples, unsigned point, unsigned variant,
	unsigned metric, struct series *series)
{
	for (unsigned i = 0; i < samples->rounds; i++)
		series->values[i] = sample(samples, point, variant, i)[metric];
	series->count = samples->rounds;
	summarise(series);
}

/* A reach at one point and on one path: what is divided by what. BELOW has no divisor. */
struct ratio {
	const struct reach *reach;
	unsigned subject, dividend, divisor;
	unsigned dividend_point, divisor_point;
};

/* The figure in each round: a value, or a ratio. */
static void collect_ratio(
	const struct samples *samples, const struct ratio *ratio, struct series *series)
{
	unsigned metric = ratio->reach->metric;
	for (unsigned i = 0; i < samples->rounds; i++) {
		series->values[i] =
			sample(samples, ratio->dividend_point, ratio->dividend, i)[metric];
		if (ratio->reach->comparison != BELOW)
			series->values[i] /=
				sample(samples, ratio->divisor_point, ratio->divisor, i)[metric];
	}
	series->count = samples->rounds;
	summarise(series);
}

static bool holds(const struct reach *reach, double value)
{
	return reach->comparison == AT_LEAST ? value >= reach->limit : value <= reach->limit;
}

static const char *number(double value, char *text, size_t size)
{
	int digits = value == 0 || fabs(value) >= 1000 ? 0 : fabs(value) >= 100 ? 1 : 2;
	if (value != 0 && fabs(value) < 0.1)
		digits = 5;
	snprintf(text, size, "%.*f", digits, value);
	return text;
}

static void print_metric(FILE *file, const struct samples *samples, unsigned metric)
{
	const struct question *question = samples->question;
	double values[samples->rounds];
	struct series series = {.values = values};
	char text[32];
	fprintf(file, "\n  %-62s", question->metrics[metric].name);
	for (unsigned point = 0; question->point && point < question->point_count; point++)
		fprintf(file, " %9ld", question->points[point]);
	fprintf(file, "  %s\n", question->point ? question->point : "");
	for (unsigned variant = 0; variant < question->variant_count; variant++) {
		fprintf(file, "    %-60s", question->variants[variant].name);
		if (!is_possible(&question->variants[variant])) {
			fprintf(file, " left out: needs %s\n", needs(&question->variants[variant]));
			continue;
		}
		for (unsigned point = 0; point < question->point_count; point++) {
			collect(samples, point, variant, metric, &series);
			if (isnan(series.median))
				fprintf(file, " %9s", "-");
			else
				fprintf(file, " %9s", number(series.median, text, sizeof text));
		}
		fprintf(file, "  %s\n", question->metrics[metric].unit);
	}
}

/* "NAME VALUE at POINT" */
static void print_side(FILE *file, const struct samples *samples, unsigned metric, unsigned variant,
	unsigned point)
{
	const struct question *question = samples->question;
	double values[samples->rounds];
	struct series series = {.values = values};
	char text[32];
	collect(samples, point, variant, metric, &series);
	fprintf(file, "%s %s", question->variants[variant].name,
		number(series.median, text, sizeof text));
	if (question->point)
		fprintf(file, " at %ld %s", question->points[point], question->point);
}

static void print_ratio(FILE *file, const struct samples *samples, const struct ratio *ratio)
{
	const struct reach *reach = ratio->reach;
	const struct metric *metric = &samples->question->metrics[reach->metric];
	double values[samples->rounds];
	struct series series = {.values = values};
	collect_ratio(samples, ratio, &series);
	if (isnan(series.median))
		return;
	fprintf(file, "  %-7s %s%s%s: ",
		reach->comparison == SHOWN            ? ""
			: holds(reach, series.median) ? "reached"
						      : "SHORT",
		metric->name, *metric->unit ? ", " : "", metric->unit);
	print_side(file, samples, reach->metric, ratio->dividend, ratio->dividend_point);
	if (reach->comparison != BELOW) {
		fprintf(file, " / ");
		print_side(file, samples, reach->metric, ratio->divisor, ratio->divisor_point);
		fprintf(file, " = %.2f (%.2f to %.2f)", series.median, series.low, series.high);
	}
	if (reach->comparison != SHOWN)
		fprintf(file, "; at %s %g", reach->comparison == AT_LEAST ? "least" : "most",
			reach->limit);
	fprintf(file, "\n");
}

typedef void print_function(FILE *file, const struct samples *samples, const struct ratio *ratio);

static void each_point(FILE *file, const struct samples *samples, const struct reach *reach,
	unsigned subject, unsigned peer, print_function *print)
{
	const struct question *question = samples->question;
	for (unsigned point = 0; point < question->point_count; point++) {
		unsigned peer_point = point;
		if (reach->point != 0 && reach->point != question->points[point])
			continue;
		for (unsigned i = 0; reach->peer_point && i < question->point_count; i++) {
			if (question->points[i] == reach->peer_point)
				peer_point = i;
		}
		struct ratio ratio = {reach, subject, subject, peer, point, peer_point};
		if ((reach->comparison == AT_LEAST || reach->comparison == SHOWN) &&
			!question->metrics[reach->metric].more_is_better)
			ratio = (struct ratio){reach, subject, peer, subject, peer_point, point};
		print(file, samples, &ratio);
	}
}

/* Calls print for each reach, on each path and at each point at which it was measured. */
static void each_ratio(FILE *file, const struct samples *samples, print_function *print)
{
	const struct question *question = samples->question;
	const struct variant *variants = question->variants;
	for (unsigned i = 0; i < question->reach_count; i++) {
		const struct reach *reach = &question->reaches[i];
		unsigned subject = find_variant(question, reach->subject);
		unsigned peer = reach->peer ? find_variant(question, reach->peer) : subject;
		for (unsigned path = 0; path < (variants[subject].path ? 2 : 1); path++) {
			unsigned own = subject + path,
				 other = variants[peer].path ? peer + path : peer;
			if (is_possible(&variants[own]) && is_possible(&variants[other]))
				each_point(file, samples, reach, own, other, print);
		}
	}
}

void print_table(FILE *file, const struct samples *samples)
{
	const struct question *question = samples->question;
	char rounds[32] = "one round";
	if (samples->rounds > 1)
		snprintf(rounds, sizeof rounds, "medians of %u rounds", samples->rounds);
	fprintf(file, "\n%s. %s\n   %s; %s\n", question->name, question->title, question->how,
		rounds);
	for (unsigned metric = 0; metric < question->metric_count; metric++)
		print_metric(file, samples, metric);
	if (question->reach_count > 0)
		fprintf(file, "\n");
	each_ratio(file, samples, print_ratio);
	fflush(file);
}

static void json_number(FILE *file, double value)
{
	if (isfinite(value))
		fprintf(file, "%.6g", value);
	else
		fprintf(file, "null");
}

static void json_series(FILE *file, const struct series *series)
{
	const double figures[] = {series->median, series->low, series->high};
	const char *names[] = {"median", "quartile_low", "quartile_high"};
	for (unsigned i = 0; i < 3; i++) {
		fprintf(file, ", \"%s\": ", names[i]);
		json_number(file, figures[i]);
	}
	fprintf(file, ", \"rounds\": [");
	for (unsigned i = 0; i < series->count; i++) {
		fprintf(file, i ? ", " : "");
		json_number(file, series->values[i]);
	}
	fprintf(file, "]}");
}

static void json_begin(FILE *file, const struct samples *samples, const char *kind, unsigned metric,
	unsigned point)
{
	static bool follows; /* an earlier element of the array */
	const struct question *question = samples->question;
	fprintf(file,
		"%s\n    {\"kind\": \"%s\", \"question\": \"%s\", \"metric\": \"%s\", \"unit\": "
		"\"%s\"",
		follows ? "," : "", kind, question->name, question->metrics[metric].name,
		question->metrics[metric].unit);
	follows = true;
	if (question->point)
		fprintf(file, ", \"%s\": %ld", question->point, question->points[point]);
}

static void json_values(FILE *file, const struct samples *samples, unsigned point, unsigned variant)
{
	const struct question *question = samples->question;
	double values[samples->rounds];
	struct series series = {.values = values};
	for (unsigned metric = 0; metric < question->metric_count; metric++) {
		json_begin(file, samples, "value", metric, point);
		fprintf(file, ", \"variant\": \"%s\"", question->variants[variant].name);
		collect(samples, point, variant, metric, &series);
		json_series(file, &series);
	}
}

static void json_ratio(FILE *file, const struct samples *samples, const struct ratio *ratio)
{
	static const char *const comparisons[] = {"at most", "at least", "shown", "below"};
	const struct reach *reach = ratio->reach;
	const struct variant *variants = samples->question->variants;
	double values[samples->rounds];
	struct series series = {.values = values};
	collect_ratio(samples, ratio, &series);
	if (isnan(series.median))
		return;
	bool is_inverse = ratio->dividend != ratio->subject;
	json_begin(file, samples, "reach", reach->metric,
		is_inverse ? ratio->divisor_point : ratio->dividend_point);
	fprintf(file, ", \"subject\": \"%s\", \"dividend\": \"%s\"", variants[ratio->subject].name,
		variants[ratio->dividend].name);
	if (reach->peer)
		fprintf(file, ", \"divisor\": \"%s\"", variants[ratio->divisor].name);
	if (reach->peer_point)
		fprintf(file, ", \"against\": %ld", reach->peer_point);
	fprintf(file, ", \"comparison\": \"%s\"", comparisons[reach->comparison]);
	if (reach->comparison != SHOWN)
		fprintf(file, ", \"limit\": %g, \"reached\": %s", reach->limit,
			holds(reach, series.median) ? "true" : "false");
	json_series(file, &series);
}

void print_json(FILE *file, const struct samples *samples)
{
	const struct question *question = samples->question;
	for (unsigned point = 0; point < question->point_count; point++) {
		for (unsigned variant = 0; variant < question->variant_count; variant++) {
			if (is_possible(&question->variants[variant]))
				json_values(file, samples, point, variant);
		}
	}
	each_ratio(file, samples, json_ratio);
}
