/* SPDX-License-Identifier: MIT */
/*
 * A ringwake target on an sd-event loop. Both functions are for the loop's thread. Other threads
 * send to the target.
 */
#ifndef WAKE_EVENT_H
#define WAKE_EVENT_H

#include <ringwake/ringwake.h>
#include <systemd/sd-event.h>

struct wake_event {
	struct ringwake *target;
	sd_event_source *doorbell; /* the target's descriptor */
	sd_event_source *ready;    /* a timer that keeps the loop from blocking */
};

/* Errors: as ringwake_open() and sd_event_add_io(). */
int wake_event_open(struct wake_event *wake, sd_event *event);

/*
 * Runs the callbacks of all accepted messages. In a forked child it runs none. sd-event refuses an
 * inherited loop (-ECHILD), so the child must close, make a loop of its own, and open on that.
 */
void wake_event_close(struct wake_event *wake);

#endif
