/* SPDX-License-Identifier: MIT */
#ifndef WEBSERVER_FIGURE_H
#define WEBSERVER_FIGURE_H

#include <stdint.h>

/* One number for /metrics and the page. A name that ends in _total names a counter. */
struct figure {
	const char *name;
	const char *help;
	uint64_t value;
};

#endif
