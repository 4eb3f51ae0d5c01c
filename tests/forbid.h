/* SPDX-License-Identifier: MIT */
/* Makes the three system calls of io_uring fail, as sandboxes and container runtimes do. */
#ifndef TESTS_FORBID_H
#define TESTS_FORBID_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* The three calls have the same consecutive numbers on every architecture. */
_Static_assert(SYS_io_uring_enter == SYS_io_uring_setup + 1, "numbers");
_Static_assert(SYS_io_uring_register == SYS_io_uring_setup + 2, "numbers");

/* The calls of this thread and of threads that it creates fail with answer. Returns false and sets
 * errno if the filter cannot be installed. */
static inline bool forbid_io_uring(unsigned answer)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | answer),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#endif
