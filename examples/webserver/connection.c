/* SPDX-License-Identifier: MIT */
/*
 * To follow a request: connection_received(), serve(), answer(), start_work(), compute(),
 * computed(), serve(), answer(), send_output(). compute() runs on a worker, computed() on the loop;
 * the step between them is ringwake's, in work_ringwake.c. The loop's file sends the output.
 *
 * A connection ends in three steps. First the server sends its last response. Then it shuts down
 * the sending side and discards what the client still sends, so that a reset does not lose the
 * response. Last the loop closes the socket. If the client disconnects while work is pending, the
 * connection is freed after the work.
 */
#include "connection.h"
#include "clock.h"
#include "loop.h"
#include "reserve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUTPUT_ENOUGH 65536 /* pipelined responses are sent together, up to about this size */
#define KEPT          4096  /* largest buffer that an idle connection keeps */

#define CONNECTION_OF(part, member)                                                                \
	((struct connection *)((char *)(part)-offsetof(struct connection, member)))

/* The next step is the client's. */
static void limit_client(struct connection *connection)
{
	struct server *server = connection->server;
	deadline_set(&connection->deadline,
		server->site.stopping ? &server->stop_limits : &server->limits);
}

/* One limit applies to a request, or to the pause before it, even if single bytes arrive. */
static void expect_request(struct connection *connection)
{
	uint64_t step = 2 * connection->answered + !http_reader_idle(&connection->reader);
	if (connection->deadline.queue && connection->step == step)
		return;
	connection->step = step;
	limit_client(connection);
}

static void close_now(struct connection *connection)
{
	if (connection->closing)
		return;
	deadline_clear(&connection->deadline);
	events_unsubscribe(&connection->subscriber);
	connection->closing = true;
	connection->closed = connection->server->type->let_go(connection);
}

/* Each function that a loop, a worker or the server calls ends with it. */
static void free_if_over(struct connection *connection)
{
	if (!connection->closed || connection->working)
		return;
	counter_down(&connection->server->site.connections_open);
	site_abandon(&connection->exchange);
	buffer_free(&connection->unsent);
	free(connection);
}

static void receive(struct connection *connection)
{
	if (connection->server->type->receive(connection) != 0)
		close_now(connection);
}

static void send_unsent(struct connection *connection)
{
	const struct buffer *unsent = &connection->unsent;
	connection->sending = true;
	if (connection->server->type->send(connection, unsent->bytes + connection->sent,
		    unsent->length - connection->sent) != 0)
		close_now(connection);
}

/* Sends the site's output, which is what answer() has written for this connection. */
static void send_output(struct connection *connection)
{
	struct server *server = connection->server;
	struct buffer *output = &server->site.output;
	ssize_t sent = 0;
	if (output->length > 0 && !output->failed && server->type->try_send)
		sent = server->type->try_send(connection, output->bytes, output->length);
	if (output->failed)
		counter_up(&server->site.connections_refused);
	if (output->failed || sent < 0) {
		close_now(connection);
	} else if ((size_t)sent < output->length) {
		struct buffer empty = connection->unsent;
		connection->unsent = *output;
		connection->sent = (size_t)sent;
		*output = empty;
		deadline_set(&connection->deadline, &server->limits);
		send_unsent(connection);
	}
	buffer_clear(output);
}

static void compute(struct work *work)
{
	struct exchange *exchange = &CONNECTION_OF(work, work)->exchange;
	exchange->compute(exchange);
	exchange->computed_at = clock_ns();
}

static void serve(struct connection *connection);

static void computed(struct work *work)
{
	struct connection *connection = CONNECTION_OF(work, work);
	struct site *site = connection->exchange.site;
	connection->working = false;
	histogram_add(&site->wakes, clock_ns() - connection->exchange.computed_at);
	counter_up(&site->work_completed);
	connection->exchange.compute = NULL;
	serve(connection);
	free_if_over(connection);
}

static void start_work(struct connection *connection)
{
	struct site *site = connection->exchange.site;
	connection->work.run = compute;
	connection->work.done = computed;
	if (site->link->type->submit(site->link, &connection->work) != 0) {
		site_fail(&connection->exchange);
		return;
	}
	connection->working = true;
	counter_up(&site->work_submitted);
}

/* What a connection needs next. */
enum need {
	TO_SEND,    /* the output must be sent; then it goes on */
	TO_RECEIVE, /* the rest of a request */
	TO_WORK,    /* the completion of its work */
	TO_LISTEN,  /* events, until the client or the server ends */
	TO_CLOSE,
};

/* After the signal, the response to the last request that has arrived closes the connection. */
static bool is_last(const struct connection *connection)
{
	const struct server *server = connection->server;
	char byte;
	if (!server->site.stopping || server->stop_limits.now >= server->stop_at)
		return server->site.stopping;
	return connection->begin == connection->end &&
		recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static enum need after_last(const struct connection *connection)
{
	const struct exchange *exchange = &connection->exchange;
	bool listens = exchange->endless && exchange->request->verb == HTTP_VERB_GET &&
		!exchange->site->stopping;
	return listens ? TO_LISTEN : TO_CLOSE;
}

/* Reads a piece of the body. Returns 200 if it is complete, 0 if more must arrive, or a refusal. */
static int read_body(struct connection *connection)
{
	struct exchange *exchange = &connection->exchange;
	while (exchange->body->length < BODY_PIECE && !exchange->body_ended) {
		size_t used;
		if (connection->begin == connection->end)
			return 0;
		int status =
			http_read_body(&connection->reader, connection->input + connection->begin,
				connection->end - connection->begin, &used, exchange->body);
		connection->begin += used;
		exchange->body_ended = status == 200;
		if (status != 0 && status != 200)
			return status;
	}
	exchange->body = NULL;
	connection->answered++; /* the next piece has a time limit of its own */
	return 200;
}

/* Long after the signal, a long response is cut off. */
static bool must_cut(const struct connection *connection)
{
	const struct server *server = connection->server;
	return connection->exchange.begun && server->site.stopping &&
		server->stop_limits.now >= server->stop_at;
}

/* Answers the requests that have arrived, until it cannot go on. */
static enum need answer(struct connection *connection)
{
	struct exchange *exchange = &connection->exchange;
	while (!connection->working) {
		size_t used;
		if (must_cut(connection))
			return TO_CLOSE;
		if (exchange->compute) {
			start_work(connection);
			continue;
		}
		int status = exchange->body ? read_body(connection) : 200;
		if (status == 0)
			return connection->ended ? TO_CLOSE : TO_RECEIVE;
		if (status != 200) {
			site_refuse(exchange, status);
			continue;
		}
		if (exchange->finish) {
			exchange->stop = is_last(connection);
			site_finish(exchange);
			continue;
		}
		if (exchange->last)
			return after_last(connection);
		if (exchange->site->output.length >= OUTPUT_ENOUGH)
			return TO_SEND;
		status = http_read(&connection->reader, connection->input + connection->begin,
			connection->end - connection->begin, &used);
		connection->begin += used;
		if (status == 0)
			return connection->ended ? TO_CLOSE : TO_RECEIVE;
		connection->answered++;
		exchange->stop = is_last(connection);
		if (status == 200)
			site_answer(exchange);
		else
			site_refuse(exchange, status);
	}
	return TO_WORK;
}

static void linger(struct connection *connection)
{
	if (connection->lingering)
		return;
	connection->lingering = true;
	events_unsubscribe(&connection->subscriber);
	if (connection->ended || shutdown(connection->fd, SHUT_WR) != 0) {
		close_now(connection);
		return;
	}
	limit_client(connection);
	receive(connection);
}

/*
 * It does not ask the loop for input: that the client has gone shows when the next events are
 * sent. The kernel's buffer is small, too.
 */
static void listen_to_events(struct connection *connection)
{
	int size = EVENT_SIZE;
	deadline_clear(&connection->deadline);
	if (!connection->subscriber.events)
		setsockopt(connection->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	events_subscribe(&connection->server->site.events, &connection->subscriber);
}

/* Does all that can be done without waiting. While the loop sends, it only asks for input. */
static void serve(struct connection *connection)
{
	enum need need = TO_SEND;
	while (need == TO_SEND && !connection->closing && !connection->sending) {
		need = answer(connection);
		send_output(connection);
	}
	if (connection->closing)
		return;
	if (need == TO_RECEIVE)
		receive(connection);
	if (connection->closing || connection->sending)
		return;
	if (need == TO_RECEIVE)
		expect_request(connection);
	else if (need == TO_WORK)
		deadline_clear(&connection->deadline);
	else if (need == TO_LISTEN)
		listen_to_events(connection);
	else if (need == TO_CLOSE)
		linger(connection);
}

char *connection_room(struct connection *connection, size_t *size)
{
	size_t unread = connection->end - connection->begin;
	if (connection->lingering || (connection->exchange.last && !connection->exchange.finish))
		unread = 0; /* nothing more is read */
	else if (connection->begin > 0)
		memmove(connection->input, connection->input + connection->begin, unread);
	connection->begin = 0;
	connection->end = unread;
	*size = sizeof(connection->input) - unread;
	return connection->input + unread;
}

void connection_received(struct connection *connection, ssize_t result)
{
	if (result < 0 || (result == 0 && connection->lingering)) {
		close_now(connection);
	} else if (connection->lingering) {
		receive(connection);
	} else {
		connection->ended = result == 0;
		connection->end += (size_t)result;
		serve(connection);
	}
	free_if_over(connection);
}

void connection_sent(struct connection *connection, ssize_t result)
{
	struct buffer *unsent = &connection->unsent;
	connection->sending = false;
	connection->sent += result > 0 ? (size_t)result : 0;
	if (result < 0) {
		close_now(connection);
	} else if (connection->sent < unsent->length) {
		send_unsent(connection);
	} else {
		buffer_clear(unsent);
		if (unsent->capacity > KEPT)
			buffer_free(unsent);
		serve(connection);
	}
	free_if_over(connection);
}

bool connection_push(struct connection *connection, const char *bytes, size_t length)
{
	if (connection->sending)
		return false;
	buffer_append(&connection->server->site.output, bytes, length);
	send_output(connection);
	free_if_over(connection);
	return true;
}

void connection_stop(struct connection *connection)
{
	serve(connection);
	free_if_over(connection);
}

void connection_closed(struct connection *connection)
{
	connection->closed = true;
	free_if_over(connection);
}

void connection_expired(struct deadline *deadline)
{
	struct connection *connection = CONNECTION_OF(deadline, deadline);
	struct site *site = &connection->server->site;
	bool has_begun = !http_reader_idle(&connection->reader) && !connection->lingering &&
		!connection->sending;
	if (has_begun || (!connection->lingering && !site->stopping))
		counter_up(&site->connections_timed_out);
	if (has_begun) {
		connection->answered++;
		site_refuse(&connection->exchange, 408);
		serve(connection);
	} else {
		close_now(connection);
	}
	free_if_over(connection);
}

void connection_hurry(struct deadline *deadline)
{
	struct connection *connection = CONNECTION_OF(deadline, deadline);
	if (!connection->sending)
		limit_client(connection);
}

void connection_open(struct server *server, int fd)
{
	struct connection *connection =
		reserve_fill() ? malloc(server->type->connection_size) : NULL;
	if (!connection) {
		counter_up(&server->site.connections_refused);
		close(fd);
		return;
	}
	memset(connection, 0, offsetof(struct connection, reader));
	http_reader_init(&connection->reader);
	connection->server = server;
	connection->fd = fd;
	connection->exchange.site = &server->site;
	connection->exchange.request = &connection->reader.request;
	if (server->site.log) {
		socklen_t size = sizeof(connection->exchange.client);
		getpeername(fd, &connection->exchange.client.any, &size);
	}
	counter_up(&server->site.connections_accepted);
	counter_up(&server->site.connections_open);
	server_needs_tick(server);
	if (server->type->adopt(connection) != 0)
		close_now(connection);
	serve(connection);
	free_if_over(connection);
}
