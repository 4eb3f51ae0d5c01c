/* SPDX-License-Identifier: MIT */
/* ringwake-bench: README.md says what the questions are, RESULTS.md what came out. */
#include <errno.h>
#include <getopt.h>
#include <ringwake/ringwake.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "report.h"

#define DEFAULT_ROUNDS 11
#define QUICK_ROUNDS   3
#define SAMPLE_SECONDS 120 /* a longer sample has lost a wake: SIGALRM ends the program */

static const struct question *const questions[] = {&question_blocked, &question_uv_ring,
	&question_uv_attached, &question_ev, &question_busy, &question_messages,
	&question_messages_one_core, &question_messages_saturated, &question_handles,
	&question_jobs, &question_jobs_one_core, &question_web_digest, &question_web_healthz,
	&question_spinning, &question_idle, &question_memory, &question_self, &question_self_run,
	&question_dense, &question_poisson, &question_pauses, &question_shared, &question_contended,
	&question_limited, &question_low_nice, &question_low_idle, &question_descriptor,
	&question_loops, &question_queued, &question_memory_growth};

static bool quick;
static const char *only;
static long rounds_asked;
static FILE *json;
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

void *allocate(size_t count, size_t size)
{
	size_t bytes = (count * size + 63) / 64 * 64;
	void *memory = aligned_alloc(64, bytes);
	check(memory != NULL, "out of memory");
	return memset(memory, 0, bytes);
}

static void show_progress(const struct samples *samples, unsigned point, unsigned round,
	const struct variant *variant)
{
	const struct question *question = samples->question;
	if (on_terminal)
		fprintf(stderr, "\r%s: %ld, round %u of %u, %-40s", question->name,
			question->points[point], round + 1, samples->rounds, variant->name);
}

static void take_sample(
	const struct samples *samples, unsigned point, unsigned round, unsigned index)
{
	const struct question *question = samples->question;
	const struct variant *variant = &question->variants[index];
	if (!is_possible(variant))
		return;
	show_progress(samples, point, round, variant);
	alarm(SAMPLE_SECONDS);
	must(setenv("RINGWAKE_PATH", variant->path ? variant->path : "auto", 1), "setenv");
	begin_placement(question->placement);
	question->run(variant->what, question->points[point], sample(samples, point, index, round));
	end_placement(question->placement);
	alarm(0);
}

static void subtract_floor(const struct samples *samples, unsigned point, unsigned round)
{
	const struct question *question = samples->question;
	if (question->floor == NULL)
		return;
	unsigned floor = find_variant(question, question->floor);
	for (unsigned i = 0; i < question->variant_count; i++) {
		double *values = sample(samples, point, i, round);
		values[1] = values[0] - sample(samples, point, floor, round)[0];
	}
}

static struct samples *ask(const struct question *question)
{
	unsigned rounds = question->exact ? 1 : (unsigned)rounds_asked;
	if (question->repeat > 0)
		rounds *= question->repeat;
	struct samples *samples = samples_new(question, rounds);
	if (!on_terminal)
		fprintf(stderr, "%s: %s\n", question->name, question->title);
	for (unsigned point = 0; point < question->point_count; point++) {
		for (unsigned round = 0; round < rounds; round++) {
			for (unsigned i = 0; i < question->variant_count; i++)
				take_sample(samples, point, round,
					(i + round) % question->variant_count);
			subtract_floor(samples, point, round);
		}
	}
	if (on_terminal)
		fprintf(stderr, "\r%-78s\r", "");
	return samples;
}

/* "A,F" asks A and F, and F1 and F2 too. */
static bool is_wanted(const struct question *question)
{
	size_t length;
	for (const char *name = only; name && *name; name += length + (name[length] == ',')) {
		length = strcspn(name, ",");
		if (length > 0 && strncmp(question->name, name, length) == 0)
			return true;
	}
	return only == NULL;
}

/* A copy with the variants on the eventfd path, each after its own. It is never freed. */
static struct question with_both_paths(const struct question *question)
{
	struct question both = *question;
	struct variant *variants = allocate(2 * question->variant_count, sizeof *variants);
	both.variants = variants;
	both.variant_count = 0;
	for (unsigned i = 0; i < question->variant_count; i++) {
		const struct variant *variant = &question->variants[i];
		variants[both.variant_count++] = *variant;
		if (variant->path == NULL)
			continue;
		char *name;
		must(asprintf(&name, "%s, eventfd", variant->name), "asprintf");
		variants[both.variant_count] = *variant;
		variants[both.variant_count].path = "eventfd";
		variants[both.variant_count++].name = name;
	}
	return both;
}

static void ask_all(void)
{
	for (unsigned i = 0; i < COUNT(questions); i++) {
		if (!is_wanted(questions[i]))
			continue;
		struct question question = with_both_paths(questions[i]);
		struct samples *samples = ask(&question);
		print_table(stdout, samples);
		if (json)
			print_json(json, samples);
		samples_free(samples);
	}
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
	for (unsigned i = 0; i < COUNT(questions); i++)
		fprintf(file, "  %-3s %s\n", questions[i]->name, questions[i]->title);
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {{"quick", no_argument, NULL, 'q'},
		{"only", required_argument, NULL, 'o'}, {"rounds", required_argument, NULL, 'r'},
		{"json", required_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'}, {0}};
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
			rounds_asked = strtol(optarg, NULL, 10);
			check(rounds_asked > 0 && rounds_asked < 1000, "--rounds: 1 to 999");
			break;
		case 'j':
			json = fopen(optarg, "we");
			must(json ? 0 : -1, optarg);
			break;
		case 'v':
			printf("ringwake-bench %s\n", ringwake_version_string());
			exit(0);
		default:
			usage(option == 'h' ? stdout : stderr);
			exit(option == 'h' ? 0 : 2);
		}
	}
	if (rounds_asked == 0)
		rounds_asked = quick ? QUICK_ROUNDS : DEFAULT_ROUNDS;
}

int main(int argc, char **argv)
{
	on_terminal = isatty(STDERR_FILENO);
	parse_options(argc, argv);
	raise_limits();
	find_processors();
	if (json)
		fprintf(json, "{\n");
	printf("ringwake-bench%s\n", quick ? ", quick: not for comparison with other runs" : "");
	print_machine(stdout, json);
	print_versions(stdout, json);
	if (json)
		fprintf(json, "  \"quick\": %s,\n  \"results\": [", quick ? "true" : "false");
	ask_all();
	if (json) {
		fprintf(json, "\n  ]\n}\n");
		must(fclose(json), "writing the JSON file");
	}
	return 0;
}
