/* SPDX-License-Identifier: MIT */
/*
 * A way to wake a loop from another thread, seen by both sides. One call of wake makes one call of
 * woken on the loop's thread, as long as the next wake comes after it.
 */
#ifndef WAY_H
#define WAY_H

typedef void (*woken_function)(void *owner);

struct way {
	/* The loop's thread. */
	void *(*open)(woken_function woken, void *owner);
	void (*run)(void *loop);  /* until stop is called */
	void (*stop)(void *loop); /* from woken */
	void (*close)(void *loop);
	/* Any thread. */
	void (*wake)(void *loop);
};

extern const struct way way_cache_line;
extern const struct way way_futex;
extern const struct way way_pipe;
extern const struct way way_eventfd_level, way_eventfd_edge;
extern const struct way way_ring_read, way_ring_futex, way_ring_async, way_ring_sync;
extern const struct way way_ringwake, way_ringwake_spin;
extern const struct way way_uv, way_uv_attached, way_uv_ring, way_uv_ring_spin;
extern const struct way way_ev_epoll, way_ev_ring;
extern const struct way way_ringwake_ev_epoll, way_ringwake_ev_ring;

/* Of libev, which may be missing: what and needs of a variant. */
#ifdef HAVE_EV
#define EV_WAY(way) .what = &(way)
#else
#define EV_WAY(way) .needs = "libev-dev"
#endif

#endif
