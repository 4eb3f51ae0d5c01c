/* SPDX-License-Identifier: MIT */
/* Decides before each wait of one thread whether it spins, and for how long. See spinner.c. */
#ifndef RINGWAKE_SPINNER_H
#define RINGWAKE_SPINNER_H

#include <stdbool.h>
#include <stdint.h>

#define SPINNER_WINDOW_NS      20000
#define SPINNER_LONG_WINDOW_NS 100000
#define SPINNER_FAST_NS        5000 /* a spin that takes longer counts as a failure */
#define SPINNER_MAX_SKIP       1023

/* What the thread did before a wait. Each kind of wait has its own record. */
enum wait_kind {
	WAIT_FOR_ANSWER,   /* it has sent to a loop that was awake */
	WAIT_AFTER_ANSWER, /* a spin has found an answer, and none has failed since */
	WAIT_OTHER,
	WAIT_KINDS
};

struct spinner_record {
	uint32_t skip; /* the waits of any kind between two spins of this kind that fail */
	uint32_t left; /* of these, before the next spin */
};

struct spinner {
	uint64_t spin_ns; /* or RINGWAKE_SPIN_ADAPTIVE; 0: never */
	/* If it is adaptive: */
	struct spinner_record records[WAIT_KINDS];
	enum wait_kind kind; /* of the current wait */
	bool found_answer;   /* what WAIT_AFTER_ANSWER says */
	uint32_t sends;      /* ringwake_sends_to_awake at the last wait */
};

/* Counts the calling thread's sends to loops and workers that were awake. Initial-exec: one
 * instruction, also in a signal handler. */
extern _Thread_local uint32_t ringwake_sends_to_awake
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* spin_ns as in ringwake_params. -EINVAL if RINGWAKE_SPIN is not valid. */
int ringwake_spinner_set(struct spinner *spinner, uint64_t spin_ns);

/* For how many nanoseconds the thread spins now; 0: it blocks at once. */
uint64_t ringwake_spinner_begin(struct spinner *spinner);

/* After a spin that took this time; negative: what the thread waits for did not come. */
void ringwake_spinner_end(struct spinner *spinner, int64_t took_ns);

#endif
