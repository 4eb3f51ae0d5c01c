/* SPDX-License-Identifier: MIT */
/* The threads of a pool: names, stacks, processors, and what they call when they start and end. */
#include <dirent.h>
#include <sched.h>

#include "pool.h"

enum { WORKERS = 3 };

/* What a worker is like. All workers meet, so that each runs one job. */
struct look {
	struct ringwake_work work;
	pthread_barrier_t *meeting;
	char name[16];
	size_t stack_size;
	cpu_set_t processors;
	unsigned number; /* from my_number */
};

static _Thread_local unsigned my_number = UINT32_MAX;

static void look(struct ringwake_work *work)
{
	struct look *look = (struct look *)work;
	pthread_attr_t attributes;
	pthread_getname_np(pthread_self(), look->name, sizeof look->name);
	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstacksize(&attributes, &look->stack_size);
	pthread_attr_destroy(&attributes);
	sched_getaffinity(0, sizeof look->processors, &look->processors);
	look->number = my_number;
	pthread_barrier_wait(look->meeting);
}

static void count_done(struct ringwake_work *work, int status)
{
	(void)work;
	assert_int_equal(status, 0);
	jobs_done++;
}

static void look_at_workers(struct ringwake_pool *pool, struct look *looks, unsigned workers)
{
	pthread_barrier_t meeting;
	struct ringwake *target = open_target(NULL);
	pthread_barrier_init(&meeting, NULL, workers);
	jobs_done = 0;
	for (unsigned i = 0; i < workers; i++) {
		looks[i].meeting = &meeting;
		assert_int_equal(
			ringwake_pool_submit(pool, target, &looks[i].work, look, count_done), 0);
	}
	wait_for_jobs(target, workers);
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
	ringwake_close(target);
	pthread_barrier_destroy(&meeting);
}

static void check_names(const char *name, const char *const expected[WORKERS])
{
	struct look looks[WORKERS] = {{.number = 0}};
	look_at_workers(open_with((struct ringwake_pool_params){.threads = WORKERS, .name = name}),
		looks, WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		unsigned found = 0;
		for (int j = 0; j < WORKERS; j++)
			found += strcmp(looks[j].name, expected[i]) == 0;
		assert_int_equal(found, 1);
	}
}

static void test_names(void **state)
{
	(void)state;
	check_names(NULL, (const char *const[]){"ringwake-0", "ringwake-1", "ringwake-2"});
	check_names("db", (const char *const[]){"db-0", "db-1", "db-2"});
	check_names("", (const char *const[]){"-0", "-1", "-2"});
	check_names("exactly-13-xx",
		(const char *const[]){"exactly-13-xx-0", "exactly-13-xx-1", "exactly-13-xx-2"});
	check_names("longer-than-the-kernel-keeps",
		(const char *const[]){"longer-than-t-0", "longer-than-t-1", "longer-than-t-2"});
	/* Two bytes for each letter. */
	check_names("\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4",
		(const char *const[]){"\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4-0",
			"\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4-1",
			"\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4-2"});
}

/* The name may be gone after open. */
static void test_name_is_copied(void **state)
{
	(void)state;
	char name[] = "mine";
	struct look one = {.number = 0};
	struct ringwake_pool *pool =
		open_with((struct ringwake_pool_params){.threads = 1, .name = name});
	memset(name, 'x', sizeof name - 1);
	look_at_workers(pool, &one, 1);
	assert_string_equal(one.name, "mine-0");
}

static void test_stack_size(void **state)
{
	(void)state;
	const size_t sizes[] = {0, 256 << 10, 1 << 20, 16 << 20};
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct look one = {.number = 0};
		size_t expected = sizes[i] ? sizes[i] : 8 << 20;
		/* A sanitizer adds to it. */
		look_at_workers(open_with((struct ringwake_pool_params){
					.threads = 1, .stack_size = sizes[i]}),
			&one, 1);
		assert_true(
			one.stack_size >= expected && one.stack_size < 2 * expected + (1 << 20));
	}
}

static void check_refused(struct ringwake_pool_params params, int error)
{
	struct ringwake_pool *const before = (void *)&params;
	struct ringwake_pool *pool = before;
	errno = 12345;
	assert_int_equal(ringwake_pool_open_with(&pool, &params), error);
	assert_int_equal(errno, 12345);
	assert_ptr_equal(pool, before);
}

static void test_bad_attributes(void **state)
{
	(void)state;
	cpu_set_t none;
	CPU_ZERO(&none);
	check_refused((struct ringwake_pool_params){.threads = 2, .stack_size = 1}, -EINVAL);
	check_refused((struct ringwake_pool_params){.threads = 2, .stack_size = 1024}, -EINVAL);
	check_refused((struct ringwake_pool_params){.affinity = &none}, -EINVAL);
	check_refused((struct ringwake_pool_params){.affinity_size = sizeof none}, -EINVAL);
	check_refused(
		(struct ringwake_pool_params){.affinity = &none, .affinity_size = sizeof none},
		-EINVAL);
#ifndef __SANITIZE_ADDRESS__
	/* There is no room for two such stacks, even on a 32-bit system. */
	check_refused(
		(struct ringwake_pool_params){.threads = 2, .stack_size = SIZE_MAX / 2}, -EAGAIN);
#endif
}

static void test_affinity(void **state)
{
	(void)state;
	cpu_set_t here, one;
	struct look looks[2] = {{.number = 0}};
	unsigned last = 0;
	assert_int_equal(sched_getaffinity(0, sizeof here, &here), 0);
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		last = CPU_ISSET(i, &here) ? i : last;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	struct ringwake_pool_params params = {.affinity = &one, .affinity_size = sizeof one};
	struct ringwake_pool *pool = open_with(params);
	assert_int_equal(threads_of(pool), 1);
	look_at_workers(pool, looks, 1);
	assert_true(CPU_EQUAL(&looks[0].processors, &one));

	params.threads = 2;
	look_at_workers(open_with(params), looks, 2);
	assert_true(CPU_EQUAL(&looks[0].processors, &one));
	assert_true(CPU_EQUAL(&looks[1].processors, &one));

	look_at_workers(open_with((struct ringwake_pool_params){.threads = 1}), looks, 1);
	assert_true(CPU_EQUAL(&looks[0].processors, &here));
}

/* All bits set: no more workers than processors. */
static void test_affinity_of_all_processors(void **state)
{
	(void)state;
	cpu_set_t all;
	memset(&all, 0xff, sizeof all);
	struct ringwake_pool_params params = {.affinity = &all, .affinity_size = sizeof all};
	struct ringwake_pool *pool = open_with(params);
	assert_int_equal(threads_of(pool), sysconf(_SC_NPROCESSORS_ONLN));
	ringwake_pool_close(pool, RINGWAKE_POOL_FINISH);
}

/* Counts calls by the number of the worker. */
struct calls {
	_Atomic unsigned starts[WORKERS], ends[WORKERS];
	_Atomic unsigned wrong_starts, wrong_ends; /* with the wrong number */
	unsigned refused_number;
	int refusal;
};

static int begin_thread(unsigned number, void *context)
{
	struct calls *calls = context;
	calls->wrong_starts += number >= WORKERS || my_number != UINT32_MAX;
	atomic_fetch_add(&calls->starts[number % WORKERS], 1);
	my_number = number;
	return number == calls->refused_number ? calls->refusal : 0;
}

static void end_thread(unsigned number, void *context)
{
	struct calls *calls = context;
	calls->wrong_ends += my_number != number && my_number != UINT32_MAX;
	atomic_fetch_add(&calls->ends[number % WORKERS], 1);
}

static struct ringwake_pool_params params_with(struct calls *calls)
{
	return (struct ringwake_pool_params){.threads = WORKERS,
		.worker_start = begin_thread,
		.worker_end = end_thread,
		.context = calls};
}

static void test_start_and_end(void **state)
{
	(void)state;
	struct calls calls = {.refused_number = WORKERS};
	struct look looks[WORKERS] = {{.number = 0}};
	bool seen[WORKERS] = {false};
	struct ringwake_pool *pool = open_with(params_with(&calls));
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(calls.starts[i], 1);
		assert_int_equal(calls.ends[i], 0);
	}
	look_at_workers(pool, looks, WORKERS);
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(calls.starts[i], 1);
		assert_int_equal(calls.ends[i], 1);
		assert_true(looks[i].number < WORKERS);
		assert_false(seen[looks[i].number]);
		seen[looks[i].number] = true;
	}
	assert_int_equal(calls.wrong_starts, 0);
	assert_int_equal(calls.wrong_ends, 0);
}

static void test_either_alone(void **state)
{
	(void)state;
	for (int with_start = 0; with_start < 2; with_start++) {
		struct calls calls = {.refused_number = WORKERS};
		struct ringwake_pool_params params = params_with(&calls);
		if (with_start)
			params.worker_end = NULL;
		else
			params.worker_start = NULL;
		ringwake_pool_close(open_with(params), RINGWAKE_POOL_FINISH);
		for (int i = 0; i < WORKERS; i++) {
			assert_int_equal(calls.starts[i], with_start);
			assert_int_equal(calls.ends[i], !with_start);
		}
	}
}

static unsigned count_threads(void)
{
	unsigned count = 0;
	DIR *tasks = opendir("/proc/self/task");
	assert_non_null(tasks);
	for (struct dirent *entry; (entry = readdir(tasks));)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count;
}

/* The workers that have started end, and nothing is left. */
static void test_start_refuses(void **state)
{
	(void)state;
	unsigned before = count_threads();
	for (unsigned refused = 0; refused < WORKERS; refused++) {
		struct calls calls = {.refused_number = refused, .refusal = -EUCLEAN};
		check_refused(params_with(&calls), -EUCLEAN);
		for (unsigned i = 0; i < WORKERS; i++) {
			assert_int_equal(calls.starts[i], i <= refused);
			assert_int_equal(calls.ends[i], i < refused);
		}
		/* A thread that was joined may be listed for a moment. */
		while (count_threads() > before)
			sched_yield();
	}
}

static unsigned long mapped_pages(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages;
}

/* Each thread that is not joined keeps its stack. */
static void test_refused_threads_are_joined(void **state)
{
	(void)state;
	enum { ROUNDS = 100, STACK = 8 << 20 };
	struct calls calls = {.refused_number = 0, .refusal = -EUCLEAN};
	check_refused(params_with(&calls), -EUCLEAN);
	unsigned long before = mapped_pages();
	for (int i = 0; i < ROUNDS; i++)
		check_refused(params_with(&calls), -EUCLEAN);
	unsigned long grown = mapped_pages() - before;
	assert_true(grown * (unsigned long)getpagesize() < ROUNDS / 2ul * STACK);
}

int main(void)
{
	const struct CMUnitTest thread_tests[] = {
		cmocka_unit_test_setup(test_names, use_eventfd),
		cmocka_unit_test_setup(test_name_is_copied, use_eventfd),
		cmocka_unit_test_setup(test_stack_size, use_eventfd),
		cmocka_unit_test(test_bad_attributes),
		cmocka_unit_test_setup(test_affinity, use_eventfd),
		cmocka_unit_test(test_affinity_of_all_processors),
		cmocka_unit_test_setup(test_start_and_end, use_eventfd),
		cmocka_unit_test(test_either_alone),
		cmocka_unit_test(test_start_refuses),
		cmocka_unit_test(test_refused_threads_are_joined),
	};
	return RUN_BOUNDED(thread_tests, 60);
}
