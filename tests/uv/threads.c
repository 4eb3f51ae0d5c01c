/* SPDX-License-Identifier: MIT */
/* Several threads, several loops, and loops that move between threads. */
#include "fixture.h"

/* Many threads send messages: each is delivered once, in its sender's order. */
enum { SENDERS = 4, MESSAGES = 5000 };

struct numbered {
	struct ringwake_msg msg;
	struct storm *storm;
	unsigned sender, number;
};

struct storm {
	struct fixture f;
	struct counter stop;
	struct numbered messages[SENDERS][MESSAGES];
	unsigned next[SENDERS];
	unsigned arrived;
	bool in_order;
};

static void check_order(struct ringwake_msg *msg)
{
	struct numbered *message = (struct numbered *)msg;
	struct storm *storm = message->storm;
	if (storm->next[message->sender]++ != message->number)
		storm->in_order = false;
	if (++storm->arrived == SENDERS * MESSAGES)
		close_counter(&storm->stop);
}

static void *send_messages(void *argument)
{
	struct numbered *messages = argument;
	struct ringwake *target = ringwake_uv_target(messages->storm->f.binding);
	for (unsigned i = 0; i < MESSAGES; i++)
		if (ringwake_send(target, &messages[i].msg) != 0)
			abort();
	return NULL;
}

static void test_messages_from_threads(void **state)
{
	(void)state;
	struct storm *storm = calloc(1, sizeof *storm);
	assert_non_null(storm);
	open_loop(&storm->f);
	open_counter(&storm->f, &storm->stop, 0);
	storm->in_order = true;
	pthread_t threads[SENDERS];
	for (unsigned s = 0; s < SENDERS; s++) {
		for (unsigned i = 0; i < MESSAGES; i++)
			storm->messages[s][i] = (struct numbered){
				.msg.fn = check_order, .storm = storm, .sender = s, .number = i};
		threads[s] = start(send_messages, storm->messages[s]);
	}
	assert_int_equal(uv_run(&storm->f.loop, UV_RUN_DEFAULT), 0);
	for (unsigned s = 0; s < SENDERS; s++) {
		join(threads[s]);
		assert_int_equal(storm->next[s], MESSAGES);
	}
	assert_true(storm->in_order);
	close_loop(&storm->f);
	free(storm);
}

/* A circle of loops: each forwards what it receives to the next loop. */
enum { LOOPS = 4, ROUNDS = 500 };

struct station {
	struct fixture f;
	struct counter counter;
	struct station *next;
};

static void pass_on(ringwake_uv_async_t *async)
{
	struct station *station = async->data;
	count_call(async);
	int result = ringwake_uv_async_send(&station->next->counter.async);
	if (result != 0 &&
		result !=
			UV_ECANCELED) /* the next loop may already have received its last message */
		abort();
}

static void *run_station(void *argument)
{
	struct station *station = argument;
	uv_run(&station->f.loop, UV_RUN_DEFAULT);
	return NULL;
}

static void test_loops_in_threads(void **state)
{
	(void)state;
	static struct station stations[LOOPS];
	pthread_t threads[LOOPS];
	for (unsigned i = 0; i < LOOPS; i++) {
		struct station *station = &stations[i];
		memset(station, 0, sizeof *station);
		open_loop(&station->f);
		station->counter.close_at = ROUNDS;
		station->next = &stations[(i + 1) % LOOPS];
		assert_int_equal(ringwake_uv_async_init(
					 station->f.binding, &station->counter.async, pass_on),
			0);
		station->counter.async.data = station;
	}
	for (unsigned i = 0; i < LOOPS; i++) /* opened here, run in the threads */
		threads[i] = start(run_station, &stations[i]);
	send_counter(&stations[0].counter);
	for (unsigned i = 0; i < LOOPS; i++)
		join(threads[i]);
	for (unsigned i = 0; i < LOOPS; i++) {
		assert_int_equal(stations[i].counter.calls, ROUNDS);
		assert_false(is_this_thread(stations[i].counter.thread));
		close_loop(&stations[i].f);
	}
}

/* One loop. Each round runs in another thread. */
struct relay {
	struct fixture f;
	struct counter counter;
};

static void *run_once(void *argument)
{
	struct relay *relay = argument;
	unsigned before = relay->counter.calls;
	while (relay->counter.calls == before)
		uv_run(&relay->f.loop, UV_RUN_ONCE);
	return NULL;
}

static void test_loop_changes_threads(void **state)
{
	(void)state;
	struct relay relay;
	open_loop(&relay.f);
	open_counter(&relay.f, &relay.counter, 0);
	for (unsigned i = 1; i <= 100; i++) {
		pthread_t thread = start(run_once, &relay);
		send_counter(&relay.counter);
		join(thread);
		assert_int_equal(relay.counter.calls, i);
	}
	close_counter(&relay.counter);
	close_loop(&relay.f);
}

#ifdef __SANITIZE_THREAD__
/* libuv closes descriptors by a raw system call, which ThreadSanitizer does not see. When one
 * thread closes a descriptor and another gets the same number, ThreadSanitizer reports a race. Only
 * these reports are suppressed. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:epoll_create1\nrace:eventfd\nrace:pipe2\n";
}
#endif

static void do_nothing(uv_work_t *request)
{
	(void)request;
}

/* Several threads attach, use and detach their own loops at the same time. */
static void *attach_and_detach(void *argument)
{
	enum ringwake_path path = *(enum ringwake_path *)argument;
	for (int i = 0; i < 50; i++) {
		uv_loop_t loop;
		struct ringwake_uv *binding;
		struct counter counter = {.close_at = 1};
		struct ringwake_params params = {.path = path};
		uv_work_t work;
		if (uv_loop_init(&loop) != 0 || ringwake_uv_attach(&binding, &loop, &params) != 0)
			abort();
		if (ringwake_uv_async_init(binding, &counter.async, count_call) != 0 ||
			ringwake_uv_async_send(&counter.async) != 0 ||
			ringwake_uv_queue_work(binding, &work, do_nothing, NULL) != 0)
			abort();
		if (uv_run(&loop, UV_RUN_DEFAULT) != 0 || counter.calls != 1 ||
			ringwake_uv_detach(binding) != 0 || uv_loop_close(&loop) != 0)
			abort();
	}
	return NULL;
}

static void test_attach_in_many_threads(void **state)
{
	(void)state;
	struct fixture f;
	pthread_t threads[4];
	open_loop(&f); /* may skip the test */
	for (int i = 0; i < 4; i++)
		threads[i] = start(attach_and_detach, &test_path);
	for (int i = 0; i < 4; i++)
		join(threads[i]);
	close_loop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_messages_from_threads),
		ON_BOTH_PATHS(test_loops_in_threads),
		ON_BOTH_PATHS(test_loop_changes_threads),
		ON_BOTH_PATHS(test_attach_in_many_threads),
	};
	return RUN_BOUNDED(tests, 60);
}
