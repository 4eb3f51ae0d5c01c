/* SPDX-License-Identifier: MIT */
/* A loop with worker threads. */
#ifndef WORKERS_H
#define WORKERS_H

#define WORKERS 4

typedef void (*job_function)(void *job);

struct workers {
	void *(*open)(job_function done, long jobs);
	/* run_job on a worker, done(job) on the loop's thread. index: which of the jobs. */
	void (*submit)(void *loop, long index, void *job);
	void (*run)(void *loop);
	void (*stop)(void *loop); /* from done */
	void (*close)(void *loop);
};

extern const struct workers workers_ringwake, workers_ringwake_spin, workers_uv_attached,
	workers_uv_spin, workers_uv;

/* Called on the worker; it counts. */
void run_job(void *job);

#endif
