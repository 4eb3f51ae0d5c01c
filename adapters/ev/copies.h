/* SPDX-License-Identifier: MIT */
#ifndef RINGWAKE_EV_COPIES_H
#define RINGWAKE_EV_COPIES_H

/* Prints on standard error the name of each object of the process that contains a libev of its own.
 * known is a function of the shared libev, which is not printed, or NULL. */
void ringwake_ev_report_copies(const void *known);

#endif
