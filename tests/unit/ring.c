/* SPDX-License-Identifier: MIT */
/* Targets on the application's ring: all setups, accepted and refused. */
#include "rings.h"

struct request {
	struct ringwake *target;
	struct counted *messages;
	unsigned count;
};

static void *send_messages(void *argument)
{
	struct request *request = argument;
	for (unsigned i = 0; i < request->count; i++)
		if (ringwake_send(request->target, &request->messages[i].msg) != 0)
			abort();
	return NULL;
}

/* Counts and consumes the queued completions. The application's user data are 1, 2, 3 ... in order.
 */
static unsigned reap(struct io_uring *ring, const struct ringwake *target, uint64_t *next)
{
	struct io_uring_cqe *cqe;
	unsigned head, seen = 0, own = 0;
	io_uring_for_each_cqe(ring, head, cqe)
	{
		seen++;
		if (ringwake_is_doorbell(target, cqe))
			continue;
		assert_int_equal(cqe->user_data, (*next)++);
		own++;
	}
	io_uring_cq_advance(ring, seen);
	return own;
}

/* The application's completions and the doorbells share the ring and are never confused. */
static void test_doorbells_and_completions(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		enum { COUNT = 2000 };
		static struct counted messages[COUNT];
		struct io_uring ring;
		if (!make_ring(&ring, 8, setup->flags))
			continue;
		struct ringwake *target = open_target(&ring);
		for (int i = 0; i < COUNT; i++)
			messages[i] = (struct counted){.msg.fn = count_message};
		struct request request = {target, messages, COUNT};
		pthread_t sender = start(send_messages, &request);
		uint64_t submitted = 0, next = 1;
		unsigned ran = 0, own = 0;
		while (ran < COUNT || own < submitted) {
			if (submitted < COUNT && submitted - own < 4)
				prepare_nop(&ring, ++submitted);
			int result = ringwake_wait(target, -1);
			assert_true(result >= 0);
			ran += (unsigned)result;
			own += reap(&ring, target, &next);
		}
		join(sender);
		assert_int_equal(ran, COUNT);
		ringwake_close(target);
		assert_int_equal(io_uring_cq_ready(&ring), 0);
		io_uring_queue_exit(&ring);
	}
}

/* The application uses its own wait between arm and disarm. */
static void test_own_wait(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		enum { COUNT = 500 };
		static struct counted messages[COUNT];
		struct io_uring ring;
		if (!make_ring(&ring, 8, setup->flags))
			continue;
		struct ringwake *target = open_target(&ring);
		for (int i = 0; i < COUNT; i++)
			messages[i] = (struct counted){.msg.fn = count_message};
		struct request request = {target, messages, COUNT};
		pthread_t sender = start(send_messages, &request);
		unsigned ran = 0;
		uint64_t next = 1;
		while (ran < COUNT) {
			int result = io_uring_submit_and_wait(&ring, ringwake_arm(target) ? 1 : 0);
			assert_true(result >= 0 || result == -EINTR);
			ringwake_disarm(target);
			reap(&ring, target, &next);
			ran += (unsigned)ringwake_dispatch(target, 0);
		}
		join(sender);
		ringwake_close(target);
		io_uring_queue_exit(&ring);
	}
}

/* A queue of two entries overflows with the application's completions; nothing is lost. */
static void test_overflowing_queue(void **state)
{
	(void)state;
	enum { COUNT = 64 };
	struct io_uring ring;
	struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 2};
	assert_int_equal(io_uring_queue_init_params(2, &ring, &params), 0);
	struct ringwake *target = open_target(&ring);
	struct counted message = {.msg.fn = count_message};
	uint64_t submitted = 0, next = 1;
	for (int i = 0; i < COUNT; i++) {
		prepare_nop(&ring, ++submitted);
		assert_int_equal(io_uring_submit(&ring), 1);
	}
	/* The poll of the eventfd starts when the queue has room. Until then the loop must not
	 * block. */
	assert_int_equal(ringwake_arm(target), test_path == RINGWAKE_PATH_MSG_RING);
	assert_int_equal(ringwake_send(target, &message.msg), 0);
	unsigned own = 0, ran = 0;
	while (own < COUNT || ran < 1) {
		int result = ringwake_wait(target, -1);
		assert_true(result >= 0);
		ran += (unsigned)result;
		own += reap(&ring, target, &next);
	}
	assert_int_equal(message.count, 1);
	ringwake_close(target);
	io_uring_queue_exit(&ring);
}

/* Close removes unread doorbells from between the application's completions. */
static void test_close_leaves_no_doorbell(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		struct io_uring ring;
		if (!make_ring(&ring, 8, setup->flags))
			continue;
		struct ringwake *target = open_target(&ring);
		struct counted message = {.msg.fn = count_message};
		uint64_t submitted = 0, next = 1;
		assert_true(ringwake_arm(target));
		ringwake_disarm(target);
		for (int i = 0; i < 3; i++) {
			prepare_nop(&ring, ++submitted);
			io_uring_submit(&ring);
			assert_true(ringwake_arm(target));
			ringwake_send(target, &message.msg);
			ringwake_disarm(target);
			ringwake_dispatch(target, 0);
		}
		prepare_nop(&ring, ++submitted);
		io_uring_submit(&ring);
		/* A kernel thread may still be executing them. */
		struct __kernel_timespec patience = {.tv_sec = PATIENCE_SECONDS};
		struct io_uring_cqe *cqe;
		assert_int_equal(io_uring_wait_cqes(&ring, &cqe, 4, &patience, NULL), 0);
		struct ringwake *kept = ringwake_ref(target);
		ringwake_close(target);
		assert_int_equal(io_uring_wait_cqes(&ring, &cqe, 4, &patience, NULL), 0);
		assert_int_equal(io_uring_cq_ready(&ring), 4);
		assert_int_equal(reap(&ring, kept, &next), 4);
		ringwake_unref(kept);
		io_uring_queue_exit(&ring);
	}
}

static int submit_error;
static int failing_submit(struct io_uring *ring)
{
	return submit_error ? submit_error : real_system.submit(ring);
}

/* If the doorbell is a request on this ring, a failed submission is retried or undone. */
static void test_failing_submission(void **state)
{
	(void)state;
	for (int recovers = 0; recovers < 2; recovers++) {
		struct io_uring ring;
		assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
		struct ringwake *target = open_target(&ring);
		struct counted message = {.msg.fn = count_message};
		hook_doorbell();
		ringwake_system.submit = failing_submit;
		submit_error = -EAGAIN;
		assert_int_equal(ringwake_arm(target), test_path == RINGWAKE_PATH_MSG_RING);
		ringwake_disarm(target);
		if (recovers) {
			submit_error = 0;
			assert_true(ringwake_arm(target));
			assert_int_equal(ringwake_send(target, &message.msg), 0);
			assert_int_equal(ringwake_wait(target, -1), 1);
		}
		ringwake_close(target);
		unhook();
		io_uring_submit(&ring);
		assert_int_equal(io_uring_cq_ready(&ring), 0);
		io_uring_queue_exit(&ring);
	}
}

static void test_two_targets_on_one_ring(void **state)
{
	(void)state;
	struct io_uring ring;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct ringwake *one = open_target_with(&ring, (struct ringwake_params){.user_data = 77});
	struct ringwake *other = open_target(&ring);
	struct counted message = {.msg.fn = count_message};
	assert_true(ringwake_arm(one));
	ringwake_send(one, &message.msg);
	io_uring_submit_and_wait(&ring, 1);
	struct io_uring_cqe *cqe;
	assert_int_equal(io_uring_peek_cqe(&ring, &cqe), 0);
	assert_int_equal(cqe->user_data, 77);
	assert_true(ringwake_is_doorbell(one, cqe));
	assert_false(ringwake_is_doorbell(other, cqe));
	ringwake_disarm(one);
	assert_int_equal(ringwake_dispatch(other, 0), 0);
	assert_int_equal(ringwake_dispatch(one, 0), 1);
	ringwake_close(one);
	ringwake_close(other);
	io_uring_queue_exit(&ring);
}

static void test_refused_rings(void **state)
{
	(void)state;
	struct ringwake *target;
	struct ringwake_params params = {.path = test_path};
	struct io_uring ring;
	assert_int_equal(io_uring_queue_init(8, &ring, IORING_SETUP_R_DISABLED), 0);
	assert_int_equal(ringwake_open(&target, &ring, &params), -EBADFD);
	io_uring_queue_exit(&ring);
	assert_int_equal(io_uring_queue_init(8, &ring, IORING_SETUP_IOPOLL), 0);
	assert_int_equal(ringwake_open(&target, &ring, &params), -EOPNOTSUPP);
	io_uring_queue_exit(&ring);
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	ring.ring_fd = -1;
	assert_int_equal(ringwake_open(&target, &ring, &params), -EBADF);
	ring.ring_fd = ring.enter_ring_fd;
	io_uring_queue_exit(&ring);
	assert_int_equal(ringwake_open(&target, &ring, &params), -EBADF);
}

static void test_deferred_ring_is_not_to_be_polled(void **state)
{
	(void)state;
	struct io_uring ring;
	if (!make_ring(&ring, 8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN))
		skip();
	struct ringwake *target = open_target(&ring);
	assert_int_equal(ringwake_fd(target), -EOPNOTSUPP);
	ringwake_close(target);
	io_uring_queue_exit(&ring);
}

static void test_post(void **state)
{
	(void)state;
	struct io_uring ring;
	assert_int_equal(io_uring_queue_init(8, &ring, 0), 0);
	struct ringwake *target = open_target(&ring);
	if (test_path == RINGWAKE_PATH_EVENTFD) {
		assert_int_equal(ringwake_post(target, 1, 2), -EOPNOTSUPP);
	} else {
		for (int i = 0; i < 3; i++)
			assert_int_equal(ringwake_post(target, 4711 + (uint64_t)i, -i), 0);
		assert_int_equal(io_uring_cq_ready(&ring), 3);
		for (int i = 0; i < 3; i++) {
			struct io_uring_cqe *cqe;
			assert_int_equal(io_uring_peek_cqe(&ring, &cqe), 0);
			assert_int_equal(cqe->user_data, 4711 + i);
			assert_int_equal(cqe->res, -i);
			io_uring_cqe_seen(&ring, cqe);
		}
	}
	ringwake_close(target);
	io_uring_queue_exit(&ring);
	target = open_target(NULL);
	assert_int_equal(ringwake_post(target, 1, 2), -EOPNOTSUPP); /* no loop would see it */
	ringwake_close(target);
}

static void *open_elsewhere(void *argument)
{
	struct ringwake **out = argument;
	struct ringwake_params params = {.path = test_path};
	if (ringwake_open(out, NULL, &params) != 0)
		*out = NULL;
	else
		ringwake_wait(*out, 1); /* makes a thread that is about to end register the ring */
	return NULL;
}

static void test_opened_in_another_thread(void **state)
{
	(void)state;
	struct ringwake *target = NULL;
	struct counted message = {.msg.fn = count_message};
	join(start(open_elsewhere, &target));
	if (target == NULL)
		skip();
	struct request request = {target, &message, 1};
	pthread_t sender = start(send_messages, &request);
	assert_int_equal(ringwake_wait(target, -1), 1);
	join(sender);
	ringwake_close(target);
}

int main(void)
{
	const struct CMUnitTest ring_tests[] = {
		ON_BOTH_PATHS(test_doorbells_and_completions),
		ON_BOTH_PATHS(test_own_wait),
		ON_BOTH_PATHS(test_overflowing_queue),
		ON_BOTH_PATHS(test_close_leaves_no_doorbell),
		ON_BOTH_PATHS(test_failing_submission),
		ON_BOTH_PATHS(test_two_targets_on_one_ring),
		ON_BOTH_PATHS(test_refused_rings),
		ON_BOTH_PATHS(test_deferred_ring_is_not_to_be_polled),
		ON_BOTH_PATHS(test_post),
		ON_BOTH_PATHS(test_opened_in_another_thread),
	};
	return RUN_BOUNDED(ring_tests, 120);
}
