/* SPDX-License-Identifier: MIT */
/*
 * Works under a fault and accounts for every message. Two senders, one loop, a bounded number of
 * messages; exits with 0 if what happened is what the manual allows:
 *
 *   open fails with a documented error ("open EPERM"), or
 *   every message that was accepted is delivered once. A wake may only be missing after a send has
 *   reported that its doorbell failed; then the loop's next look delivers.
 *
 * usage: faults [--path P] [--ring] [--deny CALL=ERRNO] [--when before|after|senders] [--nofile]
 *               [--backlog]
 * --ring     the application's ring instead of a private one
 * --deny     a seccomp filter answers CALL with ERRNO; read and write only on the doorbell's
 * descriptor
 * --nofile   no descriptor is left when the target is opened
 * --backlog  posts to a ring that nobody reads until the kernel refuses; then the target has to
 * work
 */
#include <errno.h>
#include <getopt.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <ringwake/ringwake.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SENDERS = 2, MESSAGES = 300, PATIENCE_NS = 700000000 };

struct parcel {
	struct ringwake_msg msg;
	unsigned delivered;
	bool accepted;
};

struct sender {
	struct parcel parcels[MESSAGES];
	unsigned accepted, failed_doorbells;
	int last_error;
	pthread_t thread;
};

static struct ringwake *target;
static struct sender senders[SENDERS];
static _Atomic unsigned delivered, accepted, finished;

static const struct call {
	const char *name;
	unsigned number;
	bool on_doorbell; /* only with this descriptor as first argument */
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
	unsigned fd = denied->on_doorbell ? (unsigned)ringwake_fd(target) : 0;
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
		if (error < 0) {
			sender->failed_doorbells++;
			sender->last_error = error;
		}
		if (i % 16 == 0)
			sched_yield();
	}
	accepted += sender->accepted;
	finished++;
	return NULL;
}

/* A wake that is missing though no send reported a failure is what must not be. */
static bool lost_wake;
static int last_wait_error;

static void receive(struct io_uring *ring)
{
	unsigned silent = 0;
	while ((finished < SENDERS || delivered < accepted) && silent < 4) {
		int result = ringwake_wait(target, PATIENCE_NS);
		if (ring) {
			struct io_uring_cqe *cqe;
			while (io_uring_peek_cqe(ring, &cqe) == 0)
				io_uring_cqe_seen(ring, cqe);
		}
		if (result < 0 && result != -ETIME)
			last_wait_error = result;
		if (result == -ETIME && finished == SENDERS && delivered < accepted) {
			unsigned failures = 0;
			for (int s = 0; s < SENDERS; s++)
				failures += senders[s].failed_doorbells;
			lost_wake = lost_wake || failures == 0;
			silent++;
			ringwake_dispatch(target, 0);
		}
	}
}

static int fill_backlog(struct io_uring *ring)
{
	int error = 0;
	unsigned long posted = 0;
	while (error == 0 && posted < 5000000) {
		error = ringwake_post(target, 1, 1);
		posted += error == 0;
	}
	printf("posted %lu %s ", posted, error ? name_of(error) : "all");
	struct io_uring_cqe *cqe;
	unsigned long seen = 0;
	/* -EBADR once: the kernel says that it dropped some, those whose post was refused. */
	for (int refused = 0; refused < 3;) {
		if (io_uring_peek_cqe(ring, &cqe) == 0) {
			io_uring_cqe_seen(ring, cqe);
			seen++;
			refused = 0;
		} else {
			io_uring_get_events(ring);
			refused++;
		}
	}
	printf("seen %lu ", seen);
	return seen == posted && (error == 0 || error == -EOVERFLOW || error == -ENOMEM) ? 0 : 1;
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
		{"deny", 1, NULL, 'd'}, {"when", 1, NULL, 'w'}, {"nofile", 0, NULL, 'n'},
		{"backlog", 0, NULL, 'b'}, {0}};
	struct ringwake_params params = {0};
	struct io_uring own, *ring = NULL;
	bool wants_ring = false, no_file = false, backlog = false;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (option == 'p')
			params.path = strcmp(optarg, "msg_ring") == 0 ? RINGWAKE_PATH_MSG_RING
				: strcmp(optarg, "eventfd") == 0      ? RINGWAKE_PATH_EVENTFD
								      : RINGWAKE_PATH_AUTO;
		else if (option == 'r')
			wants_ring = true;
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
	alarm(60);
	if (wants_ring) {
		int error = io_uring_queue_init(8, &own, 0);
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
	deny("after");
	int wrong = backlog ? fill_backlog(ring) : 0;
	for (int s = 0; s < SENDERS; s++)
		pthread_create(&senders[s].thread, NULL, run_sender, &senders[s]);
	receive(ring);
	unsigned failures = 0;
	for (int s = 0; s < SENDERS; s++) {
		pthread_join(senders[s].thread, NULL);
		failures += senders[s].failed_doorbells;
		if (senders[s].last_error)
			error = senders[s].last_error;
	}
	bool msg_ring = ringwake_path(target) == RINGWAKE_PATH_MSG_RING;
	ringwake_close(target);
	for (int s = 0; s < SENDERS; s++)
		for (int i = 0; i < MESSAGES; i++)
			wrong |= senders[s].parcels[i].delivered != senders[s].parcels[i].accepted;
	printf("%s accepted %u delivered %u failed doorbells %u %s, last wait error %s%s%s\n",
		msg_ring ? "msg_ring" : "eventfd", accepted, delivered, failures,
		failures ? name_of(error) : "", last_wait_error ? name_of(last_wait_error) : "none",
		lost_wake ? ", LOST WAKE" : "", wrong ? ", WRONG" : "");
	if (ring)
		io_uring_queue_exit(ring);
	return lost_wake || wrong || delivered != accepted;
}
