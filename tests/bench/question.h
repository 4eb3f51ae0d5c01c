/* SPDX-License-Identifier: MIT */
/*
 * A question is a table of variants that do the same work in different ways. All variants run in
 * every round, each round in another order. The report has medians over the rounds, and for ratios
 * the median of the rounds' ratios, so that a disturbance of some rounds affects both sides.
 */
#ifndef QUESTION_H
#define QUESTION_H

#include <stdbool.h>
#include <stddef.h>

#include "machine.h"

#define MAX_METRICS 5

struct metric {
	const char *name;
	const char *unit;
	bool more_is_better;
};

/*
 * One way to do the work. If what is NULL or possible() returns false, the variant is left out and
 * the table says what it needs.
 */
struct variant {
	const char *name;
	const void *what; /* passed to the question's run() */
	const char *needs;
	bool (*possible)(void); /* NULL: always */
	const char *path;       /* for RINGWAKE_PATH */
};

/* In each round the variant is measured with sync MSG_RING, and as "NAME, eventfd" on the path of
 * kernels before 6.13. Its goals are asked of both. */
#define BOTH_PATHS .path = "msg_ring"

bool is_possible(const struct variant *variant);

/* A goal: one metric of subject compared with the same metric of peer, at each point. */
enum comparison {
	AT_MOST,  /* subject / peer */
	AT_LEAST, /* as many times better than the peer */
	SHOWN,    /* the same, but no goal */
	BELOW,    /* the subject's value itself; there is no peer */
};

struct reach {
	const char *subject;
	const char *peer;
	unsigned metric;
	long point;      /* 0: at every point */
	long peer_point; /* 0: the same */
	enum comparison comparison;
	double limit;
};

struct question {
	const char *name; /* for --only */
	const char *title;
	const char *how; /* pinning, what one operation is */
	enum placement placement;
	const char *point; /* what the points count, or NULL if there is one point */
	const long *points;
	unsigned point_count;
	const struct metric *metrics;
	unsigned metric_count;
	const char *floor; /* a variant; the second metric is what the first one adds to its */
	const struct variant *variants;
	unsigned variant_count;
	/* Does the work once, checks that all of it was done, and writes a value for each metric.
	 */
	void (*run)(const void *what, long point, double *values);
	const struct reach *reaches;
	unsigned reach_count;
	/* Multiplies the rounds; 0 means 1. The median of many short rounds is steady. */
	unsigned repeat;
	bool exact; /* the counts do not vary, so one round is enough */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* An array as the values of two members that follow each other, .values and .value_count. */
#define ALL(array) (array), COUNT(array)

#define ONE_POINT .points = (const long[]){1}, .point_count = 1

extern const struct question question_blocked, question_uv_ring, question_uv_attached, question_ev,
	question_spinning;
extern const struct question question_messages, question_messages_one_core,
	question_messages_saturated;
extern const struct question question_busy, question_handles, question_jobs, question_jobs_one_core;
extern const struct question question_web_digest, question_web_healthz;
extern const struct question question_dense, question_poisson, question_pauses, question_shared,
	question_contended, question_limited, question_low_nice, question_low_idle,
	question_descriptor;
extern const struct question question_loops, question_queued, question_memory_growth;
extern const struct question question_idle, question_memory, question_self, question_self_run;

/* Returns count, or a tenth of it with --quick. */
long amount(long count);

/* Ends the program with a message if the condition is false. */
void check(bool condition, const char *what);

/* Returns the value, or ends the program with a message if it is negative. */
long must(long value, const char *what);

/* Zeroed, and aligned to a cache line. Ends the program with a message if there is no memory. */
void *allocate(size_t count, size_t size);

#endif
