/* SPDX-License-Identifier: MIT */
/*
 * refuse-io-uring PROGRAM [ARGUMENT...]: runs the program under a seccomp filter that answers EPERM
 * to the three system calls of io_uring, as sandboxes and container runtimes do.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The three calls have the same numbers, one after the other, on every architecture. */
_Static_assert(SYS_io_uring_enter == SYS_io_uring_setup + 1, "numbers");
_Static_assert(SYS_io_uring_register == SYS_io_uring_setup + 2, "numbers");

static struct sock_filter rules[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

int main(int argc, char **argv)
{
	struct sock_fprog program = {.len = COUNT(rules), .filter = rules};

	if (argc < 2) {
		fprintf(stderr, "usage: refuse-io-uring PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		fprintf(stderr, "refuse-io-uring: the filter is refused: %s\n", strerror(errno));
		return 126;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "refuse-io-uring: %s: %s\n", argv[1], strerror(errno));
	return 127;
}
