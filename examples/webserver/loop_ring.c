/* SPDX-License-Identifier: MIT */
/*
 * A loop of its own on an io_uring, without a loop library. In each iteration, one
 * io_uring_enter(2) submits all receives and sends, and another one waits if nothing has completed.
 * The workers' completions also end that wait.
 *
 * A connection has at most one receive and one send on the ring. The kernel may use their buffers
 * until they complete, so the loop lets go of the connection only then. To make them complete soon,
 * it shuts down the socket.
 */
#include "loop.h"

#include <liburing.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ENTRIES 1024 /* requests of one iteration; if there are more, some are submitted early */

/*
 * One thread submits, and the kernel runs its task work when that thread waits. The last flag is
 * for iterations that do not wait.
 */
#define RING_FLAGS                                                                                 \
	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

/* In linux/io_uring.h since 6.15. Older headers do not define them. */
#define FEATURE_NO_IOWAIT (1U << 17)
#define ENTER_NO_IOWAIT   (1U << 7)

/* The low bits of a request's user data. The other bits are the connection's address, if any. */
enum purpose { LISTENER = 1, STOP, TICK, RECEIVE, SEND, PURPOSE_BITS = 7 };

struct loop {
	struct io_uring ring;
	struct server *server;
	struct ringwake *target;
	int watched[WATCHES];
};

struct loop_connection {
	struct connection base;
	bool receiving, sending; /* a request is on the ring */
};

static struct loop_connection *derived(struct connection *base)
{
	return (struct loop_connection *)base;
}

/* Returns a request for the caller to prepare and then mark. */
static struct io_uring_sqe *new_request(struct loop *loop)
{
	struct io_uring_sqe *request;
	while (!(request = io_uring_get_sqe(&loop->ring)))
		io_uring_submit(&loop->ring);
	return request;
}

static void mark(struct io_uring_sqe *request, enum purpose purpose, struct connection *base)
{
	io_uring_sqe_set_data64(request, (uintptr_t)base | purpose);
}

static int adopt(struct connection *base)
{
	derived(base)->receiving = derived(base)->sending = false;
	return 0;
}

static int receive(struct connection *base)
{
	size_t size;
	if (derived(base)->receiving)
		return 0;
	char *room = connection_room(base, &size);
	struct io_uring_sqe *request = new_request(base->server->loop);
	io_uring_prep_recv(request, base->fd, room, size, 0);
	/* nothing can arrive before the client gets its response */
	request->ioprio = IORING_RECVSEND_POLL_FIRST;
	mark(request, RECEIVE, base);
	derived(base)->receiving = true;
	return 0;
}

static int send_all(struct connection *base, const char *bytes, size_t length)
{
	struct io_uring_sqe *request = new_request(base->server->loop);
	io_uring_prep_send(request, base->fd, bytes, length, MSG_NOSIGNAL | MSG_WAITALL);
	mark(request, SEND, base);
	derived(base)->sending = true;
	return 0;
}

static bool let_go(struct connection *base)
{
	bool at_once = !derived(base)->receiving && !derived(base)->sending;
	if (at_once)
		close(base->fd);
	else
		shutdown(base->fd, SHUT_RDWR);
	return at_once;
}

static int watch(struct loop *loop, enum watched which, int fd)
{
	struct io_uring_sqe *request = new_request(loop);
	loop->watched[which] = fd;
	io_uring_prep_poll_add(request, fd, POLLIN);
	mark(request, which == WATCH_LISTENER ? LISTENER : STOP, NULL);
	return 0;
}

static void start_tick(struct loop *loop)
{
	static struct __kernel_timespec interval = {.tv_nsec = TICK_MS * 1000000};
	struct io_uring_sqe *request = new_request(loop);
	io_uring_prep_timeout(request, &interval, 0, 0);
	mark(request, TICK, NULL);
}

static void on_readable(struct loop *loop, enum watched which)
{
	if (server_readable(loop->server, which))
		watch(loop, which, loop->watched[which]);
}

/* The connection was told to let go while requests were on the ring. */
static bool was_last(struct connection *base)
{
	if (!base->closing || !let_go(base))
		return false;
	connection_closed(base);
	return true;
}

static void on_io(struct connection *base, enum purpose purpose, int result)
{
	*(purpose == RECEIVE ? &derived(base)->receiving : &derived(base)->sending) = false;
	if (was_last(base) || base->closing)
		return;
	if (purpose == RECEIVE)
		connection_received(base, result);
	else
		connection_sent(base, result);
}

static void on_completion(struct loop *loop, const struct io_uring_cqe *completion)
{
	uintptr_t data = (uintptr_t)completion->user_data;
	enum purpose purpose = data & PURPOSE_BITS;
	switch (purpose) {
	case LISTENER:
		on_readable(loop, WATCH_LISTENER);
		break;
	case STOP:
		on_readable(loop, WATCH_STOP);
		break;
	case TICK:
		if (server_tick(loop->server))
			start_tick(loop);
		break;
	default:
		on_io((struct connection *)(data - purpose), purpose, completion->res);
	}
}

static void take_completions(struct loop *loop)
{
	struct io_uring_cqe *completion;
	unsigned head, seen = 0;
	io_uring_for_each_cqe(&loop->ring, head, completion)
	{
		seen++;
		if (!ringwake_is_doorbell(loop->target, completion))
			on_completion(loop, completion);
	}
	io_uring_cq_advance(&loop->ring, seen);
}

/* With the flag, the kernel does not count an idle server as waiting for I/O. */
static void wait_for_completion(struct io_uring *ring)
{
	unsigned flags = IORING_ENTER_GETEVENTS;
	if (ring->features & FEATURE_NO_IOWAIT)
		flags |= ENTER_NO_IOWAIT;
	io_uring_enter(ring->ring_fd, 0, 1, flags, NULL);
}

/* This order answers work that ends during completion handling in the same iteration. */
static void run(struct loop *loop)
{
	while (!server_is_over(loop->server)) {
		/* If it is not armed, work has ended, so the loop must not block. */
		bool armed = ringwake_arm(loop->target);
		io_uring_submit(&loop->ring);
		if (armed && io_uring_sq_ready(&loop->ring) == 0 &&
			io_uring_cq_ready(&loop->ring) == 0)
			wait_for_completion(&loop->ring);
		ringwake_disarm(loop->target);
		take_completions(loop);
		server_end_iteration(loop->server);
		ringwake_dispatch(loop->target, 0);
		server_end_iteration(loop->server); /* for requests that waited behind that work */
	}
}

static int loop_open(struct loop **out, struct server *server)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int error = loop ? io_uring_queue_init(ENTRIES, &loop->ring, RING_FLAGS) : -ENOMEM;
	if (error) {
		fprintf(stderr, "--loop ring needs io_uring of Linux 6.1 or newer\n");
		free(loop);
		return error;
	}
	io_uring_register_ring_fd(&loop->ring);
	loop->server = server;
	snprintf(server->site.loop, sizeof(server->site.loop), "io_uring");
	*out = loop;
	return 0;
}

static void loop_close(struct loop *loop)
{
	io_uring_queue_exit(&loop->ring);
	free(loop);
}

static int attach(struct loop *loop, const struct ringwake_params *params, struct ringwake **target)
{
	int error = ringwake_open(&loop->target, &loop->ring, params);
	*target = loop->target;
	return error;
}

static void detach(struct loop *loop)
{
	ringwake_close(loop->target);
}

const struct loop_type loop_ring = {.name = "ring", .run = run, LOOP_REST};
