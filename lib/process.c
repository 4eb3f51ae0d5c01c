/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

_Atomic uint32_t *ringwake_process_page;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int map_error;
static _Atomic uint32_t last_number; /* not wiped: a child counts on from its parent's */

static void map_page(void)
{
	int saved = errno;
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		map_error = -errno;
	} else if (madvise(page, size, MADV_WIPEONFORK) != 0) {
		map_error = -errno;
		munmap(page, size);
	} else {
		ringwake_process_page = page;
	}
	errno = saved;
}

int64_t ringwake_process_number(void)
{
	pthread_once(&once, map_page);
	if (map_error != 0)
		return map_error;
	/* Relaxed throughout: the number orders nothing, and of two threads that meet one's CAS
	 * wins. */
	uint32_t number = atomic_load_explicit(ringwake_process_page, memory_order_relaxed);
	if (number != 0)
		return number;
	uint32_t fresh = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
	if (atomic_compare_exchange_strong_explicit(ringwake_process_page, &number, fresh,
		    memory_order_relaxed, memory_order_relaxed))
		return fresh;
	return number;
}
