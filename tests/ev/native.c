/* SPDX-License-Identifier: MIT */
/*
 * Programs for ev_async, compiled for libev and for ringwake. The callbacks must run in the same
 * order. RINGWAKE_SEED repeats a run of the random programs.
 */
#include "scenario.h"

#include "../common.h"

#define RANDOM_RUNS 30

unsigned long scenario_seed;

static char text[1 << 18];
static size_t length;

void note(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	length += (size_t)vsnprintf(text + length, sizeof text - length, format, arguments);
	va_end(arguments);
	assert_true(length < sizeof text);
}

static struct variant {
	unsigned backend;
	const char *path;
} variants[] = {{EVBACKEND_SELECT, "auto"}, {EVBACKEND_SELECT, "eventfd"}, {EVBACKEND_POLL, "auto"},
	{EVBACKEND_POLL, "eventfd"}, {EVBACKEND_EPOLL, "auto"}, {EVBACKEND_EPOLL, "eventfd"},
	{EVBACKEND_IOURING, "auto"}, {EVBACKEND_IOURING, "eventfd"}};

static char *trace(const struct scenario *scenario, unsigned backend)
{
	struct ev_loop *loop = ev_loop_new(backend | EVFLAG_NOENV);
	if (loop == NULL)
		skip();
	length = 0;
	text[0] = '\0';
	fflush(NULL); /* because a scenario may fork */
	scenario->run(loop);
	scenario->destroy(loop);
	return strdup(text);
}

/* Prints where the two outputs begin to differ, and the text before that point. */
static void print_difference(const char *expected, const char *seen)
{
	size_t same = 0;
	while (expected[same] == seen[same])
		same++;
	size_t from = same > 200 ? same - 200 : 0;
	print_message("# libev:    %.300s\n# ringwake: %.300s\n", expected + from, seen + from);
}

static void compare(const struct scenario *native, const struct scenario *ringwake,
	const struct variant *variant)
{
	char *expected = trace(native, variant->backend);
	char *seen = trace(ringwake, variant->backend);
	if (strcmp(expected, seen) != 0) {
		print_message("# %s with RINGWAKE_SEED=%lu:\n", native->name, scenario_seed);
		print_difference(expected, seen);
		fail();
	}
	free(expected);
	free(seen);
}

static void test_as_libev(void **state)
{
	const struct variant *variant = *state;
	if (!(ev_supported_backends() & variant->backend))
		skip();
	setenv("RINGWAKE_PATH", variant->path, 1);
	for (int i = 0; native_scenarios[i].name; i++)
		compare(&native_scenarios[i], &ringwake_scenarios[i], variant);
	int random = 0;
	while (strcmp(native_scenarios[random].name, "random_callbacks") != 0)
		random++;
	for (int i = 0; i < RANDOM_RUNS; i++) {
		compare(&native_scenarios[random], &ringwake_scenarios[random], variant);
		scenario_seed++;
	}
}

#define ON(name, i)                                                                                \
	{                                                                                          \
		"test_as_libev on " name, test_as_libev, NULL, NULL, &variants[i]                  \
	}

int main(void)
{
	const char *seed = getenv("RINGWAKE_SEED");
	scenario_seed = seed ? strtoul(seed, NULL, 0) : (unsigned long)time(NULL);
	print_message("# RINGWAKE_SEED=%lu\n", scenario_seed);
	const struct CMUnitTest tests[] = {
		ON("select", 0),
		ON("select by eventfd", 1),
		ON("poll", 2),
		ON("poll by eventfd", 3),
		ON("epoll", 4),
		ON("epoll by eventfd", 5),
		ON("io_uring", 6),
		ON("io_uring by eventfd", 7),
	};
	return RUN_BOUNDED(tests, 300);
}
