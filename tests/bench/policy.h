/* SPDX-License-Identifier: MIT */
/* M: the kinds of loops, each with adaptive spinning and without spinning. */
#ifndef POLICY_H
#define POLICY_H

#include "peer.h"
#include "question.h"

struct subject {
	const struct peer *peer;
	uint64_t spin_ns;
	bool is_pool; /* one loop, to which a worker sends */
};

static inline struct peer peer_of(const struct subject *subject)
{
	struct peer peer = *subject->peer;
	peer.spin_ns = subject->spin_ns;
	return peer;
}

#define ADAPTIVE(kind) kind ", adaptive"
#define BLOCKING(kind) kind ", blocking"
#define TARGET         "target"
#define ATTACHED       "libuv attached"
#define RING           "libuv on the ring"
#define EPOLL          "libev on epoll"
#define EV_RING        "libev on io_uring"
#define POOL           "pool, single jobs"
#define UV             "uv_async"

#define SUBJECT(peer_, spin, is_pool_) (&(const struct subject){&(peer_), spin, is_pool_})
#define BOTH(kind, peer, is_pool)                                                                  \
	{.name = ADAPTIVE(kind), .what = SUBJECT(peer, RINGWAKE_SPIN_ADAPTIVE, is_pool)},          \
	{                                                                                          \
		.name = BLOCKING(kind), .what = SUBJECT(peer, RINGWAKE_SPIN_OFF, is_pool)          \
	}
#ifdef HAVE_EV
#define BOTH_EV(kind, peer) BOTH(kind, peer, false)
#else
#define BOTH_EV(kind, peer)                                                                        \
	{.name = ADAPTIVE(kind), .needs = "libev-dev"},                                            \
	{                                                                                          \
		.name = BLOCKING(kind), .needs = "libev-dev"                                       \
	}
#endif

#define POLICY_VARIANTS(uv)                                                                        \
	{                                                                                          \
		BOTH(TARGET, peer_ringwake, false),                                                \
			BOTH(ATTACHED, peer_uv_attached_messages, false),                          \
			BOTH(RING, peer_uv_ring_messages, false),                                  \
			BOTH_EV(EPOLL, peer_ev_epoll_messages),                                    \
			BOTH_EV(EV_RING, peer_ev_ring_messages), BOTH(POOL, peer_errand, true),    \
		{                                                                                  \
			.name = UV, .what = SUBJECT(uv, 0, false)                                  \
		}                                                                                  \
	}

/* The metric with adaptive spinning, divided by the same without, for each kind. */
#define AT_MOST_BLOCKING(kind, metric_, limit_)                                                    \
	{                                                                                          \
		.subject = ADAPTIVE(kind), .peer = BLOCKING(kind), .metric = (metric_),            \
		.comparison = AT_MOST, .limit = (limit_)                                           \
	}
#define ALL_AT_MOST_BLOCKING(metric, limit)                                                        \
	AT_MOST_BLOCKING(TARGET, metric, limit), AT_MOST_BLOCKING(ATTACHED, metric, limit),        \
		AT_MOST_BLOCKING(RING, metric, limit), AT_MOST_BLOCKING(EPOLL, metric, limit),     \
		AT_MOST_BLOCKING(EV_RING, metric, limit), AT_MOST_BLOCKING(POOL, metric, limit)

#endif
