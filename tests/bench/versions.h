/* SPDX-License-Identifier: MIT */
#ifndef VERSIONS_H
#define VERSIONS_H

#include <stdbool.h>

struct library {
	const char *name;
	char version[128];
};

/* The index-th of what was built in, as it runs; false after the last. */
bool library_version(unsigned index, struct library *library);

#endif
