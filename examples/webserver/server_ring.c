/* SPDX-License-Identifier: MIT */
/*
 * The server on its own io_uring: the loop, new clients, and signals. In each iteration, one system
 * call submits all receives and sends and then waits. The workers' completions also end that wait.
 */
#include "attachment.h"
#include "ring.h"
#include "server.h"

#include <ringwake/ringwake.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES 1024 /* requests of one iteration; if there are more, some are submitted early */
#define SHEDS   64   /* clients refused in one iteration */

/*
 * One thread submits, and the kernel runs its task work when that thread waits. The last flag is
 * for iterations that do not wait.
 */
#define RING_FLAGS                                                                                 \
	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

/* In linux/io_uring.h since 6.15. Older headers do not define them. */
#define FEATURE_NO_IOWAIT (1U << 17)
#define ENTER_NO_IOWAIT   (1U << 7)

struct io_uring_sqe *new_request(struct server *server)
{
	struct io_uring_sqe *request;
	while (!(request = io_uring_get_sqe(&server->ring)))
		io_uring_submit(&server->ring);
	return request;
}

void mark(struct io_uring_sqe *request, enum purpose purpose, struct connection *connection)
{
	io_uring_sqe_set_data64(request, (uintptr_t)connection | purpose);
}

static void tick_start(struct server *server)
{
	static struct __kernel_timespec interval = {.tv_nsec = TICK_MS * 1000000};
	if (server->ticking)
		return;
	struct io_uring_sqe *request = new_request(server);
	io_uring_prep_timeout(request, &interval, 0, 0);
	mark(request, TICK, NULL);
	server->ticking = true;
}

static void accept_start(struct server *server)
{
	struct io_uring_sqe *request = new_request(server);
	io_uring_prep_multishot_accept(request, server->listener.fd, NULL, NULL, SOCK_CLOEXEC);
	mark(request, ACCEPT, NULL);
	server->accepting = true;
}

/* Closes idle connections here, not on the signal: a request may have arrived with the signal. */
static void on_tick(struct server *server)
{
	server->ticking = false;
	connections_expire(server);
	if (server->site.stopping)
		connections_close_idle(server);
	else if (!server->accepting)
		accept_start(server);
	if (server->site.connections_open > 0)
		tick_start(server);
}

static sigset_t signals_to_stop(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return set;
}

/* Blocks the signals, so that they are read from a signalfd, even if the shell ignores them. */
static int signals_open(struct server *server)
{
	sigset_t set = signals_to_stop();
	sigprocmask(SIG_BLOCK, &set, NULL);
	server->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return server->signals < 0 ? -errno : 0;
}

/* Reads the signal that arrived and unblocks the signals: the next one ends the process. */
static void signals_release(void)
{
	static const struct timespec at_once;
	sigset_t set = signals_to_stop();
	sigtimedwait(&set, NULL, &at_once);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* Ends the loop when the last connection has gone. */
static void server_stop(struct server *server)
{
	if (server->site.stopping)
		return;
	server->site.stopping = true;
	shutdown(server->listener.fd, SHUT_RDWR); /* ends the accept */
	signals_release();
}

/* Polls first, because accepts on a ring need a blocking listener. */
static void shed(struct server *server)
{
	struct pollfd waiting = {.fd = server->listener.fd, .events = POLLIN};
	for (int i = 0; i < SHEDS && poll(&waiting, 1, 0) > 0; i++) {
		if (!listener_shed(&server->listener))
			break;
	}
}

/*
 * An accept allocates its descriptor before a client connects. If no descriptor is left, it fails
 * at once, and the next tick tries again.
 */
static void on_accepted(struct server *server, int result, bool more)
{
	server->accepting = more;
	if (result >= 0 && !connection_open(server, result)) {
		server->error = -ENOMEM;
		server_stop(server);
	}
	tick_start(server);
	if (more || server->site.stopping)
		return;
	if (result == -EMFILE || result == -ENFILE)
		shed(server);
	if (result >= 0)
		accept_start(server);
}

static void on_completion(struct server *server, const struct io_uring_cqe *completion)
{
	uintptr_t data = (uintptr_t)completion->user_data;
	struct connection *connection = (struct connection *)(data & ~(uintptr_t)PURPOSE_BITS);
	switch (data & PURPOSE_BITS) {
	case ACCEPT:
		on_accepted(server, completion->res, completion->flags & IORING_CQE_F_MORE);
		return;
	case SIGNAL:
		server_stop(server);
		return;
	case TICK:
		on_tick(server);
		return;
	case RECEIVE:
		connection_received(connection, completion->res);
		return;
	case SEND:
		connection_sent(connection, completion->res);
		return;
	}
}

static void take_completions(struct server *server)
{
	struct io_uring_cqe *completion;
	unsigned head, seen = 0;
	io_uring_for_each_cqe(&server->ring, head, completion)
	{
		seen++;
		if (!ringwake_is_doorbell(server->target, completion))
			on_completion(server, completion);
	}
	io_uring_cq_advance(&server->ring, seen);
}

/* With the flag, the kernel does not count an idle server as waiting for I/O. */
static void wait_for_completion(struct io_uring *ring)
{
	unsigned flags = IORING_ENTER_GETEVENTS;
	if (ring->features & FEATURE_NO_IOWAIT)
		flags |= ENTER_NO_IOWAIT;
	io_uring_enter(ring->ring_fd, 0, 1, flags, NULL);
}

/* This order answers digests that end during completion handling in the same iteration. The workers
 * are woken after the last submission: a worker woken earlier may preempt the loop. */
static void server_loop(struct server *server)
{
	while (!server->site.stopping || server->accepting || server->site.connections_open > 0) {
		/* If it is not armed, digests have ended, so the loop must not block. */
		bool armed = ringwake_arm(server->target);
		io_uring_submit(&server->ring);
		if (armed && io_uring_sq_ready(&server->ring) == 0 &&
			io_uring_cq_ready(&server->ring) == 0)
			wait_for_completion(&server->ring);
		ringwake_disarm(server->target);
		take_completions(server);
		work_begin(server->site.pool);
		ringwake_dispatch(server->target, 0);
		work_begin(server->site.pool); /* for requests that waited behind those digests */
	}
}

/* Here loop is the server itself. */
int attachment_open(struct attachment **out, void *loop, const struct ringwake_params *params)
{
	struct server *server = loop;
	*out = loop;
	return ringwake_open(&server->target, &server->ring, params);
}

struct ringwake *attachment_target(struct attachment *attachment)
{
	return ((struct server *)attachment)->target;
}

void attachment_close(struct attachment *attachment)
{
	ringwake_close(attachment_target(attachment));
}

/* Stops at the first step that fails and names it in *failed. */
static int server_open(
	struct server *server, const struct server_options *options, const char **failed)
{
	int error;
	*failed = "signals";
	if ((error = signals_open(server)) !=
		0) /* before the workers are created, which inherit the mask */
		return error;
	*failed = "cannot start the workers or open the target";
	error = work_pool_open(&server->site.pool, server, options->workers, options->path);
	if (error)
		return error;
	*failed = "cannot listen";
	if ((error = listener_open(&server->listener, &options->address, 0)) != 0)
		return error;
	struct io_uring_sqe *request = new_request(server);
	io_uring_prep_poll_add(request, server->signals, POLLIN);
	mark(request, SIGNAL, NULL);
	accept_start(server);
	return 0;
}

static void server_close(struct server *server)
{
	if (server->site.pool)
		work_pool_close(server->site.pool);
	io_uring_queue_exit(&server->ring);
	if (server->listener.fd >= 0)
		listener_close(&server->listener);
	if (server->signals >= 0)
		close(server->signals);
	site_free(&server->site);
}

int server_run(const struct server_options *options,
	void (*ready)(const struct sockaddr_storage *address, const char *path))
{
	struct server server = {
		.limits.length_ms = UINT64_C(1000) * options->timeout,
		.listener.fd = -1,
		.signals = -1,
	};
	server.site.loop = "io_uring";
	int error = io_uring_queue_init(ENTRIES, &server.ring, RING_FLAGS);
	if (error) {
		fprintf(stderr, "cannot create an io_uring, which needs Linux 6.1 or newer: %s\n",
			strerror(-error));
		return error;
	}
	io_uring_register_ring_fd(&server.ring);
	const char *failed;
	error = server_open(&server, options, &failed);
	if (error) {
		fprintf(stderr, "%s: %s\n", failed, strerror(-error));
	} else {
		struct sockaddr_storage address;
		socklen_t size = sizeof(address);
		getsockname(server.listener.fd, (struct sockaddr *)&address, &size);
		ready(&address, work_pool_path(server.site.pool));
		server_loop(&server);
		error = server.error;
	}
	server_close(&server);
	return error;
}
