/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static void summarise(struct series *series)
{
	double sorted[series->count];
	memcpy(sorted, series->values, sizeof sorted);
	qsort(sorted, series->count, sizeof sorted[0], compare);
	series->median = quantile(sorted, series->count, 0.5);
	series->low = quantile(sorted, series->count, 0.25);
	series->high = quantile(sorted, series->count, 0.75);
}

bool is_possible(const struct variant *variant)
{
	return variant->what && (variant->possible == NULL || variant->possible());
}

static unsigned find_variant(const struct question *question, const char *name)
{
	for (unsigned i = 0; i < question->variant_count; i++) {
		if (strcmp(question->variants[i].name, name) == 0)
			return i;
	}
	fprintf(stderr, "%s: no variant %s\n", question->name, name);
	exit(1);
}

static bool is_missing(const struct question *question, const char *name)
{
	return name && !is_possible(&question->variants[find_variant(question, name)]);
}

static void collect(const struct samples *samples, unsigned point, unsigned variant,
	unsigned metric, struct series *series)
{
	for (unsigned i = 0; i < samples->rounds; i++)
		series->values[i] = sample(samples, point, variant, i)[metric];
	series->count = samples->rounds;
	summarise(series);
}

/* The reach's figure in each round: a value, or a ratio. */
static void collect_reach(const struct samples *samples, const struct reach *reach, unsigned point,
	struct series *series)
{
	const struct question *question = samples->question;
	unsigned subject = find_variant(question, reach->subject);
	unsigned peer = reach->peer ? find_variant(question, reach->peer) : subject;
	unsigned peer_point = point;
	for (unsigned i = 0; reach->peer_point && i < question->point_count; i++) {
		if (question->points[i] == reach->peer_point)
			peer_point = i;
	}
	bool more_is_better = question->metrics[reach->metric].more_is_better;
	for (unsigned i = 0; i < samples->rounds; i++) {
		double own = sample(samples, point, subject, i)[reach->metric];
		double other = sample(samples, peer_point, peer, i)[reach->metric];
		if (reach->comparison == BELOW)
			series->values[i] = own;
		else if (reach->comparison == AT_MOST || more_is_better)
			series->values[i] = own / other;
		else
			series->values[i] = other / own;
	}
	series->count = samples->rounds;
	summarise(series);
}

static bool applies(const struct reach *reach, long point)
{
	return reach->point == 0 || reach->point == point;
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
	fprintf(file, "\n  %-46s", question->metrics[metric].name);
	for (unsigned point = 0; question->point && point < question->point_count; point++)
		fprintf(file, " %9ld", question->points[point]);
	fprintf(file, "  %s\n", question->point ? question->point : "");
	for (unsigned variant = 0; variant < question->variant_count; variant++) {
		fprintf(file, "    %-44s", question->variants[variant].name);
		if (!is_possible(&question->variants[variant])) {
			fprintf(file, " left out: needs %s\n", question->variants[variant].needs);
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

static void print_reach(FILE *file, const struct samples *samples, const struct reach *reach)
{
	const struct question *question = samples->question;
	const struct metric *metric = &question->metrics[reach->metric];
	double values[samples->rounds];
	struct series series = {.values = values};
	if (is_missing(question, reach->subject) || is_missing(question, reach->peer))
		return;
	for (unsigned point = 0; point < question->point_count; point++) {
		if (!applies(reach, question->points[point]))
			continue;
		collect_reach(samples, reach, point, &series);
		if (isnan(series.median))
			continue;
		fprintf(file, "  %-7s %s: %s", holds(reach, series.median) ? "reached" : "SHORT",
			metric->name, reach->subject);
		if (reach->comparison == AT_MOST)
			fprintf(file, ", %.2f x %s (%.2f to %.2f; at most %.2f)", series.median,
				reach->peer, series.low, series.high, reach->limit);
		else if (reach->comparison == AT_LEAST)
			fprintf(file, ", %.2f x better than %s (%.2f to %.2f; at least %.2f)",
				series.median, reach->peer, series.low, series.high, reach->limit);
		else
			fprintf(file, ", %.5f (at most %.5f)", series.median, reach->limit);
		if (question->point)
			fprintf(file, ", %s %ld", question->point, question->points[point]);
		if (reach->peer_point)
			fprintf(file, " against %ld", reach->peer_point);
		fprintf(file, "\n");
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
	for (unsigned i = 0; i < question->reach_count; i++)
		print_reach(file, samples, &question->reaches[i]);
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
	unsigned point, bool *first)
{
	const struct question *question = samples->question;
	fprintf(file, "%s\n    {\"kind\": \"%s\", \"question\": \"%s\", \"metric\": \"%s\"",
		*first ? "" : ",", kind, question->name, question->metrics[metric].name);
	*first = false;
	if (question->point)
		fprintf(file, ", \"%s\": %ld", question->point, question->points[point]);
}

static void json_values(
	FILE *file, const struct samples *samples, unsigned point, unsigned variant, bool *first)
{
	const struct question *question = samples->question;
	double values[samples->rounds];
	struct series series = {.values = values};
	for (unsigned metric = 0; metric < question->metric_count; metric++) {
		json_begin(file, samples, "value", metric, point, first);
		fprintf(file, ", \"variant\": \"%s\", \"unit\": \"%s\"",
			question->variants[variant].name, question->metrics[metric].unit);
		collect(samples, point, variant, metric, &series);
		json_series(file, &series);
	}
}

static void json_reach(FILE *file, const struct samples *samples, const struct reach *reach,
	unsigned point, bool *first)
{
	static const char *const comparisons[] = {"at most", "at least", "below"};
	double values[samples->rounds];
	struct series series = {.values = values};
	collect_reach(samples, reach, point, &series);
	if (isnan(series.median))
		return;
	json_begin(file, samples, "reach", reach->metric, point, first);
	fprintf(file, ", \"subject\": \"%s\"", reach->subject);
	if (reach->peer)
		fprintf(file, ", \"peer\": \"%s\"", reach->peer);
	fprintf(file, ", \"comparison\": \"%s\", \"limit\": %g, \"reached\": %s",
		comparisons[reach->comparison], reach->limit,
		holds(reach, series.median) ? "true" : "false");
	json_series(file, &series);
}

void print_json(FILE *file, const struct samples *samples, bool *first)
{
	const struct question *question = samples->question;
	for (unsigned point = 0; point < question->point_count; point++) {
		for (unsigned variant = 0; variant < question->variant_count; variant++) {
			if (is_possible(&question->variants[variant]))
				json_values(file, samples, point, variant, first);
		}
	}
	for (unsigned i = 0; i < question->reach_count; i++) {
		const struct reach *reach = &question->reaches[i];
		if (is_missing(question, reach->subject) || is_missing(question, reach->peer))
			continue;
		for (unsigned point = 0; point < question->point_count; point++) {
			if (applies(reach, question->points[point]))
				json_reach(file, samples, reach, point, first);
		}
	}
}
