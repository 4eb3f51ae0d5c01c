/* SPDX-License-Identifier: MIT */
/* The page at /, and what it loads: files of this directory that the build puts into the program.
 */
#ifndef WEBSERVER_ASSETS_H
#define WEBSERVER_ASSETS_H

#include <stddef.h>

struct asset {
	const char *bytes;
	size_t length;
};

struct asset asset_html(void), asset_css(void), asset_js(void);

#endif
