/* SPDX-License-Identifier: MIT */
/*
 * In each iteration sd-event calls the prepare callbacks, waits, and calls one pending source. It
 * has no hook immediately after the wait. So the target stays armed while callbacks of other
 * sources run. A send then makes a system call that the loop did not need. The next prepare may arm
 * again without a disarm between.
 *
 * If ringwake_arm() returns false, a timer that has expired keeps the loop from blocking. A defer
 * source would do this, too, but sd-event prefers the source that has been pending longest, and a
 * defer source is pending from the start. A flood of messages would starve all sources of the same
 * priority.
 *
 * An exiting loop calls no prepare callback and does not wait. An exit source must call
 * wake_event_close(), which runs the callbacks of all accepted messages.
 */
#include "wake_event.h"

#include <sys/epoll.h>
#include <time.h>

static int arm(sd_event_source *doorbell, void *wake)
{
	(void)doorbell;
	if (ringwake_arm(((struct wake_event *)wake)->target))
		return 0;
	return sd_event_source_set_enabled(((struct wake_event *)wake)->ready, SD_EVENT_ONESHOT);
}

static void run(struct wake_event *wake)
{
	ringwake_disarm(wake->target);
	ringwake_dispatch(wake->target, 0); /* a callback may close */
}

static int on_doorbell(sd_event_source *doorbell, int fd, uint32_t events, void *wake)
{
	(void)doorbell;
	(void)fd;
	(void)events;
	run(wake);
	return 0;
}

static int on_ready(sd_event_source *ready, uint64_t time, void *wake)
{
	(void)ready;
	(void)time;
	run(wake);
	return 0;
}

int wake_event_open(struct wake_event *wake, sd_event *event)
{
	*wake = (struct wake_event){NULL, NULL, NULL};
	int error = ringwake_open(&wake->target, NULL, NULL);
	if (error < 0)
		return error;
	error = sd_event_add_io(
		event, &wake->doorbell, ringwake_fd(wake->target), EPOLLIN, on_doorbell, wake);
	if (error >= 0)
		error = sd_event_add_time(
			event, &wake->ready, CLOCK_MONOTONIC, 0, 0, on_ready, wake);
	if (error >= 0)
		error = sd_event_source_set_enabled(wake->ready, SD_EVENT_OFF);
	if (error >= 0)
		error = sd_event_source_set_prepare(wake->doorbell, arm);
	if (error < 0)
		wake_event_close(wake);
	return error < 0 ? error : 0;
}

void wake_event_close(struct wake_event *wake)
{
	sd_event_source_disable_unref(wake->doorbell); /* first: it stops polling the descriptor */
	sd_event_source_disable_unref(wake->ready);
	ringwake_close(wake->target);
}
