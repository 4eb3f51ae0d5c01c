/* SPDX-License-Identifier: MIT */
/* ringwake_call(): the loop runs a function for a thread that waits for it. */
#include <sched.h>
#include <signal.h>

#include "../../lib/target.h"
#include "hooks.h"

/* What a call's function gets, and what it answers. */
struct request {
	int question, answer;
	unsigned runs;
	pthread_t ran_on;
};

static void answer(void *argument)
{
	struct request *request = argument;
	request->answer = request->question + 1;
	request->runs++;
	request->ran_on = pthread_self();
}

/* A thread that calls. */
struct caller {
	struct ringwake *target;
	int64_t timeout_ns;
	void (*fn)(void *argument);
	struct request request;
	int result, error_number;
	int64_t time_ns;
	pthread_t thread;
};

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *call(void *argument)
{
	struct caller *caller = argument;
	int64_t begin = now_ns();
	errno = EDOM;
	caller->result =
		ringwake_call(caller->target, caller->fn, &caller->request, caller->timeout_ns);
	caller->error_number = errno;
	caller->time_ns = now_ns() - begin;
	ringwake_unref(caller->target);
	return NULL;
}

static void start_caller_of(struct caller *caller, struct ringwake *target, int64_t timeout_ns,
	void (*fn)(void *argument), void *(*thread)(void *caller))
{
	memset(caller, 0, sizeof *caller);
	caller->target = ringwake_ref(target);
	caller->timeout_ns = timeout_ns;
	caller->fn = fn;
	caller->request.question = 41;
	caller->thread = start(thread, caller);
}

static void start_caller(struct caller *caller, struct ringwake *target, int64_t timeout_ns)
{
	start_caller_of(caller, target, timeout_ns, answer, call);
}

/* The call's message is in the target's list. */
static void await_message(struct ringwake *target)
{
	while (!ringwake_pending(target))
		sched_yield();
}

static void assert_answered(struct caller *caller)
{
	join(caller->thread);
	assert_int_equal(caller->result, 0);
	assert_int_equal(caller->request.runs, 1);
	assert_int_equal(caller->request.answer, 42);
	assert_true(pthread_equal(caller->request.ran_on, pthread_self()));
	assert_int_equal(caller->error_number, EDOM);
}

/* Also after the loop has taken the message. */
static void assert_failed(struct caller *caller, int error)
{
	join(caller->thread);
	assert_int_equal(caller->result, error);
	assert_int_equal(caller->request.runs, 0);
	assert_int_equal(caller->error_number, EDOM);
}

static void test_runs_on_the_loop(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct caller caller;
	start_caller(&caller, target, -1);
	while (ringwake_wait(target, -1) == 0) /* blocked or awake */
		;
	assert_answered(&caller);
	start_caller(&caller, target, PATIENCE_NS);
	await_message(target);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_answered(&caller);
	ringwake_close(target);
}

/* The answer wakes the caller, and not the end of one of its pauses. */
static int wait_without_pauses(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	(void)timeout;
	return real_system.futex_wait(word, expected, NULL);
}

static void test_answer_wakes_the_caller(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct caller caller;
	real_system = ringwake_system;
	ringwake_system.futex_wait = wait_without_pauses;
	for (int i = 0; i < 100; i++) {
		start_caller(&caller, target, -1);
		await_message(target);
		if (i % 2 == 0)
			sched_yield();
		assert_int_equal(ringwake_dispatch(target, 0), 1);
		assert_answered(&caller);
	}
	start_caller(&caller, target, -1);
	await_message(target);
	ringwake_close(target);
	assert_failed(&caller, -ECANCELED);
	ringwake_system = real_system;
}

static void test_without_a_function(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	assert_int_equal(ringwake_call(target, NULL, NULL, -1), -EINVAL);
	ringwake_close(target);
}

static void test_time_is_over(void **state)
{
	(void)state;
	static const int64_t timeouts[] = {0, 1, 1000, 20000000, 150000000};
	struct ringwake *target = open_target(NULL);
	for (unsigned i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
		struct caller caller;
		start_caller(&caller, target, timeouts[i]);
		assert_failed(&caller, -ETIME);
		assert_true(caller.time_ns >= timeouts[i]);
		/* The message is still there, but the function does not run any more. */
		if (i % 2 == 0)
			assert_int_equal(ringwake_dispatch(target, 0), i == 0 ? 1 : 2);
		assert_int_equal(caller.request.runs, 0);
	}
	ringwake_close(target);
}

static pthread_barrier_t running, go_on;

static void answer_slowly(void *argument)
{
	pthread_barrier_wait(&running);
	pthread_barrier_wait(&go_on);
	answer(argument);
}

static void *run_loop_once(void *target)
{
	return ringwake_wait(target, -1) == 1 ? NULL : target;
}

/* Once the function has started, the caller waits for its end: the argument is the caller's. */
static void test_time_is_over_while_it_runs(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct caller caller;
	pthread_barrier_init(&running, NULL, 2);
	pthread_barrier_init(&go_on, NULL, 2);
	start_caller_of(&caller, target, 300000000, answer_slowly, call);
	pthread_t loop = start(run_loop_once, target);
	pthread_barrier_wait(&running);
	/* Longer than the caller's timeout, which must not count while the function runs. */
	nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
	pthread_barrier_wait(&go_on);
	join(loop);
	join(caller.thread);
	assert_int_equal(caller.result, 0);
	assert_int_equal(caller.request.runs, 1);
	assert_true(caller.time_ns >= 500000000);
	pthread_barrier_destroy(&running);
	pthread_barrier_destroy(&go_on);
	ringwake_close(target);
}

struct caught {
	struct ringwake_msg msg;
	struct ringwake *target;
	struct request request;
	int result;
	bool closes;
	void *argument;
};

static void call_itself(struct ringwake_msg *msg)
{
	struct caught *caught = (struct caught *)msg;
	if (caught->closes)
		ringwake_close(caught->target);
	caught->result = ringwake_call(caught->target, answer, &caught->request, -1);
}

static void test_on_the_loop_itself(void **state)
{
	(void)state;
	struct ringwake *target = ringwake_ref(open_target(NULL));
	struct caught caught = {.msg.fn = call_itself, .target = target};
	assert_int_equal(ringwake_send(target, &caught.msg), 0);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_int_equal(caught.result, -EDEADLK);
	/* Between two iterations, too. */
	assert_int_equal(ringwake_call(target, answer, &caught.request, -1), -EDEADLK);
	caught.closes = true;
	assert_int_equal(ringwake_send(target, &caught.msg), 0);
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_int_equal(caught.result, -ECANCELED);
	assert_int_equal(ringwake_call(target, answer, &caught.request, -1), -ECANCELED);
	assert_int_equal(caught.request.runs, 0);
	ringwake_unref(target);
}

/* The loop's thread is known from its first iteration on, also if it waits by itself. */
static void test_on_a_loop_with_a_wait_of_its_own(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct request request = {0};
	ringwake_arm(target);
	ringwake_disarm(target);
	assert_int_equal(ringwake_call(target, answer, &request, -1), -EDEADLK);
	ringwake_close(target);
}

/* No thread runs the loop. Another thread still could, unless the caller's time is over. */
static void test_before_the_first_iteration(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct request request = {.question = 41};
	assert_int_equal(ringwake_call(target, answer, &request, 0), -EDEADLK);
	assert_int_equal(ringwake_call(target, answer, &request, 20000000), -EDEADLK);
	assert_int_equal(ringwake_dispatch(target, 0), 2);
	assert_int_equal(request.runs, 0);
	ringwake_close(target);

	target = open_target(NULL);
	assert_int_equal(ringwake_call(target, answer, &request, -1), -EDEADLK);
	ringwake_close(target);

	target = open_target(NULL);
	pthread_t loop = start(run_loop_once, target);
	assert_int_equal(ringwake_call(target, answer, &request, -1), 0);
	assert_int_equal(request.runs, 1);
	join(loop);
	ringwake_close(target);
}

static void test_close_refuses_calls(void **state)
{
	(void)state;
	struct ringwake *target = ringwake_ref(open_target(NULL));
	struct caller pending, late;
	start_caller(&pending, target, -1);
	await_message(target);
	ringwake_close(target);
	assert_failed(&pending, -ECANCELED);
	start_caller(&late, target, -1);
	assert_failed(&late, -ECANCELED);
	ringwake_unref(target);
}

static struct ringwake *to_close;
static void close_and_answer(void *argument)
{
	ringwake_close(to_close);
	answer(argument);
}

/* The function may close the target. Calls behind it are refused. */
static void test_function_closes(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct caller closer, behind;
	start_caller_of(&closer, target, -1, close_and_answer, call);
	to_close = target;
	await_message(target);
	struct counted first = {.msg.fn = count_message};
	assert_int_equal(ringwake_send(target, &first.msg), 0);
	start_caller(&behind, target, -1);
	while (atomic_load(&target->word) == (uintptr_t)&first.msg)
		sched_yield();
	assert_int_equal(ringwake_dispatch(target, 1), 1);
	assert_answered(&closer);
	assert_failed(&behind, -ECANCELED);
	assert_int_equal(first.count, 1);
}

static void test_child_of_fork(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	pid_t child = fork();
	if (child == 0) {
		struct request request = {0};
		_exit(ringwake_call(target, answer, &request, -1) != -EOWNERDEAD || request.runs);
	}
	assert_child_succeeds(child);
	ringwake_close(target);
}

static _Atomic pid_t forked;
static void fork_here(int signal_number)
{
	(void)signal_number;
	pid_t child = fork();
	if (child > 0)
		atomic_store(&forked, child);
}

static void *call_and_be_forked(void *argument)
{
	call(argument);
	struct caller *caller = argument;
	if (atomic_load(&forked) == 0) /* the child */
		_exit(caller->result != -EOWNERDEAD || caller->request.runs > 0);
	return NULL;
}

/* A signal handler forks while the caller waits: the child's call ends. */
static void test_handler_forks(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct sigaction action = {.sa_handler = fork_here, .sa_flags = SA_RESTART}, before;
	struct caller caller;
	sigaction(SIGUSR1, &action, &before);
	atomic_store(&forked, 0);
	start_caller_of(&caller, target, -1, answer, call_and_be_forked);
	await_message(target);
	pthread_kill(caller.thread, SIGUSR1);
	while (atomic_load(&forked) == 0)
		sched_yield();
	assert_child_succeeds(atomic_load(&forked));
	assert_int_equal(ringwake_dispatch(target, 0), 1);
	assert_answered(&caller);
	sigaction(SIGUSR1, &before, NULL);
	ringwake_close(target);
}

/* The caller gets the error, and the function does not run later. */
static void test_refused_doorbell(void **state)
{
	(void)state;
	static const int errors[] = {-ENOMEM, -EPERM, -EBADF, -EIO};
	struct ringwake *target = open_target(NULL);
	hook_doorbell();
	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct caller caller;
		assert_true(ringwake_arm(target));
		atomic_store(&doorbell_error, errors[i]);
		start_caller(&caller, target, -1);
		assert_failed(&caller, errors[i]);
		ringwake_disarm(target);
		assert_int_equal(ringwake_dispatch(target, 0), 1);
		assert_int_equal(caller.request.runs, 0);
	}
	atomic_store(&doorbell_error, 0);
	unhook();
	ringwake_close(target);
}

/* Only the doorbell of this thread is held, and then refused. */
static _Thread_local bool is_refused;

static int refuse_here(void)
{
	pthread_barrier_wait(&reached);
	pthread_barrier_wait(&released);
	return -ENOMEM;
}

static int refusing_register(int fd, unsigned opcode, const void *arg, unsigned count)
{
	return is_refused ? refuse_here() : real_system.register_ring(fd, opcode, arg, count);
}

static int refusing_write(int fd, const uint64_t *value)
{
	return is_refused ? refuse_here() : real_system.write(fd, value);
}

static void *send_refused(void *target)
{
	static struct counted message = {.msg.fn = count_message};
	is_refused = true;
	return ringwake_send(target, &message.msg) == -ENOMEM ? NULL : target;
}

/* The call relies on the doorbell of another sender, which is refused: the caller rings again. */
static void test_doorbell_of_another_is_refused(void **state)
{
	(void)state;
	struct ringwake *target = open_target(NULL);
	struct caller caller;
	hook_doorbell();
	ringwake_system.register_ring = refusing_register;
	ringwake_system.write = refusing_write;
	assert_true(ringwake_arm(target));
	pthread_t sender = start(send_refused, target);
	pthread_barrier_wait(&reached);
	uintptr_t before = atomic_load(&target->word);
	start_caller(&caller, target, -1);
	while (atomic_load(&target->word) == before)
		sched_yield();
	pthread_barrier_wait(&released);
	join(sender);
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	assert_int_equal(poll(&entry, 1, PATIENCE_SECONDS * 1000), 1);
	ringwake_disarm(target);
	assert_int_equal(ringwake_dispatch(target, 0), 2);
	assert_answered(&caller);
	unhook();
	ringwake_close(target);
}

/* Another loop, on a thread of its own. */
struct other {
	struct ringwake *target, *first;
	struct request request;
	int result;
};

static void *run_other(void *argument)
{
	struct other *other = argument;
	ringwake_wait(other->target, -1);
	return NULL;
}

static void call_back(void *argument)
{
	struct other *other = argument;
	other->result = ringwake_call(other->first, answer, &other->request, 20000000);
}

static void call_other(struct ringwake_msg *msg)
{
	struct caught *caught = (struct caught *)msg;
	caught->result = ringwake_call(caught->target, call_back, caught->argument, -1);
}

/* A loop that blocks in a call runs no calls itself: only a timeout ends the circle. */
static void test_circle_of_two_loops(void **state)
{
	(void)state;
	struct other other = {.first = open_target(NULL), .target = open_target(NULL)};
	struct caught caught = {.msg.fn = call_other, .target = other.target, .argument = &other};
	pthread_t thread = start(run_other, &other);
	assert_int_equal(ringwake_send(other.first, &caught.msg), 0);
	assert_int_equal(ringwake_dispatch(other.first, 1), 1);
	join(thread);
	assert_int_equal(caught.result, 0);
	assert_int_equal(other.result, -ETIME);
	ringwake_close(other.first);
	ringwake_close(other.target);
	assert_int_equal(other.request.runs, 0);
}

enum { CALLERS = 4 };

struct crowd {
	struct ringwake *target;
	unsigned seed, calls;
	unsigned runs; /* changed only on the loop */
	unsigned successes, timeouts, refusals, others;
};

static void count_run(void *runs)
{
	++*(unsigned *)runs;
}

static void *call_often(void *argument)
{
	struct crowd *crowd = argument;
	for (unsigned i = 0; i < crowd->calls; i++) {
		int64_t timeout_ns =
			rand_r(&crowd->seed) % 4 == 0 ? -1 : rand_r(&crowd->seed) % 20000;
		unsigned before = crowd->runs;
		int result = ringwake_call(crowd->target, count_run, &crowd->runs, timeout_ns);
		crowd->successes += result == 0;
		crowd->timeouts += result == -ETIME;
		crowd->refusals += result == -ECANCELED;
		crowd->others += crowd->runs != before + (result == 0);
	}
	ringwake_unref(crowd->target);
	return NULL;
}

/* Calls, timeouts and the close at random: the function runs if and only if the result is 0. */
static void test_many_callers(void **state)
{
	(void)state;
	unsigned seed = (unsigned)time(NULL), rounds = rounds_here(60);
	print_message("seed %u\n", seed);
	for (unsigned round = 0; round < rounds; round++) {
		struct ringwake *target = open_target(NULL);
		struct crowd crowds[CALLERS] = {{0}};
		pthread_t threads[CALLERS];
		unsigned iterations = rand_r(&seed) % 400;
		for (unsigned i = 0; i < CALLERS; i++) {
			crowds[i].target = ringwake_ref(target);
			crowds[i].seed = seed + i;
			crowds[i].calls = 200;
			threads[i] = start(call_often, &crowds[i]);
		}
		for (unsigned i = 0; i < iterations; i++)
			ringwake_wait(target, 100000);
		ringwake_close(target);
		for (unsigned i = 0; i < CALLERS; i++) {
			const struct crowd *crowd = &crowds[i];
			join(threads[i]);
			assert_int_equal(crowd->runs, crowd->successes);
			assert_int_equal(
				crowd->successes + crowd->timeouts + crowd->refusals, crowd->calls);
			assert_int_equal(crowd->others, 0);
		}
	}
}

static void test_context(void **state)
{
	(void)state;
	int context;
	struct ringwake *target = open_target(NULL);
	assert_null(ringwake_get_context(target));
	ringwake_close(target);
	target = open_target_with(NULL, (struct ringwake_params){.context = &context});
	assert_ptr_equal(ringwake_get_context(target), &context);
	ringwake_close(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_runs_on_the_loop),
		ON_BOTH_PATHS(test_answer_wakes_the_caller),
		ON_BOTH_PATHS(test_without_a_function),
		ON_BOTH_PATHS(test_time_is_over),
		ON_BOTH_PATHS(test_time_is_over_while_it_runs),
		ON_BOTH_PATHS(test_on_the_loop_itself),
		ON_BOTH_PATHS(test_on_a_loop_with_a_wait_of_its_own),
		cmocka_unit_test_setup(test_before_the_first_iteration, use_eventfd),
		ON_BOTH_PATHS(test_close_refuses_calls),
		ON_BOTH_PATHS(test_function_closes),
		ON_BOTH_PATHS(test_child_of_fork),
		ON_BOTH_PATHS(test_handler_forks),
		ON_BOTH_PATHS(test_refused_doorbell),
		ON_BOTH_PATHS(test_doorbell_of_another_is_refused),
		ON_BOTH_PATHS(test_circle_of_two_loops),
		ON_BOTH_PATHS(test_many_callers),
		cmocka_unit_test_setup(test_context, use_eventfd),
	};
	return RUN_BOUNDED(tests, 120);
}
