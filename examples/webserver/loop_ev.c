/* SPDX-License-Identifier: MIT */
/*
 * A libev loop. A target attached to it receives the workers' completions. LIBEV_FLAGS selects the
 * backend, as in any libev program.
 *
 * A connection has one io watcher, for reading or for writing. Because libev's io_uring backend
 * requires it, an active watcher is changed or stopped only in its own callback. To let go of a
 * connection whose watcher is active, the loop shuts down the socket, which makes the watcher fire.
 */
#include "loop.h"
#include "reserve.h"

#include <ringwake/ev.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct loop {
	struct ev_loop *ev;
	struct server *server;
	struct ringwake_ev *binding;
	ev_io watches[WATCHES];
	ev_timer tick;
	ev_prepare end_of_iteration;
};

struct loop_connection {
	struct connection base;
	ev_io io;
	const char *bytes; /* to be sent */
	size_t length;
};

static struct loop_connection *derived(struct connection *base)
{
	return (struct loop_connection *)base;
}

static void io_start(struct connection *base, int events)
{
	ev_io_set(&derived(base)->io, base->fd, events);
	ev_io_start(base->server->loop->ev, &derived(base)->io);
}

static bool must_wait(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void on_writable(struct connection *base)
{
	ssize_t sent = send(base->fd, derived(base)->bytes, derived(base)->length, MSG_NOSIGNAL);
	if (sent < 0 && must_wait())
		io_start(base, EV_WRITE);
	else
		connection_sent(base, sent < 0 ? -errno : sent);
}

static void on_readable(struct connection *base)
{
	size_t size;
	char *room = connection_room(base, &size);
	ssize_t length = recv(base->fd, room, size, 0);
	if (length < 0 && must_wait())
		io_start(base, EV_READ);
	else
		connection_received(base, length < 0 ? -errno : length);
}

/* Stops the watcher first, so that the code below may start it for reading or writing. */
static void on_io(struct ev_loop *ev, ev_io *io, int events)
{
	struct connection *base = io->data;
	(void)events;
	ev_io_stop(ev, io);
	if (base->closing) {
		close(base->fd);
		connection_closed(base);
	} else if (base->sending) {
		on_writable(base);
	} else {
		on_readable(base);
	}
}

static int adopt(struct connection *base)
{
	ev_io_init(&derived(base)->io, on_io, base->fd, EV_READ);
	derived(base)->io.data = base;
	return 0;
}

/* While it sends, the watcher waits for room to send; the connection asks again afterwards. */
static int receive(struct connection *base)
{
	if (!ev_is_active(&derived(base)->io))
		io_start(base, EV_READ);
	return 0;
}

static ssize_t try_send(struct connection *base, const char *bytes, size_t length)
{
	ssize_t sent = send(base->fd, bytes, length, MSG_NOSIGNAL);
	return sent >= 0 ? sent : must_wait() ? 0 : -errno;
}

/* The watcher is active only if this is the response to a timeout, which gets no second chance. */
static int send_all(struct connection *base, const char *bytes, size_t length)
{
	if (ev_is_active(&derived(base)->io))
		return -EBUSY;
	derived(base)->bytes = bytes;
	derived(base)->length = length;
	io_start(base, EV_WRITE);
	return 0;
}

static bool let_go(struct connection *base)
{
	bool at_once = !ev_is_active(&derived(base)->io);
	if (at_once)
		close(base->fd);
	else
		shutdown(base->fd, SHUT_RDWR);
	return at_once;
}

static void on_watch(struct ev_loop *ev, ev_io *io, int events)
{
	struct loop *loop = io->data;
	(void)events;
	if (!server_readable(loop->server, (enum watched)(io - loop->watches)))
		ev_io_stop(ev, io);
}

static int watch(struct loop *loop, enum watched which, int fd)
{
	ev_io *io = &loop->watches[which];
	ev_io_init(io, on_watch, fd, EV_READ);
	io->data = loop;
	ev_io_start(loop->ev, io);
	return 0;
}

static void on_tick(struct ev_loop *ev, ev_timer *tick, int events)
{
	struct loop *loop = tick->data;
	(void)events;
	if (!server_tick(loop->server))
		ev_timer_stop(ev, tick);
}

static void start_tick(struct loop *loop)
{
	ev_timer_again(loop->ev, &loop->tick);
}

static void on_end_of_iteration(struct ev_loop *ev, ev_prepare *prepare, int events)
{
	(void)ev;
	(void)events;
	server_end_iteration(((struct loop *)prepare->data)->server);
}

static void *allocate(void *memory, long size)
{
	if (size)
		return reserve_realloc(memory, (size_t)size);
	free(memory);
	return NULL;
}

static int loop_open(struct loop **out, struct server *server)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return -ENOMEM;
	ev_set_allocator(allocate);
	if (!(loop->ev = ev_loop_new(EVFLAG_AUTO))) {
		free(loop);
		return -ENOSYS;
	}
	loop->server = server;
	ev_timer_init(&loop->tick, on_tick, 0., TICK_MS / 1000.);
	ev_prepare_init(&loop->end_of_iteration, on_end_of_iteration);
	loop->tick.data = loop->end_of_iteration.data = loop;
	ev_prepare_start(loop->ev, &loop->end_of_iteration);
	ev_unref(loop->ev);
	snprintf(server->site.loop, sizeof(server->site.loop), "libev %d.%d", ev_version_major(),
		ev_version_minor());
	*out = loop;
	return 0;
}

static void run(struct loop *loop)
{
	ev_run(loop->ev, 0);
}

static void loop_close(struct loop *loop)
{
	ev_loop_destroy(loop->ev);
	free(loop);
}

static int attach(struct loop *loop, const struct ringwake_params *params, struct ringwake **target)
{
	int error = ringwake_ev_attach(&loop->binding, loop->ev, params);
	if (!error)
		*target = ringwake_ev_target(loop->binding);
	return error;
}

static void detach(struct loop *loop)
{
	ringwake_ev_detach(loop->binding);
}

const struct loop_type loop_ev = {.name = "ev", .run = run, .try_send = try_send, LOOP_REST};
