/* SPDX-License-Identifier: MIT */
#include "load.h"
#include "clock.h"
#include "handlers.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#define JOBS        64
#define DIGEST_SIZE 4096 /* bytes */

struct job {
	struct load *load;
	uint64_t computed_at; /* ns */
	char digest[DIGEST_HEX_SIZE];
	struct work work;
};

struct load {
	struct site *site;
	uint64_t end; /* ns */
	unsigned submitted;
	struct job jobs[JOBS];
};

static struct job *job_of(struct work *work)
{
	return (struct job *)((char *)work - offsetof(struct job, work));
}

static void compute(struct work *work)
{
	struct job *job = job_of(work);
	digest_compute(DIGEST_SIZE, job->digest);
	job->computed_at = clock_ns();
}

static void submit(struct job *job)
{
	struct site *site = job->load->site;
	if (site->link->type->submit(site->link, &job->work) != 0)
		return;
	job->load->submitted++;
	counter_up(&site->work_submitted);
}

/*
 * Returns the old value. Relaxed: it pairs with itself on the other loops, and nothing else is
 * published through it, because each load stays on its loop.
 */
static bool set_runs(struct site *site, bool runs)
{
	return atomic_exchange_explicit(&site->first->load_runs, runs, memory_order_relaxed);
}

static void end_if_over(struct load *load)
{
	if (load->submitted > 0)
		return;
	struct site *site = load->site;
	free(load);
	site->loading = false;
	set_runs(site, false);
}

static void computed(struct work *work)
{
	struct job *job = job_of(work);
	struct load *load = job->load;
	struct site *site = load->site;
	uint64_t now = clock_ns();
	load->submitted--;
	histogram_add(&site->wakes, now - job->computed_at);
	counter_up(&site->work_completed);
	if (now < load->end && !site->stopping)
		submit(job);
	end_if_over(load);
}

int load_start(struct site *site)
{
	if (set_runs(site, true))
		return -EBUSY;
	struct load *load = calloc(1, sizeof(*load));
	if (!load) {
		set_runs(site, false);
		return -ENOMEM;
	}
	load->site = site;
	load->end = clock_ns() + UINT64_C(1000000000) * LOAD_SECONDS;
	site->loading = true;
	for (unsigned i = 0; i < JOBS; i++) {
		load->jobs[i].load = load;
		load->jobs[i].work.run = compute;
		load->jobs[i].work.done = computed;
		submit(&load->jobs[i]);
	}
	end_if_over(load);
	return 0;
}
