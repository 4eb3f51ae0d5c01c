/* SPDX-License-Identifier: MIT */
/* The application's own requests on the loop's ring, under uv_run() and ringwake_uv_run(). */
#include "fixture.h"

#include <dlfcn.h>
#include <liburing.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct asking {
	ringwake_uv_request_t request;
	struct fixture *f;
	unsigned completions, last_ones;
	int result;
	uv_thread_t thread;
};

static void note(ringwake_uv_request_t *request, int result, unsigned flags)
{
	struct asking *asking = (struct asking *)request;
	asking->completions++;
	asking->result = result;
	asking->thread = uv_thread_self();
	if (!(flags & IORING_CQE_F_MORE))
		asking->last_ones++;
}

/* Every test runs on both doorbells and with both run functions. */
static bool on_ring;

static int run(struct fixture *f, uv_run_mode mode)
{
	return on_ring ? ringwake_uv_run(f->binding, mode) : uv_run(&f->loop, mode);
}

static struct io_uring_sqe *open_ring(struct fixture *f)
{
	open_loop(f);
	struct io_uring *ring = ringwake_uv_ring(f->binding);
	if (ring == NULL) {
		print_message("io_uring is not available\n");
		skip();
	}
	assert_ptr_equal(ringwake_uv_ring(f->binding), ring);
	return io_uring_get_sqe(ring);
}

static void each_way(void (*test)(void))
{
	for (int way = 0; way < 2; way++) {
		on_ring = way == 1;
		test();
	}
}

/* Replaces liburing's function. The kernel temporarily lacks a resource. */
static unsigned refusals;
int io_uring_submit(struct io_uring *ring)
{
	static int (*real)(struct io_uring * ring);
	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "io_uring_submit");
	if (refusals == 0)
		return real(ring);
	refusals--;
	return -EAGAIN;
}

/* The loop does not block while the kernel does not have the request. */
static void refused_request(void)
{
	struct fixture f;
	struct asking asking = {0};
	struct io_uring_sqe *sqe = open_ring(&f);
	io_uring_prep_nop(sqe);
	ringwake_uv_request_start(f.binding, sqe, &asking.request, note);
	refusals = 2;
	while (run(&f, UV_RUN_DEFAULT) != 0)
		;
	assert_int_equal(asking.completions, 1);
	refusals = 0;
	close_loop(&f);
}

static void test_refused_request(void **state)
{
	(void)state;
	each_way(refused_request);
}

static void one_request(void)
{
	for (uv_run_mode mode = UV_RUN_DEFAULT; mode <= UV_RUN_NOWAIT; mode++) {
		struct fixture f;
		struct asking asking = {0};
		struct io_uring_sqe *sqe = open_ring(&f);
		io_uring_prep_nop(sqe);
		ringwake_uv_request_start(f.binding, sqe, &asking.request, note);
		assert_int_equal(ringwake_uv_detach(f.binding), UV_EBUSY);
		assert_true(uv_loop_alive(&f.loop));
		while (run(&f, mode) != 0)
			;
		assert_int_equal(asking.completions, 1);
		assert_int_equal(asking.result, 0);
		assert_true(is_this_thread(asking.thread));
		close_loop(&f);
	}
}

static void test_one_request(void **state)
{
	(void)state;
	each_way(one_request);
}

static void timeout_keeps_loop_alive(void)
{
	struct fixture f;
	struct asking asking = {0};
	struct __kernel_timespec limit = {.tv_nsec = 30 * 1000000};
	struct io_uring_sqe *sqe = open_ring(&f);
	io_uring_prep_timeout(sqe, &limit, 0, 0);
	ringwake_uv_request_start(f.binding, sqe, &asking.request, note);
	uint64_t began = uv_hrtime();
	assert_int_equal(run(&f, UV_RUN_DEFAULT), 0);
	assert_true(uv_hrtime() - began >= 29 * 1000000);
	assert_int_equal(asking.result, -ETIME);
	close_loop(&f);
}

static void test_timeout_keeps_loop_alive(void **state)
{
	(void)state;
	each_way(timeout_keeps_loop_alive);
}

/* Prepares more requests than the ring has room for. */
static void many_requests(void)
{
	enum { COUNT = 1000 };
	static struct asking askings[COUNT];
	struct fixture f;
	memset(askings, 0, sizeof askings);
	struct io_uring_sqe *sqe = open_ring(&f);
	struct io_uring *ring = ringwake_uv_ring(f.binding);
	for (int i = 0; i < COUNT; i++) {
		if (i > 0 && (sqe = io_uring_get_sqe(ring)) == NULL) {
			assert_true(io_uring_submit(ring) > 0);
			sqe = io_uring_get_sqe(ring);
		}
		assert_non_null(sqe);
		io_uring_prep_nop(sqe);
		ringwake_uv_request_start(f.binding, sqe, &askings[i].request, note);
	}
	assert_int_equal(run(&f, UV_RUN_DEFAULT), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(askings[i].completions, 1);
	close_loop(&f);
}

static void test_many_requests(void **state)
{
	(void)state;
	each_way(many_requests);
}

/* A server that accepts and receives with one multishot request each. */
struct server {
	struct asking accept, receive;
	int connection;
	char buffer[16];
	unsigned bytes;
	struct ringwake_uv *binding;
};

static struct io_uring_sqe *another(struct ringwake_uv *binding)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ringwake_uv_ring(binding));
	assert_non_null(sqe);
	return sqe;
}

static void on_received(ringwake_uv_request_t *request, int result, unsigned flags)
{
	struct server *server = request->data;
	note(request, result, flags);
	if (result > 0) {
		server->bytes += (unsigned)result;
		struct io_uring_sqe *sqe = another(server->binding);
		io_uring_prep_recv(
			sqe, server->connection, server->buffer, sizeof server->buffer, 0);
		ringwake_uv_request_start(server->binding, sqe, request, on_received);
		return;
	}
	close(server->connection);
	struct io_uring_sqe *sqe = another(server->binding);
	io_uring_prep_cancel(sqe, &server->accept.request, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

static void on_accepted(ringwake_uv_request_t *request, int result, unsigned flags)
{
	struct server *server = request->data;
	note(request, result, flags);
	if (result < 0)
		return;
	server->connection = result;
	struct io_uring_sqe *sqe = another(server->binding);
	io_uring_prep_recv(sqe, result, server->buffer, sizeof server->buffer, 0);
	server->receive.request.data = server;
	ringwake_uv_request_start(server->binding, sqe, &server->receive.request, on_received);
}

static void *connect_and_write(void *argument)
{
	const struct sockaddr_in *address = argument;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
		abort();
	for (int i = 0; i < 100; i++)
		if (write(fd, "0123456789", 10) != 10)
			abort();
	close(fd);
	return NULL;
}

static void multishot(void)
{
	struct fixture f;
	struct server server = {0};
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	struct io_uring_sqe *sqe = open_ring(&f);
	server.binding = f.binding;
	server.accept.request.data = &server;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	ringwake_uv_request_start(f.binding, sqe, &server.accept.request, on_accepted);
	pthread_t thread = start(connect_and_write, &address);
	assert_int_equal(run(&f, UV_RUN_DEFAULT), 0);
	join(thread);
	assert_int_equal(server.bytes, 1000);
	assert_int_equal(server.accept.completions, 2);
	assert_int_equal(server.accept.last_ones, 1);
	assert_int_equal(server.accept.result, -ECANCELED);
	close(listener);
	close_loop(&f);
}

static void test_multishot(void **state)
{
	(void)state;
	each_way(multishot);
}

/* The loop serves wakes, libuv's own handles and requests at the same time. */
struct mixture {
	struct asking timeout;
	struct counter counter;
	uv_timer_t timer;
	unsigned ticks;
};

static void tick(uv_timer_t *timer)
{
	++*(unsigned *)timer->data;
}

static void *send_some(void *argument)
{
	struct mixture *mixture = argument;
	for (unsigned i = 1; i <= 1000; i++)
		if (ringwake_uv_async_send(&mixture->counter.async) == UV_ECANCELED)
			break; /* its first callback has closed it */
	return NULL;
}

static void beside_wakes(void)
{
	struct fixture f;
	struct mixture mixture = {0};
	struct __kernel_timespec limit = {.tv_nsec = 40 * 1000000};
	struct io_uring_sqe *sqe = open_ring(&f);
	io_uring_prep_timeout(sqe, &limit, 0, 0);
	ringwake_uv_request_start(f.binding, sqe, &mixture.timeout.request, note);
	open_counter(&f, &mixture.counter, 1);
	uv_timer_init(&f.loop, &mixture.timer);
	mixture.timer.data = &mixture.ticks;
	uv_timer_start(&mixture.timer, tick, 1, 1);
	uv_unref((uv_handle_t *)&mixture.timer);
	pthread_t thread = start(send_some, &mixture);
	assert_int_equal(run(&f, UV_RUN_DEFAULT), 0);
	join(thread);
	assert_int_equal(mixture.timeout.completions, 1);
	assert_int_equal(mixture.counter.calls, 1);
	assert_true(mixture.ticks >= 1);
	uv_close((uv_handle_t *)&mixture.timer, NULL);
	close_loop(&f);
}

static void test_beside_wakes(void **state)
{
	(void)state;
	each_way(beside_wakes);
}

static void detach_at_the_end(ringwake_uv_request_t *request, int result, unsigned flags)
{
	struct asking *asking = (struct asking *)request;
	note(request, result, flags);
	asking->result = ringwake_uv_detach(asking->f->binding);
}

static void test_detach_in_a_completion(void **state)
{
	(void)state;
	struct fixture f;
	struct asking asking = {.f = &f};
	struct io_uring_sqe *sqe = open_ring(&f);
	io_uring_prep_nop(sqe);
	ringwake_uv_request_start(f.binding, sqe, &asking.request, detach_at_the_end);
	assert_int_equal(uv_run(&f.loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(asking.completions, 1);
	assert_int_equal(asking.result, 0);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH_PATHS(test_one_request),
		ON_BOTH_PATHS(test_refused_request),
		ON_BOTH_PATHS(test_timeout_keeps_loop_alive),
		ON_BOTH_PATHS(test_many_requests),
		ON_BOTH_PATHS(test_multishot),
		ON_BOTH_PATHS(test_beside_wakes),
		ON_BOTH_PATHS(test_detach_in_a_completion),
	};
	return RUN_BOUNDED(tests, 60);
}
