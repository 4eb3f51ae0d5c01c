/* SPDX-License-Identifier: MIT */
/*
 * uv WAY: an idle libuv loop, which blocks until the process is killed. See idle.test.
 *   run         uv_run(), attached
 *   ring        ringwake_uv_run(), which watches a pipe
 *   ring-timer  the same, with a distant timer
 */
#include <ringwake/uv.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void on_readable(uv_poll_t *handle, int status, int events)
{
	(void)handle, (void)events;
	fprintf(stderr, "readable: %d\n", status);
}

static void on_late(uv_timer_t *timer)
{
	(void)timer;
	fprintf(stderr, "the loop was not killed within a minute\n");
}

/* libuv's first wait is always in epoll, so the measurement starts after it. */
static void on_first_wait(uv_timer_t *timer)
{
	if (timer->data)
		uv_timer_start(timer, on_late, 60000, 0);
	puts("ready");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	uv_loop_t *loop = uv_default_loop();
	struct ringwake_uv *attached;
	uv_poll_t poll;
	uv_timer_t timer;
	int ends[2];
	int error = ringwake_uv_attach(&attached, loop, NULL);
	if (error < 0 || pipe(ends) != 0) {
		fprintf(stderr, "%s: %s\n", way, strerror(-error));
		return 1;
	}
	uv_poll_init(loop, &poll, ends[0]);
	uv_poll_start(&poll, UV_READABLE, on_readable);
	uv_timer_init(loop, &timer);
	timer.data = strcmp(way, "ring-timer") == 0 ? &timer : NULL;
	uv_timer_start(&timer, on_first_wait, 10, 0);
	if (strcmp(way, "run") == 0)
		uv_run(loop, UV_RUN_DEFAULT);
	else
		ringwake_uv_run(attached, UV_RUN_DEFAULT);
	return 1;
}
