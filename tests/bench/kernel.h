/* SPDX-License-Identifier: MIT */
/* Features of the running kernel. Each is probed once. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>

bool kernel_has_sync_msg_ring(void);
bool kernel_has_futex_wait(void); /* as a request on a ring */

#define NEEDS_SYNC_MSG_RING .needs = "Linux 6.13", .possible = kernel_has_sync_msg_ring
#define NEEDS_FUTEX_WAIT    .needs = "Linux 6.7", .possible = kernel_has_futex_wait

#endif
