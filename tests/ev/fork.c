/* SPDX-License-Identifier: MIT */
/* A forked child uses its copy of the loop after ev_loop_fork(). The parent's loop does not change.
 */
#include "fork.h"

#include <poll.h>

/* A thread of the child wakes the child's loop, with old and new watchers. */
static int child_uses_the_loop(void)
{
	unsigned before = watched.count;
	watched.wanted = before + 1;
	pthread_t sender = start(send_once, &watched.async);
	ev_run(loop, 0);
	join(sender);
	CHILD_EXPECT(watched.count == before + 1);

	ringwake_ev_async_start(binding, &stopped.async);
	CHILD_EXPECT(ringwake_ev_async_send(&stopped.async) == 0);
	ev_run(loop, 0);
	CHILD_EXPECT(stopped.count == 1);
	ringwake_ev_async_stop(&stopped.async);

	CHILD_EXPECT(ringwake_send(ringwake_ev_target(binding), &message.msg) == 0);
	ringwake_ev_async_stop(&watched.async);
	CHILD_EXPECT(ringwake_ev_detach(binding) == 0);
	CHILD_EXPECT(message.count == 1);
	ev_loop_destroy(loop);
	return 0;
}

static int child_forks_the_loop(void)
{
	/* One iteration before another thread sends, so that no send finds the parent's target. */
	ev_loop_fork(loop);
	ev_run(loop, EVRUN_NOWAIT);
	return child_uses_the_loop();
}

static void test_loop_in_a_child(void **state)
{
	open_all(state);
	check_child(child_forks_the_loop, fork);
	check_parent();
	check_child(child_forks_the_loop, fork);
	close_all();
}

/* No handler of pthread_atfork() sees this fork. */
static void test_loop_in_a_child_of_a_raw_system_call(void **state)
{
	open_all(state);
	check_child(child_forks_the_loop, fork_by_system_call);
	check_parent();
	close_all();
}

static int child_runs_the_loop(void)
{
	ev_run(loop, EVRUN_NOWAIT);
	return child_uses_the_loop();
}

/* libev itself notices the fork. */
static void test_loop_that_checks_for_forks(void **state)
{
	loop = make_loop(*state, EVFLAG_FORKCHECK);
	binding = attach_to(loop, *state);
	start_watched(&watched, 1);
	ringwake_ev_async_init(&stopped.async, count_async);
	stopped.count = 0;
	stopped.wanted = 1;
	message = (struct counted){.msg.fn = count_message};
	check_child(child_runs_the_loop, fork);
	check_parent();
	close_all();
}

static int child_has_a_child(void)
{
	ev_loop_fork(loop);
	ev_run(loop, EVRUN_NOWAIT);
	pid_t grandchild = fork();
	if (grandchild == 0) {
		_exit(child_forks_the_loop());
	}
	int status;
	CHILD_EXPECT(waitpid(grandchild, &status, 0) == grandchild);
	CHILD_EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return child_uses_the_loop();
}

static void test_loop_in_a_grandchild(void **state)
{
	open_all(state);
	check_child(child_has_a_child, fork);
	check_parent();
	close_all();
}

static int child_notes_the_parents_send(void)
{
	ev_loop_fork(loop);
	ev_run(loop, 0);
	CHILD_EXPECT(watched.count == 1);
	CHILD_EXPECT(message.count == 0);
	return 0;
}

/* So does libev with its own asyncs. A message is delivered once, in the parent. */
static void test_send_before_the_fork_reaches_both(void **state)
{
	open_all(state);
	assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
	assert_int_equal(ringwake_send(ringwake_ev_target(binding), &message.msg), 0);
	check_child(child_notes_the_parents_send, fork);
	ev_run(loop, 0);
	assert_int_equal(watched.count, 1);
	assert_int_equal(message.count, 1);
	check_parent();
	close_all();
}

static int child_sends_early(void)
{
	CHILD_EXPECT(ringwake_ev_async_send(&watched.async) == -EOWNERDEAD);
	CHILD_EXPECT(ringwake_ev_async_pending(&watched.async));
	ev_loop_fork(loop);
	ev_run(loop, 0);
	CHILD_EXPECT(watched.count == 1);
	ev_run(loop, EVRUN_NOWAIT);
	CHILD_EXPECT(watched.count == 1);
	return 0;
}

static void test_send_before_the_childs_loop_runs(void **state)
{
	open_all(state);
	check_child(child_sends_early, fork);
	check_parent();
	close_all();
}

static int child_sends_to_what_is_gone(void)
{
	struct ringwake *old = ringwake_ev_target(binding);
	CHILD_EXPECT(ringwake_send(old, &message.msg) == -EOWNERDEAD);
	ev_loop_fork(loop);
	ev_run(loop, EVRUN_NOWAIT);
	CHILD_EXPECT(ringwake_ev_target(binding) != old);
	CHILD_EXPECT(ringwake_send(old, &message.msg) == -EOWNERDEAD);
	CHILD_EXPECT(ringwake_ev_async_send(&stopped.async) < 0);
	CHILD_EXPECT(stopped.count == 0);
	return 0;
}

static void test_old_target_refuses(void **state)
{
	open_all(state);
	check_child(child_sends_to_what_is_gone, fork);
	close_all();
}

static int child_stops_and_detaches(void)
{
	ringwake_ev_async_stop(&watched.async);
	CHILD_EXPECT(ringwake_ev_detach(binding) == 0);
	ev_loop_destroy(loop);
	return 0;
}

static int child_destroys(void)
{
	ev_loop_destroy(loop);
	CHILD_EXPECT(!ev_is_active(&watched.async));
	return 0;
}

static void test_child_that_only_cleans_up(void **state)
{
	open_all(state);
	assert_int_equal(ringwake_ev_async_send(&watched.async), 0);
	check_child(child_stops_and_detaches, fork);
	check_child(child_destroys, fork);
	watched.wanted = 0;
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(watched.count, 1);
	check_parent();
	close_all();
}

static int child_runs_without_loop_fork(void)
{
	for (int i = 0; i < 3; i++)
		ev_run(loop, EVRUN_NOWAIT);
	return 0;
}

/* The program must call ev_loop_fork(). Without it, a backend that has no state in the kernel still
 * consumes nothing of the parent's. */
static void test_child_without_loop_fork_steals_nothing(void **state)
{
	open_all(state);
	struct ringwake *target = ringwake_ev_target(binding);
	assert_true(ringwake_arm(target));
	assert_int_equal(ringwake_wake(target), 0);
	check_child(child_runs_without_loop_fork, fork);
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	assert_int_equal(poll(&entry, 1, 0), 1);
	ringwake_disarm(target);
	check_parent();
	close_all();
}

static void test_loop_fork_without_a_fork(void **state)
{
	open_all(state);
	for (int i = 0; i < 3; i++) {
		ev_loop_fork(loop);
		check_parent();
	}
	close_all();
}

static int child_detaches(void)
{
	ringwake_ev_async_stop(&watched.async);
	CHILD_EXPECT(ringwake_ev_detach(binding) == 0);
	return 0;
}

static void stop_loop(struct ev_loop *in, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	ev_break(in, EVBREAK_ALL);
}

/* No handler of pthread_atfork() sees the child, which detaches. It does not wake the parent's
 * loop. */
static void test_child_of_a_raw_system_call_that_detaches(void **state)
{
	open_all(state);
	ev_run(loop, EVRUN_NOWAIT);
	check_child(child_detaches, fork_by_system_call);
	ev_timer timer;
	ev_timer_init(&timer, stop_loop, 0.05, 0);
	ev_now_update(loop);
	ev_timer_start(loop, &timer);
	unsigned before = ev_iteration(loop);
	ev_run(loop, 0);
	assert_true(ev_iteration(loop) - before <= 10);
	check_parent();
	close_all();
}

/* Another thread of the parent attaches and detaches while the parent forks. */
static struct {
	atomic_bool over;
	const struct variant *variant;
} coming_and_going;

static void *attach_and_detach(void *argument)
{
	struct ev_loop *own = argument;
	while (!atomic_load(&coming_and_going.over)) {
		struct ringwake_ev *made;
		assert_int_equal(attach_patiently(&made, own, coming_and_going.variant), 0);
		assert_int_equal(ringwake_ev_detach(made), 0);
		ev_run(own, EVRUN_NOWAIT);
	}
	return NULL;
}

static int child_attaches(void)
{
	struct ev_loop *own = ev_loop_new(coming_and_going.variant->backend | EVFLAG_NOENV);
	struct ringwake_ev *made;
	CHILD_EXPECT(own);
	CHILD_EXPECT(attach_patiently(&made, own, coming_and_going.variant) == 0);
	CHILD_EXPECT(ringwake_ev_detach(made) == 0);
	ev_loop_destroy(own);
	return 0;
}

static void test_fork_while_others_attach(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("a thread may hold the sanitizer's own locks during the fork\n");
	skip();
#endif
	open_all(state);
	struct ev_loop *own = make_loop(*state, 0);
	coming_and_going.variant = *state;
	atomic_store(&coming_and_going.over, false);
	pthread_t other = start(attach_and_detach, own);
	for (int i = 0; i < 20; i++)
		check_child(child_attaches, fork);
	atomic_store(&coming_and_going.over, true);
	join(other);
	ev_loop_destroy(own);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_ALL(test_loop_in_a_child),
		ON_ALL(test_loop_in_a_child_of_a_raw_system_call),
		ON_ALL(test_loop_that_checks_for_forks),
		ON_ALL(test_loop_in_a_grandchild),
		ON_ALL(test_send_before_the_fork_reaches_both),
		ON_ALL(test_send_before_the_childs_loop_runs),
		ON_ALL(test_old_target_refuses),
		ON_ALL(test_child_that_only_cleans_up),
		ON_BACKEND(test_child_without_loop_fork_steals_nothing, select),
		ON_BACKEND(test_child_without_loop_fork_steals_nothing, poll),
		ON_ALL(test_loop_fork_without_a_fork),
		ON_ALL(test_child_of_a_raw_system_call_that_detaches),
		ON_ALL(test_fork_while_others_attach),
	};
	return RUN_BOUNDED(tests, 120);
}
