/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <errno.h>
#include <liburing.h>
#include <ringwake/liburing-compat.h>
#include <stdatomic.h>
#include <string.h>

#include "clocks.h"
#include "schedule.h"
#include "system.h"

#define MSG_RING_FLAGS_PASS (1U << 1)

#define RING_DESCRIPTOR  1000
#define EVENT_DESCRIPTOR 1001
#define EARLY_TIMEOUTS   1
#define MAX_ENTRIES      64
#define SUBMISSIONS      4

static struct {
	unsigned faults, faults_left;
	unsigned early_timeouts; /* how many may still happen */
	bool ring_open, event_open, ring_is_own, ring_is_served, rings_forbidden;
	bool sleeps_timed, naps;
	unsigned parks;

	unsigned head, tail, entries;
	unsigned submit_head, submit_tail;
	struct io_uring_cqe completions[MAX_ENTRIES];
	struct io_uring_sqe submissions[SUBMISSIONS];

	/* Completions that are not posted yet. */
	struct io_uring_cqe due[MAX_ENTRIES];
	unsigned due_count;

	uint64_t event_count;
	enum { NOT_WATCHING, HELD, WATCHING } watching; /* the poll request of the eventfd */
	bool watch_fires;                               /* its completion is due */
	uint64_t watch_user_data;
	unsigned flags; /* the submission queue's flags, read by the application */

	const _Atomic uint32_t *futexes[MAX_THREADS]; /* the word on which each thread is blocked */

	unsigned doorbell_marks[MAX_THREADS]; /* the mark of each thread's last doorbell */
} kernel;

static struct io_uring application_ring;

static bool happens(enum fault fault)
{
	if (!(kernel.faults & fault) || kernel.faults_left == 0 || choose(2) == 0)
		return false;
	kernel.faults_left--;
	return true;
}

static unsigned ready_count(void)
{
	return kernel.tail - kernel.head;
}

static void post(uint64_t user_data, int32_t result, unsigned flags)
{
	require(kernel.due_count < MAX_ENTRIES, "too many completions");
	kernel.due[kernel.due_count++] =
		(struct io_uring_cqe){.user_data = user_data, .res = result, .flags = flags};
}

static bool can_post(void)
{
	return kernel.due_count > 0 && ready_count() < kernel.entries;
}

static void post_one(void)
{
	kernel.completions[kernel.tail & (kernel.entries - 1)] = kernel.due[0];
	kernel.due_count--;
	memmove(kernel.due, kernel.due + 1, kernel.due_count * sizeof *kernel.due);
	kernel.tail++;
}

static void post_all(void)
{
	while (can_post())
		post_one();
}

static bool can_watch(void)
{
	return kernel.watching == WATCHING && kernel.watch_fires;
}

static void watch(void)
{
	kernel.watch_fires = false;
	post(kernel.watch_user_data, POLLIN, IORING_CQE_F_MORE);
	trace("the kernel sees the eventfd");
}

static void end_watch(int32_t result)
{
	kernel.watching = NOT_WATCHING;
	post(kernel.watch_user_data, result, 0);
}

bool kernel_can_step(void)
{
	return can_post() || can_watch();
}

void kernel_step(void)
{
	if (can_post()) {
		post_one();
		trace("the kernel posts a completion");
		return;
	}
	watch();
}

void kernel_cancel(void)
{
	if (kernel.watching != WATCHING)
		return;
	trace("the application cancels its requests");
	end_watch(-ECANCELED);
	post_all();
}

static void map_ring(struct io_uring *ring, unsigned entries)
{
	static unsigned completion_mask, submission_mask = SUBMISSIONS - 1;
	static unsigned submission_entries = SUBMISSIONS;
	completion_mask = entries - 1;
	memset(ring, 0, sizeof *ring);
	kernel.entries = entries;
	kernel.ring_open = true;
	ring->ring_fd = RING_DESCRIPTOR;
	ring->enter_ring_fd = RING_DESCRIPTOR;
	ring->cq.khead = &kernel.head;
	ring->cq.ktail = &kernel.tail;
	ring->cq.kring_mask = &completion_mask;
	ring->cq.cqes = kernel.completions;
	ring->cq.ring_mask = completion_mask;
	ring->cq.ring_entries = entries;
	ring->sq.khead = &kernel.submit_head;
	ring->sq.ktail = &kernel.submit_tail;
	ring->sq.kring_mask = &submission_mask;
	ring->sq.kring_entries = &submission_entries;
	ring->sq.kflags = &kernel.flags;
	ring->sq.sqes = kernel.submissions;
	ring->sq.ring_mask = submission_mask;
	ring->sq.ring_entries = submission_entries;
}

static int queue_init(struct io_uring *ring, unsigned entries, unsigned completions)
{
	(void)entries;
	(void)completions;
	map_ring(ring, 4);
	kernel.ring_is_own = true;
	return 0;
}

struct io_uring *kernel_ring(unsigned completions, bool is_served)
{
	map_ring(&application_ring, completions);
	application_ring.flags = is_served ? IORING_SETUP_SQPOLL : 0;
	kernel.ring_is_served = is_served;
	return &application_ring;
}

/* The library submits a poll request for the eventfd, or replaces it by a request without effect.
 */
static void take_request(const struct io_uring_sqe *request)
{
	switch (request->opcode) {
	case IORING_OP_POLL_ADD:
		require(request->fd == EVENT_DESCRIPTOR,
			"polls a descriptor other than the eventfd");
		require(request->len & IORING_POLL_ADD_MULTI, "the poll request is not multishot");
		require(kernel.watching == NOT_WATCHING, "the eventfd has two poll requests");
		kernel.watch_user_data = request->user_data;
		if (happens(FAULT_RESTRICTED)) {
			trace("submit: the poll request is refused");
			end_watch(-EACCES);
			return;
		}
		kernel.watching = happens(FAULT_HELD) ? HELD : WATCHING;
		kernel.watch_fires = kernel.event_count > 0;
		trace("submit: a poll request%s",
			kernel.watching == HELD ? ", which is delayed" : "");
		return;
	case IORING_OP_ASYNC_CANCEL:
		require(request->flags & IOSQE_CQE_SKIP_SUCCESS,
			"a cancellation posts a completion");
		require(request->addr == kernel.watch_user_data, "cancels another request");
		trace("submit: a cancellation");
		if (kernel.watching == WATCHING)
			end_watch(-ECANCELED);
		else
			post(request->user_data, -ENOENT, 0);
		return;
	case IORING_OP_NOP:
		require(request->flags & IOSQE_CQE_SKIP_SUCCESS, "a NOP completes");
		trace("submit: a NOP");
		return;
	}
	fail_schedule("submits an unknown request");
}

static int submit(struct io_uring *ring)
{
	switch_point();
	if (happens(FAULT_NOT_SUBMITTED)) {
		trace("submit: -EBUSY");
		return -EBUSY;
	}
	int count = 0;
	for (; ring->sq.sqe_head != ring->sq.sqe_tail; ring->sq.sqe_head++, count++)
		take_request(&kernel.submissions[ring->sq.sqe_head % SUBMISSIONS]);
	kernel.submit_head = ring->sq.sqe_head;
	return count;
}

static bool has_completions(const void *wanted)
{
	return ready_count() >= *(const unsigned *)wanted;
}

static bool always(const void *argument)
{
	(void)argument;
	return true;
}

/* A timeout expires when nothing else can happen. A few timeouts may expire at any time. */
static void block_until(bool (*ready)(const void *), const void *argument, bool timed)
{
	kernel.sleeps_timed = timed;
	bool early = timed && kernel.early_timeouts > 0 && choose(2) == 1;
	kernel.early_timeouts -= early;
	if (early)
		wait_until(always, NULL);
	else if (timed)
		wait_until_timeout(ready, argument);
	else
		wait_until(ready, argument);
}

static int block_in_ring(unsigned wanted, bool timed)
{
	if (wanted > kernel.entries)
		wanted = kernel.entries;
	if (has_completions(&wanted))
		return 0;
	if (happens(FAULT_INTERRUPTED)) {
		trace("enter: -EINTR");
		return -EINTR;
	}
	trace("enter: blocks%s", timed ? ", with a timeout" : "");
	block_until(has_completions, &wanted, timed);
	trace("enter: %s", has_completions(&wanted) ? "wakes" : "-ETIME");
	return has_completions(&wanted) ? 0 : -ETIME;
}

/* Moves the kernel's backlog to the queue. Completions from another thread arrive later. */
static void run_ring(void)
{
	if (!kernel.ring_is_served && can_watch())
		watch();
	if (!kernel.ring_is_served || kernel.flags)
		post_all();
	kernel.flags = kernel.due_count > 0 && !can_post() ? IORING_SQ_CQ_OVERFLOW : 0;
}

static int enter(int fd, unsigned min_complete, unsigned flags, const void *arg, size_t size)
{
	(void)size;
	require(kernel.ring_open, "enters a closed ring");
	require(fd == (flags & IORING_ENTER_REGISTERED_RING ? 0 : RING_DESCRIPTOR),
		"enters another ring");
	switch_point();
	if (flags & IORING_ENTER_GETEVENTS)
		run_ring();
	return min_complete == 0 ? 0 : block_in_ring(min_complete, arg != NULL);
}

/* Chooses an error for any doorbell, or 0. */
static int doorbell_fault(void)
{
	require(!kernel.rings_forbidden, "makes a doorbell after close has returned");
	kernel.doorbell_marks[this_thread()] = clocks_mark();
	if (this_thread() != LOOP && happens(FAULT_REFUSED))
		return -ENOMEM;
	if (happens(FAULT_RETRY))
		return choose(2) ? -EINTR : -EAGAIN;
	return 0;
}

static int send_msg_ring(const struct io_uring_sqe *request)
{
	if (request == (const void *)UINTPTR_MAX)
		return -EFAULT;
	switch_point();
	require(request->fd == RING_DESCRIPTOR && kernel.ring_open,
		"sends a doorbell to a closed ring");
	bool is_again = request->rw_flags & MSG_RING_FLAGS_PASS;
	int result = doorbell_fault();
	if (result == 0 && !is_again && ready_count() == kernel.entries && happens(FAULT_OVERFLOW))
		result = -EOVERFLOW;
	trace("%s: %s", is_again ? "posts again" : "sends a doorbell to the ring",
		result ? strerror(-result) : "accepted");
	if (result == 0) {
		post(request->off, (int32_t)request->len, is_again ? request->file_index : 0);
		if (!is_again && happens(FAULT_DUPLICATED))
			post(request->off, (int32_t)request->len, 0);
		if (!happens(FAULT_DELAYED))
			post_all();
	}
	switch_point();
	return result;
}

static int cancel(const struct io_uring_sync_cancel_reg *request)
{
	switch_point();
	require(request->addr == kernel.watch_user_data, "cancels another request");
	if (kernel.faults & FAULT_FILTERED)
		return -EPERM;
	if (kernel.watching != WATCHING)
		return 0;
	trace("cancels the poll request");
	end_watch(-ECANCELED);
	return 1;
}

static int register_ring(int fd, unsigned opcode, const void *arg, unsigned count)
{
	switch (opcode) {
	case RINGWAKE_REGISTER_SEND_MSG_RING:
		return send_msg_ring(arg);
	case IORING_REGISTER_RING_FDS:
		require(fd == RING_DESCRIPTOR && kernel.ring_open, "registers another ring");
		((struct io_uring_rsrc_update *)(uintptr_t)arg)->offset = 0;
		return (int)count;
	case IORING_UNREGISTER_RING_FDS:
		return (int)count;
	case IORING_REGISTER_SYNC_CANCEL:
		require(fd == RING_DESCRIPTOR && kernel.ring_open, "cancels on another ring");
		return cancel(arg);
	}
	fail_schedule("makes an unknown register call");
}

static int new_eventfd(unsigned count, int flags)
{
	(void)flags;
	kernel.event_open = true;
	kernel.event_count = count;
	return EVENT_DESCRIPTOR;
}

static int read_eventfd(int fd, uint64_t *value)
{
	require(fd == EVENT_DESCRIPTOR && kernel.event_open, "reads a closed descriptor");
	switch_point();
	if (kernel.event_count == 0)
		return -EAGAIN;
	*value = kernel.event_count;
	kernel.event_count = 0;
	trace("reads the eventfd");
	return sizeof *value;
}

static int write_eventfd(int fd, const uint64_t *value)
{
	switch_point();
	require(fd == EVENT_DESCRIPTOR && kernel.event_open, "writes a closed descriptor");
	require(this_thread() != LOOP, "the loop makes a doorbell to itself");
	int result = doorbell_fault();
	trace("writes the eventfd: %s", result ? strerror(-result) : "accepted");
	if (result == 0) {
		kernel.event_count += *value;
		kernel.watch_fires = true;
	}
	switch_point();
	return result < 0 ? result : (int)sizeof *value;
}

static bool is_readable(const void *descriptor)
{
	return *(const int *)descriptor == EVENT_DESCRIPTOR ? kernel.event_count > 0
							    : ready_count() > 0;
}

void kernel_poll(int descriptor)
{
	require(descriptor == EVENT_DESCRIPTOR ? kernel.event_open : kernel.ring_open,
		"polls a closed descriptor");
	trace("poll: sleeps");
	wait_until(is_readable, &descriptor);
	trace("poll: wakes");
}

static bool never(const void *argument)
{
	(void)argument;
	return false;
}

static int poll_one(struct pollfd *entry, const struct timespec *timeout)
{
	switch_point();
	kernel.naps = entry->fd == -1;
	if (kernel.naps) {
		trace("poll: naps");
		wait_until_timeout(never, NULL);
		kernel.naps = false;
		return 0;
	}
	require(entry->fd == EVENT_DESCRIPTOR && kernel.event_open, "polls another descriptor");
	if (!is_readable(&entry->fd) && happens(FAULT_INTERRUPTED)) {
		trace("poll: -EINTR");
		return -EINTR;
	}
	trace("poll: sleeps%s", timeout ? ", with a timeout" : "");
	block_until(is_readable, &entry->fd, timeout != NULL);
	trace("poll: %s", is_readable(&entry->fd) ? "wakes" : "times out");
	return is_readable(&entry->fd);
}

static bool is_unparked(const void *futex)
{
	return *(const _Atomic uint32_t *const *)futex == NULL;
}

static int futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	switch_point();
	kernel.parks += this_thread() == LOOP;
	if (*word != expected)
		return -EAGAIN;
	const _Atomic uint32_t **futex = &kernel.futexes[this_thread()];
	trace("blocks in futex_wait%s", timeout ? ", with a timeout" : "");
	*futex = word;
	if (timeout)
		wait_until_timeout(is_unparked, futex);
	else
		wait_until(is_unparked, futex);
	*futex = NULL;
	return 0;
}

static int futex_wake(const _Atomic uint32_t *word, int count)
{
	int woken = 0;
	switch_point();
	for (unsigned i = 0; i < MAX_THREADS && woken < count; i++) {
		if (kernel.futexes[i] != word)
			continue;
		kernel.futexes[i] = NULL;
		woken++;
	}
	trace("futex_wake wakes %d threads", woken);
	return woken;
}

/* Checks this for every order that the memory model allows, not only for this schedule. */
static void expect_no_more_doorbells(void)
{
	for (unsigned i = 0; i < MAX_THREADS; i++)
		require(clocks_see(i, kernel.doorbell_marks[i], this_thread()),
			"a doorbell does not happen before the close of its descriptor");
}

static void queue_exit(struct io_uring *ring)
{
	require(ring->ring_fd == RING_DESCRIPTOR && kernel.ring_open, "exits another ring");
	expect_no_more_doorbells();
	kernel.ring_open = false;
}

static int close_eventfd(int fd)
{
	require(fd == EVENT_DESCRIPTOR && kernel.event_open, "closes another descriptor");
	require(kernel.watching != WATCHING || kernel.faults & FAULT_FILTERED,
		"closes an eventfd that has a poll request");
	expect_no_more_doorbells();
	kernel.event_open = false;
	return 0;
}

void kernel_start(unsigned faults, unsigned limit)
{
	memset(&kernel, 0, sizeof kernel);
	clocks_start();
	kernel.faults = faults;
	kernel.faults_left = limit;
	kernel.early_timeouts = EARLY_TIMEOUTS;
	ringwake_system.queue_init = queue_init;
	ringwake_system.queue_exit = queue_exit;
	ringwake_system.submit = submit;
	ringwake_system.enter = enter;
	ringwake_system.register_ring = register_ring;
	ringwake_system.eventfd = new_eventfd;
	ringwake_system.close = close_eventfd;
	ringwake_system.read = read_eventfd;
	ringwake_system.write = write_eventfd;
	ringwake_system.poll = poll_one;
	ringwake_system.futex_wait = futex_wait;
	ringwake_system.futex_wake = futex_wake;
}

void kernel_behave(void)
{
	kernel.faults &= FAULT_FILTERED;
}

void kernel_forbid_rings(void)
{
	kernel.rings_forbidden = true;
}

void kernel_for_each_due(void (*look)(const struct io_uring_cqe *completion))
{
	for (unsigned i = 0; i < kernel.due_count; i++)
		look(&kernel.due[i]);
}

bool kernel_is_clean(void)
{
	return !kernel.event_open && !(kernel.ring_is_own && kernel.ring_open);
}

bool kernel_sleeps_timed(void)
{
	return kernel.sleeps_timed;
}

bool kernel_naps(void)
{
	return kernel.naps;
}

unsigned kernel_parks(void)
{
	return kernel.parks;
}
