/* SPDX-License-Identifier: MIT */
#include "access_log.h"

#include <ringwake/channel.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_ENOUGH 65536 /* then it is written, even if more records wait */

struct access_log {
	int fd;
	struct ringwake *target;
	struct ringwake_channel *channel;
	pthread_t thread;
	bool finished; /* the channel has ended */
	struct buffer text;
	_Atomic uint64_t lost;
};

static void lose(struct access_log *log, uint64_t records)
{
	/* Relaxed: nothing is published. */
	atomic_fetch_add_explicit(&log->lost, records, memory_order_relaxed);
}

static uint64_t lines_of(const char *text, const char *end)
{
	uint64_t lines = 0;
	for (; text < end; text++)
		lines += *text == '\n';
	return lines;
}

/* Blocks as long as the disk does. */
static void write_text(struct access_log *log)
{
	const char *text = log->text.bytes, *end = text + log->text.length;
	while (text < end) {
		ssize_t written = write(log->fd, text, (size_t)(end - text));
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			break;
		text += written;
	}
	lose(log, lines_of(text, end));
	buffer_clear(&log->text);
}

static void add_client(struct buffer *text, const union address *client)
{
	char name[INET6_ADDRSTRLEN] = "-";
	if (client->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &client->ip4.sin_addr, name, sizeof(name));
	else if (client->any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &client->ip6.sin6_addr, name, sizeof(name));
	buffer_text(text, name);
}

static void add_time(struct buffer *text, time_t when)
{
	char field[48];
	struct tm parts;
	gmtime_r(&when, &parts);
	strftime(field, sizeof(field), " - - [%d/%b/%Y:%H:%M:%S +0000] \"", &parts);
	buffer_text(text, field);
}

/* The target is the client's, who must not be able to forge lines. */
static void add_target(struct buffer *text, const char *bytes, unsigned length)
{
	for (const char *end = bytes + length; bytes < end; bytes++) {
		char escape[8];
		unsigned byte = (unsigned char)*bytes;
		if (byte > ' ' && byte < 127 && byte != '"' && byte != '\\') {
			buffer_append(text, bytes, 1);
		} else {
			snprintf(escape, sizeof(escape), "\\x%02x", byte);
			buffer_text(text, escape);
		}
	}
}

static void add_request(struct buffer *text, const struct access_record *record)
{
	static const char *const verbs[] = {
		[HTTP_VERB_GET] = "GET ",
		[HTTP_VERB_HEAD] = "HEAD ",
		[HTTP_VERB_POST] = "POST ",
		[HTTP_VERB_OTHER] = "OTHER ",
	};
	if (record->length == 0) {
		buffer_text(text, "-");
		return;
	}
	buffer_text(text, verbs[record->verb]);
	add_target(text, record->target, record->length);
	buffer_text(text, record->old ? " HTTP/1.0" : " HTTP/1.1");
}

/* On the log's thread. Without memory, the line is lost. */
static void on_record(void *context, void *item, int status)
{
	struct access_log *log = context;
	const struct access_record *record = item;
	struct buffer *text = &log->text;
	size_t before = text->length;
	(void)status; /* this program does not abort the channel */
	add_client(text, &record->client);
	add_time(text, record->time);
	add_request(text, record);
	buffer_text(text, "\" ");
	buffer_number(text, (uint64_t)record->status);
	buffer_text(text, " ");
	buffer_number(text, record->bytes);
	buffer_text(text, "\n");
	if (text->failed) {
		text->length = before;
		text->failed = false;
		lose(log, 1);
	}
	if (text->length >= TEXT_ENOUGH)
		write_text(log);
}

static void on_end(void *context)
{
	((struct access_log *)context)->finished = true;
}

static void *run(void *argument)
{
	struct access_log *log = argument;
	while (!log->finished) {
		ringwake_wait(log->target, -1);
		write_text(log);
	}
	return NULL;
}

/* Does not wait for a reader if the file is a FIFO. Writing blocks as usual. */
static int open_file(const char *file)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_APPEND);
	return fd >= 0 ? fd : -errno;
}

static int open_all(struct access_log *log, const char *file)
{
	log->fd = open_file(file);
	if (log->fd < 0)
		return log->fd;
	int error = ringwake_open(&log->target, NULL, NULL);
	if (error)
		return error;
	error = ringwake_channel_open(&log->channel, log->target,
		&(struct ringwake_channel_params){
			.item_size = sizeof(struct access_record),
			.capacity = ACCESS_RECORDS,
			.context = log,
			.receive = on_record,
			.finalize = on_end,
		});
	return error ? error : -pthread_create(&log->thread, NULL, run, log);
}

static void close_all(struct access_log *log)
{
	if (log->target)
		ringwake_close(log->target);
	if (log->fd >= 0)
		close(log->fd);
	buffer_free(&log->text);
	free(log);
}

int access_log_open(struct access_log **out, const char *file)
{
	struct access_log *log = calloc(1, sizeof(*log));
	int error = log ? open_all(log, file) : -ENOMEM;
	if (!error) {
		*out = log;
		return 0;
	}
	if (log && log->channel)
		ringwake_channel_release(log->channel);
	if (log)
		close_all(log);
	return error;
}

/* If the thread is blocked in write(2), it is left to end with the process. */
bool access_log_close(struct access_log *log)
{
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += ACCESS_CLOSE_MS / 1000;
	ringwake_channel_release(log->channel);
	if (pthread_timedjoin_np(log->thread, NULL, &end) != 0)
		return false;
	close_all(log);
	return true;
}

void access_log_add(struct access_log *log, const struct access_record *record)
{
	int error = ringwake_channel_try_send(log->channel, record);
	if (error == -EAGAIN)
		lose(log, 1);
}

uint64_t access_log_lost(const struct access_log *log)
{
	return atomic_load_explicit(&log->lost, memory_order_relaxed);
}
