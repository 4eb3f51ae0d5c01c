/* SPDX-License-Identifier: MIT */
/*
 * ringwake: wake an event loop from any thread, through the loop's io_uring.
 *
 * A target is the object by which other threads wake one loop. Any thread sends messages to it with
 * ringwake_send(). The loop runs the messages' callbacks with ringwake_wait() or
 * ringwake_dispatch(). If the loop is awake, a send makes no system call. If the loop is blocked,
 * one sender makes one, and so uses the doorbell, which wakes the loop.
 *
 * A function that can fail returns a negative error number then. Functions preserve errno. Each
 * comment gives a summary, the threads that may call the function, and its errors. The loop thread
 * is the thread that runs the loop; only one thread at a time may be it. The manual page of the
 * function says the rest; start at ringwake(7).
 */
#ifndef RINGWAKE_RINGWAKE_H
#define RINGWAKE_RINGWAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct io_uring;
struct io_uring_cqe;
struct io_uring_sqe;

#define RINGWAKE_VERSION_MAJOR 0
#define RINGWAKE_VERSION_MINOR 2
#define RINGWAKE_VERSION_PATCH 0
#define RINGWAKE_VERSION                                                                           \
	(RINGWAKE_VERSION_MAJOR << 16 | RINGWAKE_VERSION_MINOR << 8 | RINGWAKE_VERSION_PATCH)

/* Any thread. The version of the library that runs, as RINGWAKE_VERSION and as "0.2.0". */
unsigned ringwake_version(void);
const char *ringwake_version_string(void);

/* A target. It is counted by references: see ringwake_ref(). */
struct ringwake;

/*
 * A message. The caller owns the memory, usually as the first member of a larger structure, and
 * sets fn. An accepted message (see ringwake_was_refused()) belongs to the target until fn starts,
 * and must not be touched. fn may free it or send it again.
 */
struct ringwake_msg;
typedef void (*ringwake_msg_fn)(struct ringwake_msg *msg);
struct ringwake_msg {
	struct ringwake_msg *next; /* private */
	ringwake_msg_fn fn;        /* runs on the loop's thread */
	void *reserved;            /* private */
};

/* The kind of the doorbell, which wakes a blocked loop. */
enum ringwake_path {
	RINGWAKE_PATH_AUTO,     /* only for open: MSG_RING if it is available, else eventfd */
	RINGWAKE_PATH_MSG_RING, /* sync MSG_RING, Linux 6.13 and newer */
	RINGWAKE_PATH_EVENTFD,  /* an eventfd, Linux 4.14 and newer */
};

/*
 * For spin_ns of the parameters, in place of a number of nanoseconds. An adaptive thread spins for
 * at most 20, rarely 100 microseconds before it blocks, and only where this has shortened its waits
 * so far. The default is what the environment variable RINGWAKE_SPIN says (off, adaptive, or
 * nanoseconds); without it, adaptive.
 */
#define RINGWAKE_SPIN_DEFAULT  UINT64_C(0)
#define RINGWAKE_SPIN_ADAPTIVE (UINT64_MAX - 1)
#define RINGWAKE_SPIN_OFF      UINT64_MAX

/* Set all members to 0 first: 0 is the default of each. */
struct ringwake_params {
	enum ringwake_path path;
	/* The most callbacks that one ringwake_wait() or ringwake_dispatch(target, 0) runs; 0: 256.
	 */
	unsigned batch;
	/* user_data of the doorbell's completion on an application's ring; 0: the target's address.
	 */
	uint64_t user_data;
	/* Nanoseconds for which ringwake_wait() and ringwake_spin() spin before the loop blocks, or
	 * RINGWAKE_SPIN_ADAPTIVE or RINGWAKE_SPIN_OFF. */
	uint64_t spin_ns;
	/*
	 * Senders call it instead of using the doorbell, once a doorbell has failed for good: with
	 * any error but -EINTR, -EAGAIN and -ENOMEM. It must wake the loop in another
	 * way and return 0 or a negative error number. It must be async-signal-safe and must not
	 * call a function for this target. It is not called after ringwake_close() has returned.
	 * NULL: none.
	 */
	int (*fallback)(void *fallback_data);
	void *fallback_data;
	/* What ringwake_get_context() returns. Adapters set it to their binding. */
	void *context;
	uint64_t reserved[7]; /* must be 0 */
};

/*
 * Any thread. Opens a target on the application's ring, or on a small ring of its own if ring is
 * NULL. The ring must stay open until ringwake_close() has returned. params may be NULL. The
 * environment variable RINGWAKE_PATH decides if params->path is RINGWAKE_PATH_AUTO.
 * Errors: -EINVAL, -EBADFD, -EBADF, -EOPNOTSUPP, -ENOMEM, -EMFILE, -ENFILE, -EPERM, -ENOSYS,
 * -EACCES.
 */
int ringwake_open(
	struct ringwake **out, struct io_uring *ring, const struct ringwake_params *params);

/*
 * Loop thread. Refuses further sends, waits for doorbells that senders have begun, runs the
 * callbacks of all accepted messages, and drops the loop's reference.
 */
void ringwake_close(struct ringwake *target);

/* Any thread. A thread that may send after the loop has closed the target must hold a reference. */
struct ringwake *ringwake_ref(struct ringwake *target);
void ringwake_unref(struct ringwake *target);

/*
 * Any thread, any signal handler. Sends a message: msg->fn will be called exactly once.
 * Errors: -EINVAL, -ECANCELED, -EOWNERDEAD, and those of the doorbell, such as -ENOMEM, -EPERM,
 * -EBADF and -EIO. After an error of the doorbell the message is accepted; see
 * ringwake_was_refused().
 */
int ringwake_send(struct ringwake *target, struct ringwake_msg *msg);

/*
 * Any thread, any signal handler. Sends count messages in the order of the array, all or none, with
 * one atomic operation and at most one doorbell. Errors: as ringwake_send().
 */
int ringwake_send_many(
	struct ringwake *target, struct ringwake_msg *const *messages, unsigned count);

/*
 * Any thread, any signal handler. Ends the loop's wait, or prevents its next one, without a
 * message. Errors: as ringwake_send().
 */
int ringwake_wake(struct ringwake *target);

/*
 * Any thread, any signal handler. True if the error of a send says that the message was refused: it
 * is still the caller's. False for 0, and for an error of the doorbell: the message is accepted,
 * and its callback runs when the loop next wakes. To wake the loop, call ringwake_wake() later.
 */
bool ringwake_was_refused(int error);

/*
 * Any thread, any signal handler. Posts one completion with this user_data and res to the
 * application's ring, by one system call.
 * Errors: -EOPNOTSUPP, -ECANCELED, -EOWNERDEAD, -EOVERFLOW, -ENOMEM.
 */
int ringwake_post(struct ringwake *target, uint64_t user_data, int32_t res);

/*
 * Any thread but the loop's. Has the loop's thread call fn with argument, and blocks until fn has
 * returned. fn writes its results where argument points. timeout_ns: nanoseconds within which fn
 * must start; negative: no limit. A call that returns 0 has run fn once. After an error fn has not
 * run, and does not run later.
 * Errors: -EINVAL, -ETIME, -EDEADLK, -ECANCELED, -EOWNERDEAD, -ENOMEM, and those of the doorbell;
 * see ringwake_send().
 */
int ringwake_call(
	struct ringwake *target, void (*fn)(void *argument), void *argument, int64_t timeout_ns);

/*
 * Loop thread. Submits what the application has prepared on its ring, blocks until a message, a
 * wake or another completion arrives, and dispatches. timeout_ns: nanoseconds; 0: do not block;
 * negative: no limit. Returns the number of callbacks that ran, which may be 0.
 * Errors: -ETIME, -EINTR, -ECANCELED, -EOWNERDEAD, -EBUSY, -EACCES, -EEXIST, and those of
 * io_uring_enter(2) and ppoll(2).
 */
int ringwake_wait(struct ringwake *target, int64_t timeout_ns);

/*
 * Loop thread. Runs the callbacks of at most max messages that have arrived; 0: of
 * ringwake_params.batch. Returns how many ran. Callbacks may send, dispatch and close.
 */
int ringwake_dispatch(struct ringwake *target, unsigned max);

/*
 * Loop thread. For a loop with a wait of its own: call ringwake_arm() immediately before the wait
 * and ringwake_disarm() immediately after it. ringwake_arm() returns false if the loop must not
 * block: something has arrived, or the doorbell cannot work now. Then poll without blocking, and
 * disarm and dispatch all the same.
 */
bool ringwake_arm(struct ringwake *target);
void ringwake_disarm(struct ringwake *target);

/* Loop thread. True from a ringwake_arm() that returned true until ringwake_disarm(). */
bool ringwake_is_armed(const struct ringwake *target);

/* Loop thread. True if a message or a wake has arrived that no dispatch has handled yet. */
bool ringwake_pending(const struct ringwake *target);

/*
 * Loop thread. Spins for a message, a wake or a completion before ringwake_arm(), for spin_ns of
 * ringwake_params or timeout_ns nanoseconds, whichever is shorter; negative: for spin_ns. Returns
 * what is left of timeout_ns; if it is negative, timeout_ns.
 */
int64_t ringwake_spin(struct ringwake *target, int64_t timeout_ns);

/*
 * Loop thread. Show it each completion that the loop takes out of its ring, once. True if the
 * completion is the target's doorbell: mark it as seen and do nothing else with it.
 */
bool ringwake_is_doorbell(const struct ringwake *target, const struct io_uring_cqe *cqe);

/*
 * Any thread. The file descriptor that becomes readable when a sender uses the doorbell, for a loop
 * that blocks in epoll or poll. It belongs to the target. Errors: -EOPNOTSUPP.
 */
int ringwake_fd(const struct ringwake *target);

/*
 * Any thread, any signal handler. True in a forked child of the process that opened the target, and
 * in another copy of the library. Sends return -EOWNERDEAD there.
 */
bool ringwake_is_inherited(const struct ringwake *target);

/*
 * Any thread, any signal handler after the first call. A positive number of this process, by
 * which a program can find out that it was forked: its parent and older ancestors have other
 * numbers. Errors: -ENOMEM.
 */
int64_t ringwake_process_number(void);

/* Any thread, any signal handler. The context of ringwake_params. */
void *ringwake_get_context(const struct ringwake *target);

/* Any thread, any signal handler. The path that open chose. */
enum ringwake_path ringwake_get_path(const struct ringwake *target);

struct ringwake_stats {
	uint64_t messages;          /* callbacks run */
	uint64_t doorbells;         /* times that a sender used the doorbell or the fallback */
	uint64_t doorbells_saved;   /* messages less doorbells, or 0 */
	uint64_t doorbell_failures; /* doorbells that failed */
	uint64_t dispatches;        /* dispatches that ran at least one callback */
	uint64_t longest_batch;     /* the most callbacks in one dispatch */
};

/* Any thread. Writes size bytes, which must be sizeof *stats. Later versions add members. */
void ringwake_get_stats(const struct ringwake *target, struct ringwake_stats *stats, size_t size);

/*
 * A coalescing event: any number of sends before its callback runs make one callback. All members
 * are private. Those that a send and its callback use come last, so that they share a cache line.
 */
struct ringwake_event {
	struct ringwake_event *next_closing, **closing_link;
	void *reserved[2];
	struct ringwake_msg msg;
	struct ringwake *target;
	void (*fn)(struct ringwake_event *event);
#ifdef __cplusplus
	unsigned state;
#else
	_Atomic unsigned state;
#endif
};

/*
 * Any thread, before the first send. Opens an event in the caller's memory. fn runs on the loop's
 * thread; NULL: a send only wakes the loop.
 */
void ringwake_event_init(struct ringwake_event *event, struct ringwake *target,
	void (*fn)(struct ringwake_event *event));

/*
 * Any thread, any signal handler. fn runs at least once after the call. After an error of the
 * doorbell, send the event again.
 * Errors: as ringwake_send() without -EINVAL; -ECANCELED also if the event is closed.
 */
int ringwake_event_send(struct ringwake_event *event);

/* Any thread, any signal handler. True if fn will run for a send that was made. */
bool ringwake_event_is_pending(const struct ringwake_event *event);

/* Any thread, any signal handler. The target that ringwake_event_init() was given. */
struct ringwake *ringwake_event_target(const struct ringwake_event *event);

/*
 * Loop thread. fn will not run afterwards. Blocks for a send that another thread has begun.
 * Errors: -EALREADY.
 */
int ringwake_event_close(struct ringwake_event *event);

/*
 * Loop thread. Closes without blocking while the target is open. Returns 0 if the memory may be
 * freed, or 1 if a later dispatch calls closed(); until then the memory must stay. Errors:
 * -EALREADY, -EINVAL.
 */
int ringwake_event_close_async(
	struct ringwake_event *event, void (*closed)(struct ringwake_event *event));

/*
 * Loop thread. Opens an event again that ringwake_event_close() has closed, also if other threads
 * send to it meanwhile. Errors: -EINVAL.
 */
int ringwake_event_reopen(struct ringwake_event *event);

/*
 * Any thread, any signal handler. io_uring_register_sync_msg_ring() of liburing-compat.h as a
 * function of this library, for programs that cannot use static inline functions.
 * Errors: -EBADF, -EBADFD, -EINVAL, -EFAULT, -EOVERFLOW, -ENOMEM, -EPERM, -ENOSYS, -EACCES.
 */
int ringwake_register_sync_msg_ring(struct io_uring_sqe *sqe);

#ifdef __cplusplus
}
#endif

#endif
