/* SPDX-License-Identifier: MIT */
/* SHA-256 of bytes made up on the spot: byte i is i modulo 256. */
#ifndef WEBSERVER_DIGEST_H
#define WEBSERVER_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#define DIGEST_BYTES_MAX (UINT64_C(16) << 20)
#define DIGEST_HEX_SIZE  65 /* 64 digits and a NUL */

/* Before and after all else. False if the library has no SHA-256. */
bool digest_open(void);
void digest_close(void);

/* Any thread. False if memory ran out. */
bool digest_compute(uint64_t bytes, char hex[DIGEST_HEX_SIZE]);

#endif
