/* SPDX-License-Identifier: MIT */
/*
 * The access log. The loops send records through a channel to a thread, which is a small loop with
 * a target of its own and writes a line for each record. The loops never wait for the disk: if it
 * is slow, the channel fills, and records that find it full are lost and counted.
 */
#ifndef WEBSERVER_ACCESS_LOG_H
#define WEBSERVER_ACCESS_LOG_H

#include "http.h"

#include <netinet/in.h>
#include <time.h>

#define ACCESS_RECORDS    4096 /* in the channel */
#define ACCESS_TARGET_MAX 256  /* a longer target is cut */

union address {
	struct sockaddr any;
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;
};

struct access_record {
	time_t time;
	union address client;
	enum http_verb verb;
	bool old; /* HTTP/1.0 */
	int status;
	uint64_t bytes;  /* of the body */
	unsigned length; /* of the target; 0: the request could not be read */
	char target[ACCESS_TARGET_MAX];
};

struct access_log;

/*
 * Opens the file and starts the thread. Returns 0 or a negative errno value; -ENXIO for a socket,
 * or a FIFO that no process reads.
 */
int access_log_open(struct access_log **out, const char *file);

/*
 * Call it when the loops have ended. Waits until the records that were sent are written, but at
 * most ACCESS_CLOSE_MS. Returns false if that was too short.
 */
#define ACCESS_CLOSE_MS 2000
bool access_log_close(struct access_log *log);

/* Any loop. */
void access_log_add(struct access_log *log, const struct access_record *record);

/* Any thread: how many records were lost, because the disk was slow or refused them. */
uint64_t access_log_lost(const struct access_log *log);

#endif
