/* SPDX-License-Identifier: MIT */
/* refuse-io-uring PROGRAM [ARGUMENT...]: runs the program under a filter that refuses io_uring. */
#include "../forbid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: refuse-io-uring PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	if (!forbid_io_uring(EPERM)) {
		fprintf(stderr, "refuse-io-uring: cannot install the filter: %s\n",
			strerror(errno));
		return 126;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "refuse-io-uring: %s: %s\n", argv[1], strerror(errno));
	return 127;
}
