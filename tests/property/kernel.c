/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <errno.h>
#include <liburing.h>
#include <stdatomic.h>
#include <string.h>

#include "clocks.h"
#include "schedule.h"
#include "system.h"

#define REGISTER_SEND_MSG_RING 31

#define RING_DESCRIPTOR  1000
#define EVENT_DESCRIPTOR 1001
#define EARLY_TIMEOUTS   1
#define MAX_ENTRIES      64
#define SUBMISSIONS      4

static struct {
	unsigned faults, faults_left;
	unsigned early_timeouts; /* that are still to come */
	bool ring_open, event_open, ring_is_own, ring_is_served, rings_forbidden;
	unsigned parks;

	unsigned head, tail, entries;
	unsigned submit_head, submit_tail;
	struct io_uring_cqe completions[MAX_ENTRIES];
	struct io_uring_sqe submissions[SUBMISSIONS];

	/* Completions that are still to be posted. */
	struct io_uring_cqe due[MAX_ENTRIES];
	unsigned due_count;

	uint64_t event_count;
	bool reading;
	struct io_uring_sqe read; /* the READ of the eventfd that waits */

	const _Atomic uint32_t *futex; /* on which a thread is parked */

	unsigned rung[MAX_THREADS]; /* the mark of each thread's last ring */
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

static void post(uint64_t user_data, int32_t result)
{
	require(kernel.due_count < MAX_ENTRIES, "too many completions");
	kernel.due[kernel.due_count++] =
		(struct io_uring_cqe){.user_data = user_data, .res = result};
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

static bool can_read(void)
{
	return kernel.reading && kernel.event_count > 0;
}

bool kernel_can_step(void)
{
	return can_post() || can_read();
}

void kernel_step(void)
{
	if (can_post()) {
		post_one();
		trace("the kernel posts a completion");
		return;
	}
	memcpy((void *)(uintptr_t)kernel.read.addr, &kernel.event_count, sizeof(uint64_t));
	kernel.event_count = 0;
	kernel.reading = false;
	post(kernel.read.user_data, sizeof(uint64_t));
	trace("the kernel reads the eventfd");
}

static void map_ring(struct io_uring *ring, unsigned entries)
{
	static unsigned completion_mask, submission_mask = SUBMISSIONS - 1;
	static unsigned submission_entries = SUBMISSIONS;
	static unsigned flags; /* there is no backlog here */
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
	ring->sq.kflags = &flags;
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

/* What the library may ask of the ring: to wait for the eventfd, and when it closes, two more. */
static void take_request(const struct io_uring_sqe *request)
{
	switch (request->opcode) {
	case IORING_OP_READ:
		require(request->fd == EVENT_DESCRIPTOR, "reads something else");
		require(!kernel.reading, "two READs wait");
		kernel.read = *request;
		kernel.reading = true;
		trace("submit: a READ");
		return;
	case IORING_OP_WRITE:
		require(request->fd == EVENT_DESCRIPTOR, "writes something else");
		require(request->flags & IOSQE_CQE_SKIP_SUCCESS, "a WRITE completes at any time");
		kernel.event_count += *(const uint64_t *)(uintptr_t)request->addr;
		trace("submit: a WRITE");
		return;
	case IORING_OP_NOP:
		if (!(request->flags & IOSQE_CQE_SKIP_SUCCESS))
			post(request->user_data, 0);
		trace("submit: a NOP");
		return;
	}
	fail_schedule("submits something unknown");
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

/* A timeout comes when nothing else happens; a few come at any time. */
static void sleep_until(bool (*ready)(const void *), const void *argument, bool timed)
{
	bool early = timed && kernel.early_timeouts > 0 && choose(2) == 1;
	kernel.early_timeouts -= early;
	if (early)
		wait_until(always, NULL);
	else if (timed)
		wait_until_timeout(ready, argument);
	else
		wait_until(ready, argument);
}

static int sleep_in_ring(unsigned wanted, bool timed)
{
	if (wanted > kernel.entries)
		wanted = kernel.entries;
	if (has_completions(&wanted))
		return 0;
	if (happens(FAULT_INTERRUPTED)) {
		trace("enter: -EINTR");
		return -EINTR;
	}
	trace("enter: sleeps%s", timed ? ", with a timeout" : "");
	sleep_until(has_completions, &wanted, timed);
	trace("enter: %s", has_completions(&wanted) ? "wakes" : "-ETIME");
	return has_completions(&wanted) ? 0 : -ETIME;
}

static int enter(int fd, unsigned min_complete, unsigned flags, const void *arg, size_t size)
{
	(void)size;
	require(kernel.ring_open, "enters a ring that is closed");
	require(fd == (flags & IORING_ENTER_REGISTERED_RING ? 0 : RING_DESCRIPTOR),
		"enters another ring");
	switch_point();
	if (flags & IORING_ENTER_GETEVENTS && !kernel.ring_is_served)
		post_all();
	return min_complete == 0 ? 0 : sleep_in_ring(min_complete, arg != NULL);
}

static int submit_and_wait(struct io_uring *ring)
{
	int result = submit(ring);
	return result < 0 ? result : enter(ring->ring_fd, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

/* What may go wrong with any doorbell; 0: nothing. */
static int doorbell_fault(void)
{
	require(!kernel.rings_forbidden, "rings after close has returned");
	kernel.rung[this_thread()] = clocks_mark();
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
	require(request->fd == RING_DESCRIPTOR && kernel.ring_open, "rings a ring that is closed");
	int result = doorbell_fault();
	if (result == 0 && ready_count() == kernel.entries && happens(FAULT_OVERFLOW))
		result = -EOVERFLOW;
	trace("rings the ring: %s", result ? strerror(-result) : "accepted");
	if (result == 0) {
		post(request->off, (int32_t)request->len);
		if (happens(FAULT_DUPLICATED))
			post(request->off, (int32_t)request->len);
		if (!happens(FAULT_DELAYED))
			post_all();
	}
	switch_point();
	return result;
}

static int register_ring(int fd, unsigned opcode, const void *arg, unsigned count)
{
	switch (opcode) {
	case REGISTER_SEND_MSG_RING:
		return send_msg_ring(arg);
	case IORING_REGISTER_RING_FDS:
		require(fd == RING_DESCRIPTOR && kernel.ring_open, "registers another ring");
		((struct io_uring_rsrc_update *)(uintptr_t)arg)->offset = 0;
		return (int)count;
	case IORING_UNREGISTER_RING_FDS:
		return (int)count;
	}
	fail_schedule("registers something unknown");
}

static int new_eventfd(int flags)
{
	(void)flags;
	kernel.event_open = true;
	kernel.event_count = 0;
	return EVENT_DESCRIPTOR;
}

static int read_eventfd(int fd, uint64_t *value)
{
	require(fd == EVENT_DESCRIPTOR && kernel.event_open, "reads a descriptor that is closed");
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
	require(fd == EVENT_DESCRIPTOR && kernel.event_open, "writes a descriptor that is closed");
	bool is_filtered = this_thread() == LOOP && kernel.faults & FAULT_FILTERED;
	int result = is_filtered ? -EPERM : doorbell_fault();
	trace("rings the eventfd: %s", result ? strerror(-result) : "accepted");
	if (result == 0)
		kernel.event_count += *value;
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
		"polls a descriptor that is closed");
	trace("poll: sleeps");
	wait_until(is_readable, &descriptor);
	trace("poll: wakes");
}

static int poll_one(struct pollfd *entry, const struct timespec *timeout)
{
	switch_point();
	require(entry->fd == EVENT_DESCRIPTOR && kernel.event_open, "polls another descriptor");
	if (!is_readable(&entry->fd) && happens(FAULT_INTERRUPTED)) {
		trace("poll: -EINTR");
		return -EINTR;
	}
	trace("poll: sleeps%s", timeout ? ", with a timeout" : "");
	sleep_until(is_readable, &entry->fd, timeout != NULL);
	trace("poll: %s", is_readable(&entry->fd) ? "wakes" : "times out");
	return is_readable(&entry->fd);
}

static bool is_unparked(const void *argument)
{
	(void)argument;
	return kernel.futex == NULL;
}

static int futex_wait(
	const _Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
	(void)timeout;
	switch_point();
	kernel.parks++;
	if (*word != expected)
		return -EAGAIN;
	trace("parks");
	kernel.futex = word;
	wait_until(is_unparked, NULL);
	return 0;
}

static int futex_wake(const _Atomic uint32_t *word, int count)
{
	(void)count;
	switch_point();
	bool parked = kernel.futex == word;
	if (parked)
		kernel.futex = NULL;
	trace("wakes who is parked: %d", parked);
	return parked;
}

/* Not just at this moment: in every order that the memory model allows. */
static void expect_no_more_rings(void)
{
	for (unsigned i = 0; i < MAX_THREADS; i++)
		require(clocks_see(i, kernel.rung[i], this_thread()),
			"a ring does not happen before the doorbell is closed");
}

static void queue_exit(struct io_uring *ring)
{
	require(ring->ring_fd == RING_DESCRIPTOR && kernel.ring_open, "gives up another ring");
	expect_no_more_rings();
	kernel.ring_open = false;
}

static int close_eventfd(int fd)
{
	require(fd == EVENT_DESCRIPTOR && kernel.event_open, "closes another descriptor");
	require(!kernel.reading, "closes the eventfd under a READ");
	expect_no_more_rings();
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
	ringwake_system.submit_and_wait = submit_and_wait;
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
	kernel.faults = 0;
}

void kernel_forbid_rings(void)
{
	kernel.rings_forbidden = true;
}

bool kernel_is_clean(void)
{
	return !kernel.event_open && !kernel.reading && !(kernel.ring_is_own && kernel.ring_open);
}

unsigned kernel_parks(void)
{
	return kernel.parks;
}
