/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_EV_COPIES_H
#define RINGWAKE_EV_COPIES_H

/* Names, on standard error, each object of the process that contains a libev of its own. What is
 * known to be in libev.so.4 is a function of it, or NULL. */
void ringwake_ev_report_copies(const void *known);

#endif
