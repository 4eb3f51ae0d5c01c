/* SPDX-License-Identifier: MIT */
/*
 * Counts primes with uv_queue_work() on ringwake's workers. Only the header differs from a program
 * for libuv: with <uv.h> instead, the program runs on libuv alone.
 */
#include <ringwake/uv-compat.h>
#include <stdio.h>

enum { PARTS = 20, PART = 10000 };

struct part {
	uv_work_t request; /* first, so a pointer to it is a pointer to the whole */
	unsigned from, primes;
};

static unsigned total, cancelled;

static int is_prime(unsigned number)
{
	for (unsigned i = 2; i * i <= number; i++)
		if (number % i == 0)
			return 0;
	return number > 1;
}

/* Runs on a worker. */
static void count(uv_work_t *request)
{
	struct part *part = (struct part *)request;
	for (unsigned i = part->from; i < part->from + PART; i++)
		part->primes += (unsigned)is_prime(i);
}

/* Runs on the loop's thread, so it needs no lock. */
static void on_counted(uv_work_t *request, int status)
{
	if (status == UV_ECANCELED)
		cancelled++;
	else
		total += ((struct part *)request)->primes;
}

int main(void)
{
	static struct part parts[PARTS + 1];
	uv_loop_t *loop = uv_default_loop();
	for (unsigned i = 0; i <= PARTS; i++) {
		parts[i].from = i * PART;
		int error = uv_queue_work(loop, &parts[i].request, count, on_counted);
		if (error < 0) {
			fprintf(stderr, "uv_queue_work: %s\n", uv_strerror(error));
			return 1;
		}
	}
	/* This part is one too many. It is cancelled if no worker has started it. */
	if (uv_cancel((uv_req_t *)&parts[PARTS].request) == UV_EBUSY)
		fprintf(stderr, "uv_cancel: the last part has started already\n");
	uv_run(loop, UV_RUN_DEFAULT); /* returns when all work is done */
	printf("%u primes below %u; %u part cancelled\n", total, PART * (PARTS + 1 - cancelled),
		cancelled);
	return uv_loop_close(loop);
}
