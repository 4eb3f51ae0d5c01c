/* SPDX-License-Identifier: MIT */
/*
 * Two senders send a number of messages to one loop under a fault. The program accounts for every
 * message and exits with 0 if the results are what the manual allows:
 *
 *   open fails with a documented error ("open EPERM"), or
 *   every accepted message is delivered once. A wake may be missing only after a send has reported
 *   that its doorbell failed. Then one more send, by a thread without a filter, must deliver all
 *   messages. The loop blocks without a timeout, so nothing else can deliver them. If that send
 *   also fails, because the fault affects all threads, a signal to the loop must deliver them.
 *
 * Usage: faults [--path P] [--ring | --defer] [--poll] [--deny CALL=ERRNO]
 *               [--when before|after|senders] [--nofile] [--backlog]
 * --ring     use an application's ring instead of the target's own
 * --defer    the same, with IORING_SETUP_DEFER_TASKRUN
 * --poll     block in poll(2), between arm and disarm
 * --deny     make CALL fail with ERRNO by a seccomp filter; read and write only on the doorbell's
 *            descriptor
 * --nofile   open the target when no descriptor is left
 * --backlog  post to an unread ring until the kernel refuses; afterwards the target must work
 */
#include <errno.h>
#include <getopt.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <ringwake/ringwake.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../lib/target.h"

enum { SENDERS = 2, MESSAGES = 300, ATTEMPTS = 100 };

struct parcel {
	struct ringwake_msg msg;
	_Atomic unsigned delivered;
	bool accepted;
};

struct sender {
	struct parcel parcels[MESSAGES];
	unsigned accepted;
	pthread_t thread;
};

static struct ringwake *target;
static _Atomic int last_send_error;
static struct sender senders[SENDERS];
static _Atomic unsigned delivered, accepted, failed_doorbells;

static const struct call {
	const char *name;
	unsigned number;
	bool on_doorbell; /* only if the first argument is the doorbell's descriptor */
} calls[] = {
	{"io_uring_setup", SYS_io_uring_setup, false},
	{"io_uring_register", SYS_io_uring_register, false},
	{"io_uring_enter", SYS_io_uring_enter, false},
	{"eventfd2", SYS_eventfd2, false},
	{"read", SYS_read, true},
	{"write", SYS_write, true},
};
static const struct error {
	const char *name;
	int number;
} errors[] = {{"EPERM", EPERM}, {"ENOSYS", ENOSYS}, {"EINVAL", EINVAL}, {"ENOMEM", ENOMEM},
	{"EINTR", EINTR}, {"EAGAIN", EAGAIN}, {"EBADF", EBADF}, {"EACCES", EACCES},
	{"EMFILE", EMFILE}, {"EOVERFLOW", EOVERFLOW}, {"EOPNOTSUPP", EOPNOTSUPP}};

static const struct call *denied;
static int denied_error;
static const char *when = "before";

static const char *name_of(int error)
{
	for (unsigned i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].number == -error)
			return errors[i].name;
	return strerror(-error);
}

static void deny(const char *at)
{
	if (denied == NULL || strcmp(at, when) != 0)
		return;
	unsigned fd = denied->on_doorbell ? (unsigned)target->doorbell.fd : 0;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied->number, 0, denied->on_doorbell ? 3 : 1),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, fd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)denied_error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	if (!denied->on_doorbell) {
		filter[2] = filter[4];
		filter[3] = filter[5];
	}
	struct sock_fprog program = {.len = denied->on_doorbell ? 6 : 4, .filter = filter};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		perror("seccomp");
		exit(77);
	}
}

static void on_parcel(struct ringwake_msg *msg)
{
	((struct parcel *)msg)->delivered++;
	delivered++;
}

static void count_failure(int error)
{
	failed_doorbells++;
	last_send_error = error;
}

static void *run_sender(void *argument)
{
	struct sender *sender = argument;
	deny("senders");
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct parcel *parcel = &sender->parcels[i];
		parcel->msg.fn = on_parcel;
		int error = ringwake_send(target, &parcel->msg);
		parcel->accepted = error != -ECANCELED && error != -EOWNERDEAD;
		sender->accepted += parcel->accepted;
		if (error < 0)
			count_failure(error);
		/* Wait for the delivery, so that the loop blocks again. */
		while (i % 8 == 0 && parcel->delivered == 0 && failed_doorbells == 0)
			sched_yield();
	}
	accepted += sender->accepted;
	return NULL;
}

static pthread_barrier_t begun;
static pthread_t loop_thread;
static _Atomic bool last_delivered;
static const char *how = "by their doorbells"; /* how the messages were delivered */

static void on_last(struct ringwake_msg *msg)
{
	(void)msg;
	last_delivered = true;
}

static void on_signal(int number)
{
	(void)number;
}

/* This thread was created before any filter, so it has none. */
static void *run_last(void *unused)
{
	static struct ringwake_msg last = {.fn = on_last};
	pthread_barrier_wait(&begun);
	for (int s = 0; s < SENDERS; s++)
		pthread_join(senders[s].thread, NULL);
	/* alarm() ends this if a wake is lost. */
	while (failed_doorbells == 0 && delivered < accepted)
		sched_yield();
	if (failed_doorbells > 0)
		how = "by the next send";
	int error = ringwake_send(target, &last);
	for (int i = 0; error < 0 && i < ATTEMPTS; i++)
		error = ringwake_wake(target);
	if (error < 0)
		how = "by a signal";
	while (error < 0 && !last_delivered) {
		pthread_kill(loop_thread, SIGUSR1);
		sched_yield();
	}
	return unused;
}

static int last_wait_error;

static void sleep_in_poll(void)
{
	struct pollfd entry = {.fd = ringwake_fd(target), .events = POLLIN};
	bool armed = ringwake_arm(target);
	if (poll(&entry, 1, armed ? -1 : 0) < 0)
		last_wait_error = -errno;
	ringwake_disarm(target);
}

static void receive(struct io_uring *ring, bool polls)
{
	while (!last_delivered) {
		int result = 0;
		if (polls)
			sleep_in_poll();
		else
			result = ringwake_wait(target, -1);
		if (result < 0)
			last_wait_error = result;
		struct io_uring_cqe *cqe;
		while (ring && io_uring_peek_cqe(ring, &cqe) == 0)
			io_uring_cqe_seen(ring, cqe);
		if (polls)
			ringwake_dispatch(target, 0);
	}
}

static int fill_backlog(struct io_uring *ring)
{
	static struct parcel parcel = {.msg.fn = on_parcel};
	int error = 0;
	unsigned long posted = 0;
	printf("posted ");
	mlockall(MCL_CURRENT); /* without memory, a page fault would never return */
	while (error == 0 && posted < 5000000) {
		error = ringwake_post(target, 1, 1);
		posted += error == 0;
	}
	printf("%lu %s ", posted, error ? name_of(error) : "all");
	/* A loop that is about to block needs a doorbell, for which there may be no memory. */
	ringwake_arm(target);
	int send_error = ringwake_send(target, &parcel.msg);
	ringwake_disarm(target);
	if (send_error < 0)
		count_failure(send_error);
	accepted++;
	struct io_uring_cqe *cqe;
	unsigned long seen = 0;
	/* -EBADR once: the kernel reports that it dropped the completions whose posts were refused.
	 */
	for (int refused = 0; refused < 3;) {
		if (io_uring_peek_cqe(ring, &cqe) == 0) {
			seen += !ringwake_is_doorbell(target, cqe);
			io_uring_cqe_seen(ring, cqe);
			refused = 0;
		} else {
			io_uring_get_events(ring);
			refused++;
		}
	}
	/* A DEFER_TASKRUN ring moves posted completions to its queue later and may drop them then.
	 */
	unsigned dropped = *ring->cq.koverflow;
	printf("seen %lu dropped %u ", seen, dropped);
	bool accounted = seen <= posted && seen + dropped >= posted;
	return accounted && (error == 0 || error == -EOVERFLOW || error == -ENOMEM) ? 0 : 1;
}

static void use_up_descriptors(void)
{
	struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
	setrlimit(RLIMIT_NOFILE, &limit);
	while (dup(2) >= 0)
		;
}

static void parse_denial(char *text)
{
	char *equals = strchr(text, '=');
	if (equals)
		*equals = '\0';
	for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++)
		if (strcmp(calls[i].name, text) == 0)
			denied = &calls[i];
	for (unsigned i = 0; equals && i < sizeof errors / sizeof *errors; i++)
		if (strcmp(errors[i].name, equals + 1) == 0)
			denied_error = errors[i].number;
	if (denied == NULL || denied_error == 0)
		exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"path", 1, NULL, 'p'}, {"ring", 0, NULL, 'r'},
		{"defer", 0, NULL, 'f'}, {"poll", 0, NULL, 'o'}, {"deny", 1, NULL, 'd'},
		{"when", 1, NULL, 'w'}, {"nofile", 0, NULL, 'n'}, {"backlog", 0, NULL, 'b'}, {0}};
	struct ringwake_params params = {0};
	struct io_uring own, *ring = NULL;
	bool wants_ring = false, polls = false, no_file = false, backlog = false;
	unsigned flags = 0;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (option == 'p')
			params.path = strcmp(optarg, "msg_ring") == 0 ? RINGWAKE_PATH_MSG_RING
				: strcmp(optarg, "eventfd") == 0      ? RINGWAKE_PATH_EVENTFD
								      : RINGWAKE_PATH_AUTO;
		else if (option == 'r')
			wants_ring = true;
		else if (option == 'f')
			wants_ring = true,
			flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
		else if (option == 'o')
			polls = true;
		else if (option == 'd')
			parse_denial(optarg);
		else if (option == 'w')
			when = optarg;
		else if (option == 'n')
			no_file = true;
		else if (option == 'b')
			backlog = wants_ring = true;
		else
			return 2;
	}
	alarm(10);
	if (wants_ring) {
		int error = io_uring_queue_init(8, &own, flags);
		if (error < 0) {
			printf("no ring %s\n", name_of(error));
			return 0;
		}
		ring = &own;
	}
	if (no_file)
		use_up_descriptors();
	deny("before");
	int error = ringwake_open(&target, ring, &params);
	if (error < 0) {
		printf("open %s\n", name_of(error));
		return 0;
	}
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGUSR1, &action, NULL);
	loop_thread = pthread_self();
	pthread_t last;
	pthread_barrier_init(&begun, NULL, 2);
	pthread_create(&last, NULL, run_last, NULL);
	deny("after");
	int wrong = backlog ? fill_backlog(ring) : 0;
	for (int s = 0; s < SENDERS; s++)
		pthread_create(&senders[s].thread, NULL, run_sender, &senders[s]);
	pthread_barrier_wait(&begun);
	receive(ring, polls);
	pthread_join(last, NULL);
	unsigned before_close = delivered;
	ringwake_wait(target, 1); /* so that a READ is in progress at close */
	bool msg_ring = ringwake_get_path(target) == RINGWAKE_PATH_MSG_RING;
	ringwake_close(target);
	for (int s = 0; s < SENDERS; s++)
		for (int i = 0; i < MESSAGES; i++)
			wrong |= senders[s].parcels[i].delivered != senders[s].parcels[i].accepted;
	printf("%s accepted %u delivered %u %s, failed doorbells %u %s, last wait error %s%s\n",
		msg_ring ? "msg_ring" : "eventfd", accepted, before_close, how, failed_doorbells,
		failed_doorbells ? name_of(last_send_error) : "",
		last_wait_error ? name_of(last_wait_error) : "none", wrong ? ", WRONG" : "");
	if (ring)
		io_uring_queue_exit(ring);
	return wrong || before_close != accepted;
}
