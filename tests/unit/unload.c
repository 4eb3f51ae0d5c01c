/* SPDX-License-Identifier: MIT */
/* A program that loads, uses and unloads the library repeatedly. */
#include <dlfcn.h>
#include <malloc.h>
#include <ringwake/pool.h>

#include "shared.h"

#define ROUNDS 2000

/* Returns the size of all mappings. Their number may vary, because the kernel merges them. */
static size_t mapped(unsigned *count)
{
	size_t size = 0;
	unsigned long begin, end;
	FILE *maps = fopen("/proc/self/maps", "r");
	assert_non_null(maps);
	for (*count = 0; fscanf(maps, "%lx-%lx%*[^\n]\n", &begin, &end) == 2; ++*count)
		size += end - begin;
	fclose(maps);
	return size;
}

static size_t allocated(void)
{
	return mallinfo2().uordblks;
}

static void do_nothing(struct ringwake_work *work)
{
	(void)work;
}

static unsigned dones;
static void count_done(struct ringwake_work *work, int status)
{
	(void)work;
	dones += status == 0;
}

static void use_once(void)
{
	struct shared_library library;
	struct ringwake_params params = {.path = test_path};
	struct counted message = {.msg.fn = count_message};
	struct ringwake_work work;
	struct ringwake *target;
	struct ringwake_pool *pool;
	open_library(&library);
	assert_int_equal(library.open(&target, NULL, &params), 0);
	assert_int_equal(library.pool_open(&pool, 1), 0);
	assert_int_equal(library.send(target, &message.msg), 0);
	dones = 0;
	assert_int_equal(library.pool_submit(pool, target, &work, do_nothing, count_done), 0);
	while (dones == 0 || message.count == 0)
		assert_true(library.wait(target, -1) >= 0);
	library.pool_close(pool, RINGWAKE_POOL_FINISH);
	library.close(target);
	assert_int_equal(dlclose(library.handle), 0);
}

static void test_loaded_again_and_again(void **state)
{
	(void)state;
	skip_without_library();
#ifdef __SANITIZE_THREAD__
	print_message("ThreadSanitizer keeps memory for each thread that has ended\n");
	skip();
#endif
	mallopt(M_ARENA_MAX, 1); /* no separate arena for each thread */
	for (int i = 0; i < 50; i++)
		use_once();
	unsigned mappings, mappings_after;
	size_t space = mapped(&mappings), memory = allocated();
	for (int i = 0; i < ROUNDS; i++)
		use_once();
	/* The C library may keep a few pages. One page per round is a leak. */
	assert_true(mapped(&mappings_after) <= space + ROUNDS / 4 * 4096);
	/* malloc may keep up to 16 KiB more that are not in use. It gives out no less than 32
	 * bytes. */
	assert_true(allocated() <= memory + ROUNDS * 16);
	assert_true(mappings_after >= 1 && mappings_after <= mappings + 4);
}

int main(void)
{
	const struct CMUnitTest unload_tests[] = {
		ON_BOTH_PATHS(test_loaded_again_and_again),
	};
	return RUN_BOUNDED(unload_tests, 60);
}
