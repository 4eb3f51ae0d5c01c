/* SPDX-License-Identifier: MIT */
/* An epoll loop that watches ringwake_fd() edge-triggered misses no doorbell. */
#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>

#include "../common.h"

enum { SENDERS = 3, EACH = 2000 };

struct sender {
	struct ringwake_msg msg;
	struct ringwake *target;
	pthread_t thread;
	_Atomic bool in_flight;
};

static struct sender senders[SENDERS];
static unsigned received;

static void receive(struct ringwake_msg *msg)
{
	received++;
	/* Release: the sender uses the message again. */
	atomic_store_explicit(&((struct sender *)msg)->in_flight, false, memory_order_release);
}

/* Sends each message after the previous one has arrived, so the loop blocks in between. */
static void *send_messages(void *argument)
{
	struct sender *sender = argument;
	for (int i = 0; i < EACH; i++) {
		atomic_store_explicit(&sender->in_flight, true, memory_order_relaxed);
		if (ringwake_send(sender->target, &sender->msg) < 0)
			abort();
		/* Acquire: pairs with the release in receive. */
		while (atomic_load_explicit(&sender->in_flight, memory_order_acquire))
			sched_yield();
	}
	return NULL;
}

static int open_epoll(struct ringwake *target)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	assert_true(epoll >= 0);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, ringwake_fd(target), &event), 0);
	return epoll;
}

/* Returns how many times the loop was blocked. */
static unsigned run_loop(struct ringwake *target, int epoll)
{
	unsigned blocked = 0;
	while (received < SENDERS * EACH) {
		struct epoll_event event;
		bool may_block = ringwake_arm(target);
		int count = epoll_wait(epoll, &event, 1, may_block ? PATIENCE_SECONDS * 1000 : 0);
		/* The kernel may interrupt a thread once more after it has closed a ring. */
		bool interrupted = count < 0 && errno == EINTR;
		ringwake_disarm(target);
		assert_true(
			count == 1 || !may_block || interrupted); /* else a doorbell was missed */
		blocked += may_block;
		ringwake_dispatch(target, 0);
	}
	return blocked;
}

static void test_edge_triggered(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	int epoll = open_epoll(target);
	received = 0;
	for (int i = 0; i < SENDERS; i++) {
		senders[i].msg.fn = receive;
		senders[i].target = target;
		assert_int_equal(
			pthread_create(&senders[i].thread, NULL, send_messages, &senders[i]), 0);
	}
	assert_true(run_loop(target, epoll) > 0);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	assert_true(stats_of(target).doorbells > 0);
	close(epoll);
	ringwake_close(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_edge_triggered),
	};
	return RUN_BOUNDED(tests, 60);
}
