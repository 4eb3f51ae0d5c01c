/* SPDX-License-Identifier: MIT */
#include <gnu/libc-version.h>
#include <liburing.h>
#include <ringwake/ringwake.h>
#include <uv.h>
#ifdef HAVE_EV
#include <ev.h>
#endif
#ifdef HAVE_GLIB
#include <glib.h>
#endif

#include "question.h"

static const char *path(void)
{
	struct ringwake *target;
	must(ringwake_open(&target, NULL, NULL), "ringwake_open");
	enum ringwake_path chosen = ringwake_get_path(target);
	ringwake_close(target);
	return chosen == RINGWAKE_PATH_MSG_RING ? "msg_ring" : "eventfd";
}

void print_versions(FILE *text, FILE *json)
{
	print_member(text, json, "path", path());
	print_member(text, json, "compiler", __VERSION__);
	print_member(text, json, "glibc", gnu_get_libc_version());
	print_member(text, json, "liburing", LIBURING_PACKAGE);
	print_member(text, json, "libuv", uv_version_string());
#ifdef HAVE_EV
	char ev[32];
	snprintf(ev, sizeof ev, "%d.%d", ev_version_major(), ev_version_minor());
	print_member(text, json, "libev", ev);
#endif
#ifdef HAVE_GLIB
	char glib[48];
	snprintf(glib, sizeof glib, "%u.%u.%u", glib_major_version, glib_minor_version,
		glib_micro_version);
	print_member(text, json, "glib", glib);
#endif
#ifdef HAVE_URCU
	print_member(text, json, "liburcu", URCU_PACKAGE);
#endif
}
