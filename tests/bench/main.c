/* SPDX-License-Identifier: MIT */
/* ringwake-bench: see RESULTS.md for what the questions are and what came out. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "machine.h"
#include "questions.h"
#include "report.h"

#define DEFAULT_ROUNDS 11
#define QUICK_ROUNDS   3
#define SAMPLE_SECONDS 120 /* more means that a wake is lost: SIGALRM ends the program */

static bool quick;
static bool on_terminal; /* progress may be written over */

long amount(long count)
{
	return quick ? (count + 9) / 10 : count;
}

void check(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "%sringwake-bench: %s\n", on_terminal ? "\n" : "", what);
	exit(1);
}

long must(long value, const char *what)
{
	if (value >= 0)
		return value;
	fprintf(stderr, "%sringwake-bench: %s: %s\n", on_terminal ? "\n" : "", what,
		strerror(value == -1 ? errno : (int)-value));
	exit(1);
}

static struct samples *ask(const struct question *question, unsigned rounds)
{
	if (question->exact)
		rounds = 1;
	else if (question->repeat > 0)
		rounds *= question->repeat;
	struct samples *samples = samples_new(question, rounds);
	if (!on_terminal)
		fprintf(stderr, "%s: %s\n", question->name, question->title);
	for (unsigned point = 0; point < question->point_count; point++) {
		for (unsigned round = 0; round < rounds; round++) {
			for (unsigned i = 0; i < question->variant_count; i++) {
				unsigned index = (i + round) % question->variant_count;
				const struct variant *variant = &question->variants[index];
				if (!is_possible(variant))
					continue;
				if (on_terminal)
					fprintf(stderr, "\r%s: %ld, round %u of %u, %-40s",
						question->name, question->points[point], round + 1,
						rounds, variant->name);
				alarm(SAMPLE_SECONDS);
				question->run(variant->what, question->points[point],
					sample(samples, point, index, round));
			}
		}
	}
	alarm(0);
	if (on_terminal)
		fprintf(stderr, "\r%-78s\r", "");
	return samples;
}

/* "A,F" asks A and F, and F1 and F2 too. */
static bool is_wanted(const struct question *question, const char *only)
{
	size_t length;
	for (; only && *only; only += length + (only[length] == ',')) {
		length = strcspn(only, ",");
		if (length > 0 && strncmp(question->name, only, length) == 0)
			return true;
	}
	return only == NULL;
}

static void raise_limits(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void usage(FILE *file)
{
	fprintf(file,
		"usage: ringwake-bench [--quick] [--only A,F] [--rounds N] [--json FILE]\n\n");
	for (unsigned i = 0; i < question_count; i++)
		fprintf(file, "  %-3s %s\n", questions[i]->name, questions[i]->title);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
		{"only", required_argument, NULL, 'o'}, {"rounds", required_argument, NULL, 'r'},
		{"json", required_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *only = NULL;
	FILE *json = NULL;
	long rounds = 0;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'q':
			quick = true;
			break;
		case 'o':
			only = optarg;
			break;
		case 'r':
			rounds = strtol(optarg, NULL, 10);
			check(rounds > 0 && rounds < 1000, "--rounds: 1 to 999");
			break;
		case 'j':
			json = fopen(optarg, "we");
			must(json ? 0 : -1, optarg);
			break;
		default:
			usage(option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (rounds == 0)
		rounds = quick ? QUICK_ROUNDS : DEFAULT_ROUNDS;

	on_terminal = isatty(STDERR_FILENO);
	raise_limits();
	find_processors();
	if (json)
		fprintf(json, "{\n");
	printf("ringwake-bench%s\n", quick ? ", quick: not for comparison with other runs" : "");
	print_machine(stdout, json);
	if (json)
		fprintf(json, "  \"quick\": %s,\n  \"results\": [", quick ? "true" : "false");
	bool first = true;
	for (unsigned i = 0; i < question_count; i++) {
		if (!is_wanted(questions[i], only))
			continue;
		struct samples *samples = ask(questions[i], (unsigned)rounds);
		print_table(stdout, samples);
		if (json)
			print_json(json, samples, &first);
		samples_free(samples);
	}
	if (json) {
		fprintf(json, "\n  ]\n}\n");
		must(fclose(json), "writing the JSON file");
	}
	return 0;
}
