/* SPDX-License-Identifier: MIT */
/*
 * Nothing that an application does to its own ring may prevent a wake of a target on it. Most tests
 * matter only to the poll request of the eventfd path. All run on both paths.
 */
#include <semaphore.h>

#include "rings.h"

/* The eventfd of the target that was opened last. */
static int newest_eventfd;

static int watched_eventfd(unsigned count, int flags)
{
	return newest_eventfd = real_system.eventfd(count, flags);
}

static struct ringwake *open_watched(struct io_uring *ring)
{
	newest_eventfd = ring->ring_fd;
	if (test_path == RINGWAKE_PATH_MSG_RING)
		return open_doorbell(ring); /* may skip the test */
	hook_doorbell();
	ringwake_system.eventfd = watched_eventfd;
	struct ringwake *target = open_doorbell(ring);
	unhook();
	return target;
}

#define CANCELLED 0xca

enum how { EVERYTHING, BY_FD, BY_USER_DATA, HOWS };

static void cancel(struct io_uring *ring, enum how how)
{
	struct io_uring_sqe *sqe = get_sqe(ring);
	if (how == EVERYTHING)
		io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	else if (how == BY_FD)
		io_uring_prep_cancel_fd(sqe, newest_eventfd, IORING_ASYNC_CANCEL_ALL);
	else
		io_uring_prep_cancel64(sqe, DOORBELL, IORING_ASYNC_CANCEL_ALL);
	io_uring_sqe_set_data64(sqe, CANCELLED);
	assert_true(io_uring_submit(ring) >= 0);
	assert_true(await_completion(ring, CANCELLED)->res != -EINVAL);
}

/* Afterwards the loop blocks as usual, at once or after it has handled the completions. */
static void test_cancelled_before_the_wait(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (enum how how = 0; how < HOWS; how++) {
			struct io_uring ring;
			if (!make_ring(&ring, 8, setup->flags))
				break;
			struct ringwake *target = open_watched(&ring);
			assert_wakes(&ring, target);
			for (int round = 0; round < 3; round++) {
				cancel(&ring, how);
				if (round == 1)
					take_completions(&ring, target);
				int result = ringwake_wait(target, 0);
				assert_true(result == 0 || result == -ETIME);
				assert_wakes(&ring, target);
			}
			close_clean(&ring, target);
		}
	}
}

/* The request is cancelled between arm and the wait: the loop must not block without it. */
static void test_cancelled_while_armed(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (enum how how = 0; how < HOWS; how++) {
			struct io_uring ring;
			if (!make_ring(&ring, 8, setup->flags))
				break;
			struct ringwake *target = open_watched(&ring);
			arm(&ring, target);
			cancel(&ring, how);
			assert_wakes_armed(&ring, target);
			assert_wakes(&ring, target);
			close_clean(&ring, target);
		}
	}
}

static void test_cancelled_before_close(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (enum how how = 0; how < HOWS; how++) {
			for (int is_armed = 0; is_armed < 2; is_armed++) {
				struct io_uring ring;
				if (!make_ring(&ring, 8, setup->flags))
					break;
				struct ringwake *target = open_watched(&ring);
				assert_wakes(&ring, target);
				if (is_armed)
					arm(&ring, target);
				cancel(&ring, how);
				close_clean(&ring, target);
			}
		}
	}
}

static sem_t asleep;
static int hooked_enter(int fd, unsigned min, unsigned flags, const void *arg, size_t size)
{
	if (min > 0)
		sem_post(&asleep);
	return real_system.enter(fd, min, flags, arg, size);
}

struct disturbance {
	struct ringwake *target;
	struct io_uring *ring;
	int result; /* the result of the cancellation */
	struct counted message;
};

static void *cancel_then_send(void *argument)
{
	struct disturbance *disturbance = argument;
	struct io_uring_sync_cancel_reg request = {.fd = -1,
		.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
		.timeout = {-1, -1}};
	sem_wait(&asleep);
	disturbance->result = real_system.register_ring(
		disturbance->ring->ring_fd, IORING_REGISTER_SYNC_CANCEL, &request, 1);
	if (ringwake_send(disturbance->target, &disturbance->message.msg) != 0)
		abort();
	return NULL;
}

static void test_cancelled_during_the_sleep(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		struct io_uring ring;
		if (!make_ring(&ring, 8, setup->flags))
			continue;
		struct ringwake *target = open_watched(&ring);
		for (int round = 0; round < 20; round++) {
			struct disturbance disturbance = {
				target, &ring, 0, {{.fn = count_message}, 0}};
			assert_int_equal(ringwake_wait(target, 0), -ETIME);
			sem_init(&asleep, 0, 0);
			hook_doorbell();
			ringwake_system.enter = hooked_enter;
			pthread_t thread = start(cancel_then_send, &disturbance);
			while (disturbance.message.count == 0) {
				assert_true(ringwake_wait(target, PATIENCE_NS) >= 0);
				take_completions(&ring, target);
			}
			join(thread);
			unhook();
			assert_true(disturbance.result >= 0 || disturbance.result == -EEXIST);
			assert_wakes(&ring, target);
		}
		close_clean(&ring, target);
	}
}

/* A multishot request ends when the queue overflows. Its last completion is in the backlog. */
static void test_ended_by_an_overflow(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		for (int round = 0; round < 2; round++) {
			struct io_uring ring;
			if (!make_ring_of(&ring, 4, 4, setup->flags))
				break;
			struct ringwake *target = open_watched(&ring);
			struct counted message = {.msg.fn = count_message};
			arm(&ring, target);
			for (int i = 0; i < 6; i++) {
				prepare_nop(&ring, 1);
				assert_true(io_uring_submit(&ring) >= 0);
				if (setup->flags & IORING_SETUP_SQPOLL)
					while (io_uring_sq_ready(&ring))
						sched_yield();
			}
			assert_int_equal(ringwake_send(target, &message.msg), 0);
			ringwake_disarm(target);
			assert_int_equal(ringwake_dispatch(target, 0), 1);
			unsigned own = 0;
			if (round == 0) {
				while (own < 6) {
					assert_int_equal(ringwake_wait(target, -1), 0);
					own += take_completions(&ring, target);
				}
				assert_wakes(&ring, target);
				assert_wakes(&ring, target);
			} else if (!searches_backlog(setup)) {
				ringwake_close(target);
				io_uring_queue_exit(&ring);
				continue;
			}
			close_clean(&ring, target);
		}
	}
}

/* Closing one target cancels its request and leaves the other target's request pending. */
static void test_two_targets(void **state)
{
	(void)state;
	FOR_EACH_SETUP(setup)
	{
		struct io_uring ring;
		if (!make_ring(&ring, 8, setup->flags))
			continue;
		struct ringwake *one = open_watched(&ring);
		struct ringwake *other = open_target(&ring);
		struct counted message = {.msg.fn = count_message};
		arm(&ring, one);
		arm(&ring, other);
		assert_int_equal(ringwake_send(one, &message.msg), 0);
		ringwake_close(one);
		assert_int_equal(message.count, 1);
		assert_wakes_armed(&ring, other);
		assert_wakes(&ring, other);
		one = open_doorbell(&ring); /* with the same user data as the closed target */
		assert_wakes(&ring, one);
		assert_wakes(&ring, other);
		ringwake_close(other);
		assert_wakes(&ring, one);
		close_clean(&ring, one);
	}
}

int main(void)
{
	const struct CMUnitTest watch_tests[] = {
		ON_BOTH_PATHS(test_cancelled_before_the_wait),
		ON_BOTH_PATHS(test_cancelled_while_armed),
		ON_BOTH_PATHS(test_cancelled_before_close),
		ON_BOTH_PATHS(test_cancelled_during_the_sleep),
		ON_BOTH_PATHS(test_ended_by_an_overflow),
		ON_BOTH_PATHS(test_two_targets),
	};
	return RUN_BOUNDED(watch_tests, 120);
}
