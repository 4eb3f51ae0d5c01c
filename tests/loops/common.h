/* SPDX-License-Identifier: MIT */
/* Shared by the tests of both loops: senders that make the loop block often, and children. */
#ifndef TESTS_LOOPS_COMMON_H
#define TESTS_LOOPS_COMMON_H

#include <poll.h>
#include <semaphore.h>
#include <sys/wait.h>

#include "../common.h"

/* The examples open their targets on the path that the environment names. */
static inline void use_path(void)
{
	setenv("RINGWAKE_PATH", test_path == RINGWAKE_PATH_MSG_RING ? "msg_ring" : "eventfd", 1);
}

/* A sender waits after each ROUND of messages, until the loop has received them. */
enum { SENDERS = 3, MESSAGES = 100000, ROUND = 250 };

struct sender {
	struct ringwake *target;
	pthread_t thread;
	unsigned expected;
	unsigned limit;
	sem_t received;
};

static struct sender senders[SENDERS];
static unsigned running_senders;

struct numbered {
	struct ringwake_msg msg;
	struct sender *sender;
	unsigned number;
};

static inline void on_numbered(struct ringwake_msg *msg)
{
	struct numbered *numbered = (struct numbered *)msg;
	struct sender *sender = numbered->sender;
	assert_int_equal(numbered->number, sender->expected);
	sender->expected++;
	if (sender->expected == sender->limit)
		running_senders--;
	if (sender->expected % ROUND == 0)
		sem_post(&sender->received);
}

static inline void *send_numbered(void *argument)
{
	static _Thread_local struct numbered messages[ROUND];
	struct sender *sender = argument;
	for (unsigned i = 0; i < sender->limit; i++) {
		struct numbered *numbered = &messages[i % ROUND];
		*numbered = (struct numbered){.msg.fn = on_numbered, .sender = sender, .number = i};
		if (ringwake_send(sender->target, &numbered->msg) != 0)
			abort();
		if (i % ROUND == ROUND - 1)
			while (sem_wait(&sender->received) != 0)
				;
	}
	return NULL;
}

static inline void start_senders(struct ringwake *target, unsigned limit)
{
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.target = target, .limit = limit};
		sem_init(&senders[i].received, 0, 0);
		running_senders++;
		senders[i].thread = start(send_numbered, &senders[i]);
	}
}

static inline void join_senders(void)
{
	for (int i = 0; i < SENDERS; i++) {
		join(senders[i].thread);
		assert_int_equal(senders[i].expected, senders[i].limit);
		sem_destroy(&senders[i].received);
	}
}

/* One message from another thread, sent when the caller may already be blocked. */
struct late {
	struct ringwake *target;
	struct ringwake_msg *msg;
	pthread_t thread;
};

static inline void *send_late(void *argument)
{
	struct late *late = argument;
	return (void *)(intptr_t)ringwake_send(late->target, late->msg);
}

static inline void start_late(struct late *late, struct ringwake *target, struct ringwake_msg *msg)
{
	*late = (struct late){.target = target, .msg = msg};
	late->thread = start(send_late, late);
}

/* A child must not run cmocka's handlers: it returns 0, or the line that failed. */
#define CHILD_EXPECT(condition)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__ & 0xff ? __LINE__ & 0xff : 1;                              \
	} while (0)

static inline bool is_readable(int fd, int timeout_ms)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};
	return poll(&entry, 1, timeout_ms) == 1;
}

#endif
