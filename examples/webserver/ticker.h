/* SPDX-License-Identifier: MIT */
/*
 * A thread that sends the server's figures to all loops, as one event in each interval. While no
 * client reads events, it blocks. It stands for any thread that is not a loop and has something to
 * say: a sensor, a database's notifications, another library's callback.
 */
#ifndef WEBSERVER_TICKER_H
#define WEBSERVER_TICKER_H

struct ticker;
struct site;

/*
 * Starts the thread, which sends to the channels of all sites. Call it before the loops run.
 * Returns 0 or a negative errno value.
 */
int ticker_open(struct ticker **out, unsigned interval_ms, struct site *first);

/* Ends the thread. The loops may use the ticker until it is closed. */
void ticker_stop(struct ticker *ticker);
void ticker_close(struct ticker *ticker);

/* On any loop: one client more, or one less, reads events. */
void ticker_use(struct ticker *ticker);
void ticker_unuse(struct ticker *ticker);

#endif
