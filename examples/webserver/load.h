/* SPDX-License-Identifier: MIT */
/*
 * A bounded load, which the button of the page starts: the server gives digests to its own workers.
 * It ends by itself after LOAD_SECONDS, or when the server stops.
 */
#ifndef WEBSERVER_LOAD_H
#define WEBSERVER_LOAD_H

#define LOAD_SECONDS 5

struct site;

/* On the site's loop. Returns 0, -EBUSY if one runs on any loop, or -ENOMEM. */
int load_start(struct site *site);

#endif
