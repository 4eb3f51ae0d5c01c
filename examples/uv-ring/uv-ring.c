/* SPDX-License-Identifier: MIT */
/*
 * A libuv loop that blocks in its io_uring. The program uses the same ring: one request accepts all
 * connections, and one request for each connection receives all its data. The clients are libuv's
 * own handles on the same loop.
 */
#include <liburing.h>
#include <netinet/in.h>
#include <ringwake/uv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 4, BUFFERS = 16, BUFFER = 4096, GROUP = 1 };

/* The request is the first member, so a pointer to it is a pointer to the connection. */
struct connection {
	ringwake_uv_request_t receive;
	int fd;
	size_t bytes;
};

static struct ringwake_uv *attached;
static struct io_uring *ring;
static ringwake_uv_request_t accepting, providing;
static struct connection connections[CLIENTS];
static int accepted, ended;
static char buffers[BUFFERS][BUFFER];

static struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	if (sqe == NULL) { /* the queue is full */
		io_uring_submit(ring);
		sqe = io_uring_get_sqe(ring);
	}
	return sqe;
}

static void on_provided(ringwake_uv_request_t *request, int result, unsigned flags)
{
	(void)flags;
	free(request == &providing ? NULL : request);
	if (result < 0)
		fprintf(stderr, "buffers: %s\n", strerror(-result));
}

static void provide(int first, int count, ringwake_uv_request_t *request)
{
	struct io_uring_sqe *sqe = next_sqe();
	io_uring_prep_provide_buffers(sqe, buffers[first], BUFFER, count, GROUP, first);
	ringwake_uv_request_start(attached, sqe, request, on_provided);
}

static void on_received(ringwake_uv_request_t *request, int result, unsigned flags);

static void receive(struct connection *connection)
{
	struct io_uring_sqe *sqe = next_sqe();
	io_uring_prep_recv_multishot(sqe, connection->fd, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	ringwake_uv_request_start(attached, sqe, &connection->receive, on_received);
}

/* Runs for each piece of data. Without IORING_CQE_F_MORE the request has ended. */
static void on_received(ringwake_uv_request_t *request, int result, unsigned flags)
{
	struct connection *connection = (struct connection *)request;
	if (flags & IORING_CQE_F_BUFFER) {
		connection->bytes += result > 0 ? (size_t)result : 0;
		provide((int)(flags >> IORING_CQE_BUFFER_SHIFT), 1, calloc(1, sizeof *request));
	}
	if (flags & IORING_CQE_F_MORE)
		return;
	if (result > 0 || result == -ENOBUFS) {
		receive(connection);
		return;
	}
	close(connection->fd);
	if (++ended == CLIENTS) { /* no more connections will come */
		struct io_uring_sqe *sqe = next_sqe();
		io_uring_prep_cancel(sqe, &accepting, 0);
		io_uring_sqe_set_data(sqe, NULL);
	}
}

static void on_accepted(ringwake_uv_request_t *request, int result, unsigned flags)
{
	(void)request;
	(void)flags;
	if (result < 0)
		return;
	if (accepted == CLIENTS) { /* not from a client of this program */
		close(result);
		return;
	}
	struct connection *connection = &connections[accepted++];
	connection->fd = result;
	receive(connection);
}

/* The clients use libuv only. */
static char text[100000];

static void on_written(uv_write_t *request, int status)
{
	(void)status;
	uv_close((uv_handle_t *)request->handle, NULL);
}

static void on_connected(uv_connect_t *request, int status)
{
	static uv_write_t writes[CLIENTS];
	static int count;
	uv_buf_t buffer = uv_buf_init(text, sizeof text);
	if (status == 0)
		uv_write(&writes[count++], request->handle, &buffer, 1, on_written);
}

int main(void)
{
	static uv_tcp_t clients[CLIENTS];
	static uv_connect_t connects[CLIENTS];
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	uv_loop_t *loop = uv_default_loop();
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0 ||
		getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
		perror("listen");
		return 1;
	}
	int error = ringwake_uv_attach(&attached, loop, NULL);
	if (error < 0 || (ring = ringwake_uv_ring(attached)) == NULL) {
		fprintf(stderr, "no ring: %s\n", error < 0 ? uv_strerror(error) : "no io_uring");
		return 1;
	}
	provide(0, BUFFERS, &providing);
	struct io_uring_sqe *sqe = next_sqe();
	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	ringwake_uv_request_start(attached, sqe, &accepting, on_accepted);

	for (int i = 0; i < CLIENTS; i++) {
		uv_tcp_init(loop, &clients[i]);
		uv_tcp_connect(
			&connects[i], &clients[i], (struct sockaddr *)&address, on_connected);
	}
	ringwake_uv_run(attached, UV_RUN_DEFAULT); /* returns when nothing is left to wait for */

	size_t bytes = 0;
	for (int i = 0; i < CLIENTS; i++)
		bytes += connections[i].bytes;
	printf("%d connections, %zu bytes\n", accepted, bytes);
	close(listener);
	ringwake_uv_detach(attached);
	return uv_loop_close(loop) != 0 || bytes != CLIENTS * sizeof text;
}
