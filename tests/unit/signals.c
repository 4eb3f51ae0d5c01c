/* SPDX-License-Identifier: MIT */
/* Promise 2: sends from signal handlers, and senders that are stopped or cancelled in a send. */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

#include "hooks.h"

/* A ring of messages that the handler sends. A message is free again when its callback has run. */
enum { HANDLER_MESSAGES = 64 };
struct reusable {
	struct ringwake_msg msg;
	_Atomic bool sent;
};
static struct reusable handler_messages[HANDLER_MESSAGES];
static struct ringwake *volatile handler_target;
static struct ringwake_event handler_event;
static volatile unsigned handler_next;
static _Atomic unsigned handler_sent, handler_errors;
static unsigned handler_received;
/* The loop's iteration, the iteration of the last signal, and the number of signals handled. */
static _Atomic unsigned iteration, handler_iteration, handled;

static void on_handler_message(struct ringwake_msg *msg)
{
	handler_received++;
	atomic_store(&((struct reusable *)msg)->sent, false);
}

static void send_in_handler(int signal)
{
	(void)signal;
	int before = errno;
	errno = 4321;
	struct reusable *message = &handler_messages[handler_next % HANDLER_MESSAGES];
	if (!atomic_exchange(&message->sent, true)) {
		handler_next++;
		message->msg.fn = on_handler_message;
		if (ringwake_send(handler_target, &message->msg) != 0)
			handler_errors++;
		handler_sent++;
	}
	if (ringwake_event_send(&handler_event) != 0 || ringwake_wake(handler_target) != 0)
		handler_errors++;
	if (errno != 4321)
		handler_errors++;
	errno = before;
	handler_iteration = iteration;
	handled++;
}

static _Atomic bool stop_signals;

/* Sends one signal per iteration. So the loop makes progress on any machine, and a second signal
 * cannot hide that the first signal's sends did not end the wait. */
static void *send_signals(void *argument)
{
	pthread_t thread = *(pthread_t *)argument;
	unsigned sent = 0;
	while (!stop_signals || handled != sent) {
		if (handled == sent && handler_iteration != iteration) {
			sent++;
			pthread_kill(thread, SIGUSR1);
		} else {
			sched_yield();
		}
	}
	return NULL;
}

/* ThreadSanitizer delays a handler until the next call that it intercepts. So each iteration makes
 * such a call, and each wait has a timeout. */
#ifdef __SANITIZE_THREAD__
#define LONGEST_WAIT 1000000
static void let_handlers_run(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
}
#else
#define LONGEST_WAIT (-1)
static void let_handlers_run(void) {}
#endif

/* The loop's thread sends and dispatches, and blocks in one of BUSY_ITERATIONS iterations. Signals
 * interrupt it all the time. */
enum { BUSY_ITERATIONS = 1024 };
static void test_handler_interrupts_everything(void **state)
{
	(void)state;
	const char *rounds = getenv("TEST_ROUNDS");
	unsigned goal = rounds ? (unsigned)atoi(rounds) : 2000;
	struct ringwake *target = open_target(NULL);
	struct sigaction action = {.sa_handler = send_in_handler}, before;
	pthread_t self = pthread_self();
	unsigned sent = 0;
	struct counted own = {.msg.fn = count_message};
	memset(handler_messages, 0, sizeof handler_messages);
	handler_target = target;
	handler_sent = handler_errors = handler_received = 0;
	iteration = handler_iteration = handled = 0;
	stop_signals = false;
	ringwake_event_init(&handler_event, target, NULL);
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	pthread_t signaller = start(send_signals, &self);
	while (handler_sent < goal) {
		bool blocks = ++iteration % BUSY_ITERATIONS == 0;
		if (!blocks && own.count == sent) {
			sent++;
			assert_int_equal(ringwake_send(target, &own.msg), 0);
		}
		int result = ringwake_wait(target, blocks ? LONGEST_WAIT : 0);
		let_handlers_run();
		assert_true(result >= 0 || result == -EINTR || result == -ETIME);
	}
	stop_signals = true;
	join(signaller);
	sigaction(SIGUSR1, &before, NULL);
	while (ringwake_wait(target, 0) > 0)
		;
	assert_int_equal(handler_errors, 0);
	assert_int_equal(handler_received, handler_sent);
	assert_int_equal(own.count, sent);
	assert_int_equal(ringwake_event_close(&handler_event), 0);
	ringwake_close(target);
}

static void *send_own(void *target)
{
	static struct counted message = {.msg.fn = count_message};
	ringwake_send(target, &message.msg);
	return NULL;
}

/*
 * A sender is stopped after it clears ARMED and before its system call. Further messages are
 * accepted and delivered when the loop runs. A loop that arms again can be woken by other senders.
 */
static void test_stopped_sender(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct counted others[10];
	hook_doorbell();
	assert_true(ringwake_arm(target));
	hold_doorbell = true;
	pthread_t sender = start(send_own, target);
	pthread_barrier_wait(&reached);
	for (int i = 0; i < 10; i++) {
		others[i] = (struct counted){.msg.fn = count_message};
		assert_int_equal(ringwake_send(target, &others[i].msg), 0);
	}
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 11);
	/* The loop blocks again, and another sender wakes it, while the first is still stopped. */
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_send(target, &others[0].msg), 0);
	assert_int_equal(ringwake_wait(target, -1), 1);
	pthread_barrier_wait(&released);
	join(sender);
	assert_int_equal(ringwake_wait(target, 0), -ETIME); /* nothing to run */
	unhook();
	ringwake_close(target);
}

struct cancelled {
	struct ringwake *target;
	struct counted messages[100];
	_Atomic unsigned accepted;
};

static void *send_until_cancelled(void *argument)
{
	struct cancelled *cancelled = argument;
	for (unsigned i = 0; i < 100; i++) {
		cancelled->messages[i] = (struct counted){.msg.fn = count_message};
		if (ringwake_send(cancelled->target, &cancelled->messages[i].msg) == 0)
			cancelled->accepted++;
		if (i == 50)
			pthread_testcancel();
	}
	return NULL;
}

/* A send is not a cancellation point, so a cancelled thread has made the necessary doorbell. */
static void test_cancelled_sender(void **state)
{
	(void)state;
	for (int round = 0; round < 200; round++) {
		struct ringwake *target = open_target(NULL);
		static struct cancelled cancelled;
		memset(&cancelled, 0, sizeof cancelled);
		cancelled.target = target;
		pthread_t thread = start(send_until_cancelled, &cancelled);
		pthread_cancel(thread);
		unsigned ran = 0;
		while (ran < 51) {
			int result = ringwake_wait(target, -1);
			assert_true(result >= 0);
			ran += (unsigned)result;
		}
		join(thread);
		while (ringwake_wait(target, 0) >= 0)
			;
		for (unsigned i = 0; i < cancelled.accepted; i++)
			assert_int_equal(cancelled.messages[i].count, 1);
		ringwake_close(target);
	}
}

int main(void)
{
	const struct CMUnitTest signal_tests[] = {
		ON_BOTH_PATHS(test_handler_interrupts_everything),
		ON_BOTH_PATHS(test_stopped_sender),
		ON_BOTH_PATHS(test_cancelled_sender),
	};
	return RUN_BOUNDED(signal_tests, 300);
}
