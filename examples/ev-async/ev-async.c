/* SPDX-License-Identifier: MIT */
/* A thread wakes a libev loop. The watcher signals that there is news; a lock protects the news. */
#include <pthread.h>
#include <ringwake/ev.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int written, read_so_far;

static ringwake_ev_async news;

static void *write_some(void *argument)
{
	(void)argument;
	for (int i = 0; i < 1000; i++) {
		pthread_mutex_lock(&lock);
		written++;
		pthread_mutex_unlock(&lock);
		ringwake_ev_async_send(&news);
	}
	return NULL;
}

/* Runs at least once after each send, but not once for each send. */
static void on_news(struct ev_loop *loop, ringwake_ev_async *async, int revents)
{
	static int callbacks;
	(void)loop;
	(void)revents;
	callbacks++;
	pthread_mutex_lock(&lock);
	read_so_far = written;
	pthread_mutex_unlock(&lock);
	if (read_so_far == 1000) {
		printf("1000 sends, %d callback%s\n", callbacks, callbacks == 1 ? "" : "s");
		ringwake_ev_async_stop(async); /* so nothing keeps the loop alive */
	}
}

int main(void)
{
	struct ev_loop *loop = EV_DEFAULT;
	struct ringwake_ev *attached;
	int error = ringwake_ev_attach(&attached, loop, NULL);
	if (error < 0) {
		fprintf(stderr, "ringwake_ev_attach: %s\n", strerror(-error));
		return 1;
	}
	ringwake_ev_async_init(&news, on_news);
	ringwake_ev_async_start(attached, &news);

	pthread_t thread;
	if (pthread_create(&thread, NULL, write_some, NULL) != 0)
		return 1;
	ev_run(loop, 0);
	pthread_join(thread, NULL);

	ringwake_ev_detach(attached);
	ev_loop_destroy(loop);
	return 0;
}
