/* SPDX-License-Identifier: MIT */
/* A target from ringwake_open() to its last reference. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"
#include "reserved.h"
#include "target.h"

#define DEFAULT_BATCH 256

int ringwake_open(
	struct ringwake **out, struct io_uring *ring, const struct ringwake_params *params)
{
	static const struct ringwake_params defaults;
	if (params == NULL)
		params = &defaults;
	if (!RESERVED_IS_ZERO(params))
		return -EINVAL;
	int64_t process = ringwake_process_number();
	if (process < 0)
		return (int)process;

	int saved = errno;
	struct ringwake *target = aligned_alloc(CACHE_LINE, sizeof *target);
	errno = saved;
	if (target == NULL)
		return -ENOMEM;
	memset(target, 0, sizeof *target);
	int error = ringwake_spinner_set(&target->spinner, params->spin_ns);
	uint64_t user_data = params->user_data ? params->user_data : (uintptr_t)target;
	if (error == 0)
		error = ringwake_doorbell_open(&target->doorbell, ring, params->path, user_data);
	if (error < 0) {
		free(target);
		return error;
	}
	target->process = (uint32_t)process;
	target->batch = params->batch ? params->batch : DEFAULT_BATCH;
	target->fallback = params->fallback;
	target->fallback_data = params->fallback_data;
	target->context = params->context;
	target->opener = RINGWAKE_THIS_THREAD();
	atomic_init(&target->references, 1);
	*out = target;
	return 0;
}

struct ringwake *ringwake_ref(struct ringwake *target)
{
	ASSERT_REFERENCED(target);
	/* Relaxed: the caller already holds a reference. */
	atomic_fetch_add_explicit(&target->references, 1, memory_order_relaxed);
	return target;
}

void ringwake_unref(struct ringwake *target)
{
	ASSERT_REFERENCED(target);
	/* Release and acquire pair with each other: all use of the target comes before the free. */
	if (atomic_fetch_sub_explicit(&target->references, 1, memory_order_acq_rel) == 1)
		DEBUG_FREE(target);
}
