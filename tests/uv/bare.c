/* SPDX-License-Identifier: MIT */
/* A program for preload.test that uses only libuv. Its argument is its exit status. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

enum { CALLS = 1000, JOBS = 100 };

struct side {
	uv_loop_t loop;
	uv_async_t async;
	uv_thread_t thread;
	struct side *other;
	unsigned calls;
};

static unsigned jobs;

static void check(int error)
{
	if (error < 0)
		abort();
}

/* Two loops send to each other, so each is blocked most of the time. */
static void on_wake(uv_async_t *async)
{
	struct side *side = async->data;
	side->calls++;
	check(uv_async_send(&side->other->async));
	if (side->calls == CALLS)
		uv_close((uv_handle_t *)async, NULL);
}

static void run_side(void *argument)
{
	struct side *side = argument;
	check(uv_run(&side->loop, UV_RUN_DEFAULT));
}

static void work(uv_work_t *request)
{
	*(unsigned *)request->data += 1;
}

static void after_work(uv_work_t *request, int status)
{
	jobs += *(unsigned *)request->data;
	check(status);
}

static void do_jobs(uv_loop_t *loop)
{
	static uv_work_t requests[JOBS];
	static unsigned results[JOBS];
	for (int i = 0; i < JOBS; i++) {
		requests[i].data = &results[i];
		check(uv_queue_work(loop, &requests[i], work, after_work));
	}
	check(uv_run(loop, UV_RUN_DEFAULT));
}

static void close_itself(uv_async_t *async)
{
	uv_close((uv_handle_t *)async, NULL);
}

/* The process forks before the loop runs. The child calls uv_loop_fork() and runs the loop. */
static int child_status(void)
{
	uv_loop_t *loop = uv_default_loop();
	uv_async_t async;
	int status;
	check(uv_async_init(loop, &async, close_itself));
	pid_t child = fork();
	if (child == 0) {
		check(uv_loop_fork(loop));
		check(uv_async_send(&async));
		_exit(uv_run(loop, UV_RUN_DEFAULT));
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	uv_close((uv_handle_t *)&async, NULL);
	check(uv_run(loop, UV_RUN_DEFAULT));
	check(uv_loop_close(loop));
	return status;
}

int main(int count, char **arguments)
{
	static struct side sides[2];
	for (int i = 0; i < 2; i++) {
		check(uv_loop_init(&sides[i].loop));
		check(uv_async_init(&sides[i].loop, &sides[i].async, on_wake));
		sides[i].async.data = &sides[i];
		sides[i].other = &sides[1 - i];
	}
	for (int i = 0; i < 2; i++)
		check(uv_thread_create(&sides[i].thread, run_side, &sides[i]));
	check(uv_async_send(&sides[0].async));
	for (int i = 0; i < 2; i++)
		check(uv_thread_join(&sides[i].thread));
	do_jobs(&sides[0].loop);
	for (int i = 0; i < 2; i++)
		check(uv_loop_close(&sides[i].loop));
	printf("%u calls, %u jobs, child %d\n", sides[0].calls + sides[1].calls, jobs,
		child_status());
	return count > 1 ? atoi(arguments[1]) : 0;
}
