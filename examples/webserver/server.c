/* SPDX-License-Identifier: MIT */
/*
 * The server of one loop. It watches two descriptors, the listening socket and one that becomes
 * readable when the server must stop, and ticks while there is something to limit.
 *
 * On the first SIGINT or SIGTERM it stops in this order, and nothing that has arrived is lost. It
 * lets no new client into the listening queue, and answers those that are in it. Each connection
 * may complete a request within STOP_MS; the response closes the connection. After that time, idle
 * connections are closed, and those that have begun a request get 408. The loop ends with the last
 * connection. Work that is pending, and clients that read slowly, have as much time as always.
 */
#include "server.h"
#include "connection.h"
#include "loop.h"
#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS     64 /* in one iteration */
#define DESCRIPTORS 16 /* that the loop, the target and a client need */

void server_needs_tick(struct server *server)
{
	if (!server->ticking)
		server->type->tick(server->loop);
	server->ticking = true;
}

static int accept_start(struct server *server)
{
	int error = server->type->watch(server->loop, WATCH_LISTENER, server->listener.fd);
	server->accepting = error == 0;
	return error;
}

enum queue { QUEUE_EMPTY, QUEUE_HAS_MORE, QUEUE_STUCK };

static enum queue accept_clients(struct server *server)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = listener_accept(&server->listener);
		if (fd >= 0)
			connection_open(server, fd);
		else if (fd == -EAGAIN || fd == -EINVAL) /* nobody waits, or it is shut down */
			return QUEUE_EMPTY;
		else if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM)
			return QUEUE_STUCK;
	}
	return QUEUE_HAS_MORE;
}

/* Without descriptors it refuses clients, but while it stops, they wait until others have gone. */
static bool on_clients(struct server *server)
{
	enum queue queue = accept_clients(server);
	for (int i = 0; i < ACCEPTS && queue == QUEUE_STUCK && !server->site.stopping; i++) {
		if (!listener_shed(&server->listener))
			break;
		counter_up(&server->site.connections_refused);
	}
	server->accepting = queue != QUEUE_STUCK && !server->listener.shut;
	if (queue == QUEUE_STUCK)
		server_needs_tick(server); /* it watches the listener again */
	return server->accepting;
}

static bool on_stop(struct server *server)
{
	if (!signals_arrived(server->signals, server->stop_fd))
		return true;
	server->site.stopping = true;
	server->stop_at = server->stop_limits.now + server->limits.length;
	for (struct deadline *next, *deadline = server->limits.first; deadline; deadline = next) {
		next = deadline->next;
		connection_hurry(deadline);
	}
	events_stop(&server->site.events);
	server_needs_tick(server);
	return false;
}

bool server_readable(struct server *server, enum watched which)
{
	return which == WATCH_LISTENER ? on_clients(server) : on_stop(server);
}

/*
 * Once the queue is sealed, it gets only clients whose handshake has begun. If there are none and
 * it is empty then, it stays empty. A handshake that takes longer than STOP_MS is not waited for.
 */
static void finish_accepting(struct server *server)
{
	if (!server->listener.sealed) {
		listener_seal(&server->listener);
		server->handshakes_end = server->stop_limits.now + server->stop_limits.length;
		return;
	}
	bool gets_more = server->stop_limits.now < server->handshakes_end &&
		listener_has_handshakes(&server->listener);
	if (accept_clients(server) == QUEUE_EMPTY && !gets_more)
		listener_shut(&server->listener); /* ends its watch */
}

static void expire(struct deadlines *queue)
{
	queue->now++;
	while (queue->first && queue->first->at <= queue->now)
		connection_expired(queue->first);
}

bool server_tick(struct server *server)
{
	expire(&server->limits);
	expire(&server->stop_limits);
	if (server->site.stopping && !server->listener.shut)
		finish_accepting(server);
	else if (!server->accepting && !server->site.stopping)
		accept_start(server);
	bool listening = !server->listener.shut;
	server->ticking = counter_get(&server->site.connections_open) > 0 ||
		(server->site.loading && server->site.stopping) ||
		(listening && (server->site.stopping || !server->accepting));
	return server->ticking;
}

/* Wakes the workers after the last submission: a worker woken earlier may preempt the loop. */
void server_end_iteration(struct server *server)
{
	server->site.link->type->begin(server->site.link);
}

bool server_is_over(const struct server *server)
{
	return server->listener.shut && !server->accepting && !server->site.loading &&
		counter_get(&server->site.connections_open) == 0;
}

/* Checked before libuv and libev find out, because they end the program without a word. */
static int descriptors_check(int fd)
{
	int copies[DESCRIPTORS], count = 0;
	while (count < DESCRIPTORS && (copies[count] = fcntl(fd, F_DUPFD_CLOEXEC, 0)) >= 0)
		count++;
	int error = count < DESCRIPTORS ? -errno : 0;
	while (count > 0)
		close(copies[--count]);
	return error;
}

/* Stops at the first step that fails and names it in *failed. */
static int open_all(
	struct server *server, const struct server_options *options, const char **failed)
{
	int error;
	*failed = "cannot serve any client: raise the limit of file descriptors (ulimit -n)";
	if ((error = descriptors_check(server->stop_fd)) != 0)
		return error;
	*failed = "cannot open the loop";
	if ((error = server->type->open(&server->loop, server)) != 0)
		return error;
	*failed = "cannot open the target";
	error = options->work->join(
		&server->site.link, server->pool, server->type, server->loop, options->path);
	if (error)
		return error;
	*failed = "cannot open the channel of /events";
	struct ringwake *target = options->work->target(server->site.link);
	if (target && (error = events_open(&server->site.events, target)) != 0)
		return error;
	*failed = "cannot listen";
	if ((error = listener_open(&server->listener, &server->address, server->sharing)) != 0 ||
		(error = accept_start(server)) != 0)
		return error;
	*failed = "signals";
	if ((error = server->type->watch(server->loop, WATCH_STOP, server->stop_fd)) != 0)
		return error;
	*failed = "cannot serve any client";
	return reserve_fill() ? 0 : -ENOMEM;
}

int server_open(struct server *server, const struct server_options *options)
{
	const char *failed;
	server->type = options->loop;
	server->listener = (struct listener){.fd = -1, .spare = -1};
	server->limits.length = UINT64_C(1000) * options->timeout / TICK_MS;
	server->stop_limits.length = STOP_MS / TICK_MS;
	int error = open_all(server, options, &failed);
	if (error)
		fprintf(stderr, "%s: %s\n", failed, strerror(-error));
	return error;
}

void server_run(struct server *server)
{
	server->type->run(server->loop);
}

void server_close(struct server *server)
{
	if (server->site.link)
		server->site.link->type->leave(server->site.link);
	if (server->loop)
		server->type->close(server->loop);
	listener_close(&server->listener);
	site_free(&server->site);
}
