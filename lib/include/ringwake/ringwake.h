/* SPDX-License-Identifier: MIT */
/*
 * ringwake: wake an event loop from any thread, through its io_uring.
 *
 * A target is one loop thread that sleeps in, or behind, one io_uring. Any thread hands it messages
 * with ringwake_send(); the loop runs their callbacks with ringwake_wait() or ringwake_dispatch().
 * A loop that is awake costs its senders one atomic operation; only a loop that is asleep is rung,
 * once, by the one sender that found it so.
 *
 * Every function that returns int returns 0 or a count on success and a negative errno value on
 * failure, and leaves errno as it was. See ringwake(7) for how the pieces fit together.
 */
#ifndef RINGWAKE_RINGWAKE_H
#define RINGWAKE_RINGWAKE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct io_uring;
struct io_uring_cqe;

/* A wake target. Counted references; see ringwake_ref(). */
struct ringwake;

/*
 * A message. The caller owns the memory, usually as the first member of something larger. From a
 * successful ringwake_send() until fn is called it belongs to the target and must not be touched;
 * fn may free it or send it again.
 */
struct ringwake_msg;
typedef void (*ringwake_msg_fn)(struct ringwake_msg *msg);
struct ringwake_msg {
	struct ringwake_msg *next; /* the target's, while the message is on its way */
	ringwake_msg_fn fn;        /* runs on the loop's thread */
};

/* How a sleeping target is rung. */
enum ringwake_path {
	RINGWAKE_PATH_AUTO,     /* at open only: MSG_RING where the kernel has it, else eventfd */
	RINGWAKE_PATH_MSG_RING, /* sync MSG_RING, Linux 6.13 and newer */
	RINGWAKE_PATH_EVENTFD,  /* an eventfd, Linux 4.14 and newer */
};

/* Zero every member that is not needed: zero is the default of each. */
struct ringwake_params {
	enum ringwake_path path;
	/* user_data of the doorbell's completion on an application's ring; 0: the target's address
	 */
	uint64_t user_data;
	/* nanoseconds for which ringwake_wait() and ringwake_spin() look out for messages before
	 * the loop sleeps; 0: not at all */
	uint64_t spin_ns;
	/* the most callbacks one ringwake_wait() or ringwake_dispatch(target, 0) runs; 0: 256 */
	unsigned batch;
	/*
	 * Called instead of the doorbell from the moment on that the kernel refuses the doorbell
	 * for good (-EPERM, -ENOSYS or -EACCES: a filter that the program installed after open). It
	 * must wake the loop in another way, and return 0 or a negative error number. Any thread,
	 * any signal handler; never after ringwake_close() has returned. NULL: none.
	 */
	int (*fallback)(void *fallback_data);
	void *fallback_data;
};

/*
 * Opens a target on the application's ring, or on a small ring of its own if ring is NULL. The
 * application's ring must outlive the target (until ringwake_close()) and keep its file descriptor.
 * With RINGWAKE_PATH_AUTO the environment variable RINGWAKE_PATH, "msg_ring" or "eventfd", decides;
 * without it, or if it is "auto" or empty, the kernel is asked. May be called on a thread other
 * than the loop's.
 *
 * -EINVAL      a parameter, or the value of RINGWAKE_PATH, is none that is known
 * -EBADFD      ring is still disabled (IORING_SETUP_R_DISABLED)
 * -EBADF       ring has no file descriptor of its own
 * -EOPNOTSUPP  ring is IORING_SETUP_IOPOLL or IORING_SETUP_CQE_MIXED
 * -ENOMEM      no memory
 * -EMFILE, -ENFILE  no file descriptor left
 * With RINGWAKE_PATH_MSG_RING also what the kernel answers where sync MSG_RING is missing:
 * -EINVAL before Linux 6.13, -EPERM, -ENOSYS or -EACCES from a filter or with io_uring disabled.
 */
int ringwake_open(
	struct ringwake **out, struct io_uring *ring, const struct ringwake_params *params);

/*
 * Loop thread. Refuses further sends (-ECANCELED), waits, parked, for system calls that senders
 * have begun on the ring, runs the callbacks of all messages that were accepted, takes doorbells
 * left in the completion queue out of it, and drops the loop's reference. A completion that the
 * application has peeked at and not yet marked as seen must not be in its hands meanwhile.
 * In a forked child it releases the child's copy and leaves the parent's ring alone.
 */
void ringwake_close(struct ringwake *target);

/*
 * Any thread. Whoever may still send after the loop has closed the target holds a reference; the
 * memory goes with the last one.
 */
struct ringwake *ringwake_ref(struct ringwake *target);
void ringwake_unref(struct ringwake *target);

/*
 * Any thread, any signal handler. Lock-free; allocates nothing; one system call if the loop is
 * asleep and nobody has rung it yet, none otherwise. Messages of one sender arrive in the order
 * sent. What the sender wrote before the call is visible to the callback.
 *
 * 0            accepted: msg->fn will be called exactly once
 * -EINVAL      msg->fn is NULL; the message remains the caller's
 * -ECANCELED   the target is closed; the message remains the caller's
 * -EOWNERDEAD  this process is a fork of the one that opened it, or another copy of the library (a
 *              static one beside a shared one) opened it; the message remains the caller's
 * Any other error is the doorbell's own, as the kernel gave it (-ENOMEM, or -EPERM from a filter of
 * this thread): the message IS accepted, but the loop could not be woken for it. It is delivered
 * when the loop wakes for any other reason; the next send, or ringwake_wake(), rings again.
 */
int ringwake_send(struct ringwake *target, struct ringwake_msg *msg);

/*
 * As ringwake_send(), without a message: the loop's current sleep ends, or its next one does not
 * begin. Any number of wakes before the loop looks count as one. After any error but -ECANCELED and
 * -EOWNERDEAD the target is left so that the next call rings again.
 */
int ringwake_wake(struct ringwake *target);

/*
 * Any thread, any signal handler. Puts exactly one completion with this user_data and res into the
 * application's ring, without coalescing: one system call each, whether the loop sleeps or not.
 * Linux 6.13.
 * -EOPNOTSUPP  the target is on the eventfd path, or on a ring of its own: nobody would see it
 * -ECANCELED   as ringwake_send()
 * -EOWNERDEAD  as ringwake_send()
 * or what the kernel answered: -EOVERFLOW if the queue is full and its backlog could not grow,
 * -ENOMEM for a ring with IORING_SETUP_DEFER_TASKRUN.
 */
int ringwake_post(struct ringwake *target, uint64_t user_data, int32_t res);

/*
 * Loop thread. Submits what the application has prepared on its ring, sleeps until a message, a
 * wake or another completion on that ring arrives, and dispatches as ringwake_dispatch(target, 0)
 * does. timeout_ns: nanoseconds to wait at the most, 0 to poll, negative for no limit.
 *
 * Returns the number of callbacks that ran. It may be 0: a ringwake_wake(), a completion of the
 * application's own, which stays in the queue for it, or a signal after requests were submitted.
 * -ETIME       nothing came in time
 * -EINTR       a signal handler ran and nothing came
 * -ECANCELED   the target is closed, and the caller holds a reference
 * -EOWNERDEAD  this process is a fork of the one that opened the target
 * -EBUSY       eventfd path: the application's ring holds the target's poll request back, for a
 *              request with IOSQE_IO_DRAIN
 * or what io_uring_enter(2) or ppoll(2) answered; the target is left usable. -EBADR, the kernel's
 * word that it had to drop completions, counts as awake and is not returned.
 */
int ringwake_wait(struct ringwake *target, int64_t timeout_ns);

/*
 * Loop thread. Runs the callbacks of messages that have arrived, at most max of them, or
 * ringwake_params.batch if max is 0. Returns how many. Callbacks may send, dispatch and close.
 */
int ringwake_dispatch(struct ringwake *target, unsigned max);

/*
 * Loop thread, for a loop with a wait of its own. Between ringwake_arm() and ringwake_disarm() a
 * send rings the doorbell; call them at the edges of the wait. ringwake_arm() returns false if
 * messages or a wake are there already, or the doorbell cannot be prepared: then poll without
 * sleeping, and disarm and dispatch all the same.
 */
bool ringwake_arm(struct ringwake *target);
void ringwake_disarm(struct ringwake *target);

/*
 * Loop thread, before ringwake_arm(). Submits what the application has prepared on its ring, and
 * looks out, awake, for a message, a wake or a completion: for spin_ns of ringwake_params or
 * timeout_ns nanoseconds, whichever is shorter; negative: for spin_ns. Senders need no system call
 * meanwhile. Returns what is left of timeout_ns.
 */
int64_t ringwake_spin(struct ringwake *target, int64_t timeout_ns);

/*
 * Loop thread, for each completion that it takes out of its ring. True if the completion is the
 * target's doorbell: mark it as seen and pass over it. On the eventfd path it also notices that the
 * target's poll request has ended, so that the next ringwake_arm() starts another.
 */
bool ringwake_is_doorbell(const struct ringwake *target, const struct io_uring_cqe *cqe);

/*
 * Any thread. The file descriptor that polls readable when the doorbell has been rung, for a loop
 * that sleeps in epoll or poll. It stays the target's.
 * -EOPNOTSUPP  the application's ring is IORING_SETUP_DEFER_TASKRUN, which loses such wakes
 */
int ringwake_fd(const struct ringwake *target);

/*
 * Any thread, any signal handler. True in a forked child of the process that opened the target, and
 * in another copy of the library: sends return -EOWNERDEAD.
 */
bool ringwake_is_inherited(const struct ringwake *target);

/* Any thread. The path chosen at open: RINGWAKE_PATH_MSG_RING or RINGWAKE_PATH_EVENTFD. */
enum ringwake_path ringwake_path(const struct ringwake *target);

struct ringwake_stats {
	uint64_t messages;          /* callbacks run */
	uint64_t wakes_rung;        /* doorbells: system calls made to wake the loop */
	uint64_t wakes_saved;       /* messages that needed none */
	uint64_t doorbell_failures; /* doorbells that the kernel refused */
	uint64_t dispatches;        /* dispatches that ran at least one callback */
	uint64_t longest_batch;     /* the most callbacks in one dispatch */
};

/* Any thread. Each figure is exact at some moment during the call, not all at the same one. */
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* g++ minds that a function has a structure's name */
#endif
void ringwake_stats(const struct ringwake *target, struct ringwake_stats *stats);
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/*
 * A coalescing event: any number of sends before its callback runs make one callback. The members
 * are private. The memory is the caller's, until ringwake_event_close() has returned.
 */
struct ringwake_event {
	struct ringwake_msg msg;
	struct ringwake *target;
	void (*fn)(struct ringwake_event *event);
#ifdef __cplusplus
	unsigned state;
#else
	_Atomic unsigned state;
#endif
};

/* Any thread, before the first send. fn runs on the loop's thread; NULL: the send only wakes. */
void ringwake_event_init(struct ringwake_event *event, struct ringwake *target,
	void (*fn)(struct ringwake_event *event));

/*
 * Any thread, any signal handler. fn runs at least once after the call, and what was written before
 * the call is visible to it. Errors as ringwake_send(); -ECANCELED also if the event is closed,
 * unless a doorbell that this send made for another message failed: then that error.
 */
int ringwake_event_send(struct ringwake_event *event);

/*
 * Loop thread. fn will not run after it returns, and the memory may be freed once no other thread
 * can begin a send on it. A send under way in another thread is waited for, parked; messages that
 * arrive meanwhile are kept for the next dispatch. Its cost grows with the number of messages
 * waiting, if the event is among them. 0, or -EALREADY if it was closed before.
 */
int ringwake_event_close(struct ringwake_event *event);

/*
 * Loop thread. The same without waiting or searching. 0: closed, the memory is free to go.
 * 1: closed, but the event's message is on its way; closed(event) runs from a later dispatch, and
 * the memory must stay until then. -EALREADY if it was closed before, -EINVAL if closed is NULL.
 */
int ringwake_event_close_later(
	struct ringwake_event *event, void (*closed)(struct ringwake_event *event));

#ifdef __cplusplus
}
#endif

#endif
