/* SPDX-License-Identifier: MIT */
/*
 * A flood of sends does not starve the loop's other watchers, however many are ready. An idle loop
 * blocks. 65 watchers are one more than the completion queue of libev's io_uring backend holds.
 */
#include "common.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

#define ENOUGH 5

static struct {
	ev_io *watchers;
	unsigned *fired;
	unsigned count;
	unsigned left; /* watchers that have not fired often enough */
	bool timer_fired;
} crowd;

static void end_if_all_ran(struct ev_loop *in)
{
	if (crowd.left == 0 && crowd.timer_fired)
		ev_break(in, EVBREAK_ALL);
}

static void count_io(struct ev_loop *in, ev_io *io, int revents)
{
	(void)revents;
	if (++crowd.fired[io - crowd.watchers] == ENOUGH)
		crowd.left--;
	end_if_all_ran(in);
}

static void note_timer(struct ev_loop *in, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	crowd.timer_fired = true;
	end_if_all_ran(in);
}

/* More messages than one dispatch takes. Each callback sends its message again, so the target is
 * never empty. */
#define MESSAGES 600

static void send_again(struct ringwake_msg *msg)
{
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), msg), 0);
}

static void ignore_message(struct ringwake_msg *msg)
{
	(void)msg;
}

static struct {
	ringwake_ev_async async;
	atomic_bool over;
} flood;

static void *send_all_along(void *argument)
{
	(void)argument;
	while (!atomic_load(&flood.over))
		ringwake_ev_async_send(&flood.async);
	return NULL;
}

static void ignore_async(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	(void)in;
	(void)async;
	(void)revents;
}

static void check_flood_beside(void **state, unsigned ready)
{
	static struct ringwake_msg messages[MESSAGES];
	open_loop(state);
	crowd.count = crowd.left = ready;
	crowd.timer_fired = false;
	crowd.watchers = calloc(ready, sizeof *crowd.watchers);
	crowd.fired = calloc(ready, sizeof *crowd.fired);
	for (unsigned i = 0; i < ready; i++) {
		int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_true(fd >= 0);
		ev_io_init(&crowd.watchers[i], count_io, fd, EV_READ);
		ev_io_start(loop, &crowd.watchers[i]);
	}
	ev_timer timer;
	ev_timer_init(&timer, note_timer, 0.001, 0);
	ev_timer_start(loop, &timer);
	for (int i = 0; i < MESSAGES; i++) {
		messages[i].fn = send_again;
		assert_int_equal(ringwake_send(ringwake_ev_target(binding), &messages[i]), 0);
	}
	ringwake_ev_async_init(&flood.async, ignore_async);
	ringwake_ev_async_start(binding, &flood.async);
	atomic_store(&flood.over, false);
	pthread_t sender = start(send_all_along, NULL);

	ev_run(loop, 0);

	atomic_store(&flood.over, true);
	join(sender);
	for (unsigned i = 0; i < ready; i++)
		assert_true(crowd.fired[i] >= ENOUGH);
	assert_true(crowd.timer_fired);
	assert_true(stats_of(ringwake_ev_target(binding)).messages > MESSAGES);
	for (int i = 0; i < MESSAGES; i++)
		messages[i].fn = ignore_message;
	/* Do not stop the watchers one by one: libev's io_uring backend aborts on that. */
	ev_loop_destroy(loop);
	for (unsigned i = 0; i < ready; i++)
		close(crowd.watchers[i].fd);
	free(crowd.watchers);
	free(crowd.fired);
}

static void test_flood_beside_1_ready(void **state)
{
	check_flood_beside(state, 1);
}

static void test_flood_beside_64_ready(void **state)
{
	check_flood_beside(state, 64);
}

static void test_flood_beside_65_ready(void **state)
{
	check_flood_beside(state, 65);
}

static void test_flood_beside_1000_ready(void **state)
{
	check_flood_beside(state, 1000);
}

/* All variants run at the same time, in 3 seconds instead of 24. */
#define IDLE_SECONDS 3

struct idler {
	struct ev_loop *loop;
	struct ringwake_ev *binding;
	ringwake_ev_async async;
	ev_timer timer;
	unsigned callbacks;
	unsigned before, after; /* iterations */
};

static void note_end(struct ev_loop *in, ev_timer *timer, int revents)
{
	struct idler *idler = timer->data;
	(void)revents;
	idler->after = ev_iteration(in);
	ev_break(in, EVBREAK_ALL);
}

/* The loop becomes idle after a flood, which must not keep it busy. */
static void begin_to_idle(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	struct idler *idler = (struct idler *)async->data;
	(void)revents;
	if (++idler->callbacks < 200) {
		assert_int_equal(ringwake_ev_async_send(async), 0);
		return;
	}
	ev_now_update(in);
	idler->before = ev_iteration(in);
	ev_timer_init(&idler->timer, note_end, IDLE_SECONDS, 0);
	idler->timer.data = idler;
	ev_timer_start(in, &idler->timer);
}

static void *idle(void *argument)
{
	struct idler *idler = argument;
	ringwake_ev_async_init(&idler->async, begin_to_idle);
	idler->async.data = idler;
	ringwake_ev_async_start(idler->binding, &idler->async);
	assert_int_equal(ringwake_ev_async_send(&idler->async), 0);
	ev_run(idler->loop, 0);
	ringwake_ev_async_stop(&idler->async);
	return NULL;
}

static struct variant *const variants[] = {&select_by_msg_ring, &select_by_eventfd,
	&poll_by_msg_ring, &poll_by_eventfd, &epoll_by_msg_ring, &epoll_by_eventfd,
	&io_uring_by_msg_ring, &io_uring_by_eventfd};
#define VARIANT_COUNT (sizeof variants / sizeof *variants)

static bool open_idler(struct idler *idler, const struct variant *variant)
{
	idler->loop = ev_loop_new(variant->backend | EVFLAG_NOENV);
	if (idler->loop == NULL)
		return false;
	if (attach_patiently(&idler->binding, idler->loop, variant) == 0)
		return true;
	ev_loop_destroy(idler->loop);
	return false;
}

static void test_idle_loop_does_nothing(void **state)
{
	(void)state;
	static struct idler idlers[VARIANT_COUNT];
	pthread_t threads[VARIANT_COUNT];
	unsigned count = 0;
	for (size_t i = 0; i < VARIANT_COUNT; i++)
		count += open_idler(&idlers[count], variants[i]);
	assert_true(count > 0);
	for (unsigned i = 0; i < count; i++)
		threads[i] = start(idle, &idlers[i]);
	for (unsigned i = 0; i < count; i++)
		join(threads[i]);
	for (unsigned i = 0; i < count; i++) {
		unsigned iterations = idlers[i].after - idlers[i].before;
		print_message("# backend %#x: %u iterations in %d idle seconds\n",
			ev_backend(idlers[i].loop), iterations, IDLE_SECONDS);
		/* The iterations that end the flood, and those of the timer, which may wake once
		 * too early. */
		assert_true(iterations >= 1 && iterations <= 5);
		assert_int_equal(ringwake_ev_detach(idlers[i].binding), 0);
		ev_loop_destroy(idlers[i].loop);
	}
}

static void allow_a_thousand_descriptors(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 1200) {
		limit.rlim_cur = 1200;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(void)
{
	allow_a_thousand_descriptors();
	const struct CMUnitTest tests[] = {
		ON_ALL(test_flood_beside_1_ready),
		ON_ALL(test_flood_beside_64_ready),
		ON_ALL(test_flood_beside_65_ready),
		ON_ALL(test_flood_beside_1000_ready),
		cmocka_unit_test(test_idle_loop_does_nothing),
	};
	return RUN_BOUNDED(tests, 120);
}
