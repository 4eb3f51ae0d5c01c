/* SPDX-License-Identifier: MIT */
/* Every test runs on each of libev's backends with each doorbell. */
#ifndef TESTS_EV_COMMON_H
#define TESTS_EV_COMMON_H

#include "../common.h"

#include <ringwake/ev.h>
#include <sched.h>

struct variant {
	unsigned backend;
	enum ringwake_path path;
};

#define VARIANTS(name, backend)                                                                    \
	static struct variant name##_by_msg_ring = {backend, RINGWAKE_PATH_MSG_RING};              \
	static struct variant name##_by_eventfd = {backend, RINGWAKE_PATH_EVENTFD}
VARIANTS(select, EVBACKEND_SELECT);
VARIANTS(poll, EVBACKEND_POLL);
VARIANTS(epoll, EVBACKEND_EPOLL);
VARIANTS(io_uring, EVBACKEND_IOURING);

#define ON_BACKEND(test, name)                                                                     \
	{#test " on " #name " by msg_ring", test, NULL, NULL, &name##_by_msg_ring},                \
	{                                                                                          \
#test " on " #name " by eventfd", test, NULL, NULL, &name##_by_eventfd             \
	}
#define ON_ALL(test)                                                                               \
	ON_BACKEND(test, select), ON_BACKEND(test, poll), ON_BACKEND(test, epoll),                 \
		ON_BACKEND(test, io_uring)

/* The loop of the running test, and its target. */
static struct ev_loop *loop;
static struct ringwake_ev *binding;

/* Skips the test if the backend or the doorbell is not available. */
static inline struct ev_loop *make_loop(const struct variant *variant, unsigned flags)
{
	struct ev_loop *made = NULL;
	if (ev_supported_backends() & variant->backend)
		made = ev_loop_new(variant->backend | EVFLAG_NOENV | flags);
	if (made == NULL) {
		print_message("libev has no backend %#x on this machine\n", variant->backend);
		skip();
	}
	assert_int_equal(ev_backend(made), variant->backend);
	return made;
}

/* Retries, because an unprivileged user's locked memory is limited and the kernel releases a closed
 * ring's memory only after a delay. */
static inline int attach_patiently(
	struct ringwake_ev **out, struct ev_loop *to, const struct variant *variant)
{
	struct ringwake_params params = {.path = variant->path};
	time_t deadline = time(NULL) + 10;
	int error;
	do {
		error = ringwake_ev_attach(out, to, &params);
	} while (error == -ENOMEM && time(NULL) < deadline && sched_yield() == 0);
	return error;
}

static inline struct ringwake_ev *attach_to(struct ev_loop *to, const struct variant *variant)
{
	struct ringwake_ev *made = NULL;
	int error = attach_patiently(&made, to, variant);
	if (variant->path == RINGWAKE_PATH_MSG_RING && error < 0 && error != -ENOMEM) {
		print_message("this kernel has no sync MSG_RING: %s\n", strerror(-error));
		ev_loop_destroy(to);
		skip();
	}
	assert_int_equal(error, 0);
	assert_int_equal(ringwake_get_path(ringwake_ev_target(made)), variant->path);
	return made;
}

static inline void open_loop(void **state)
{
	loop = make_loop(*state, 0);
	binding = attach_to(loop, *state);
}

static inline void close_loop(void)
{
	assert_int_equal(ringwake_ev_detach(binding), 0);
	ev_loop_destroy(loop);
}

/* An async that counts its callbacks and breaks the loop after the last wanted one. */
struct watched {
	ringwake_ev_async async;
	unsigned count;
	unsigned wanted;
};

static inline void count_async(struct ev_loop *in, ringwake_ev_async *async, int revents)
{
	struct watched *watched = (struct watched *)async;
	assert_int_equal(revents, EV_ASYNC);
	if (++watched->count == watched->wanted)
		ev_break(in, EVBREAK_ALL);
}

static inline void start_watched(struct watched *watched, unsigned wanted)
{
	ringwake_ev_async_init(&watched->async, count_async);
	watched->count = 0;
	watched->wanted = wanted;
	ringwake_ev_async_start(binding, &watched->async);
}

static inline void *send_once(void *async)
{
	assert_int_equal(ringwake_ev_async_send(async), 0);
	return NULL;
}

#endif
