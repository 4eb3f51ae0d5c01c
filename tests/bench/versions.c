/* SPDX-License-Identifier: MIT */
#include "versions.h"

#include <gnu/libc-version.h>
#include <liburing.h>
#include <ringwake/ringwake.h>
#include <stdio.h>
#include <uv.h>
#ifdef HAVE_EV
#include <ev.h>
#endif
#ifdef HAVE_GLIB
#include <glib.h>
#endif

#include "question.h"

static void path(struct library *library)
{
	struct ringwake *target;
	must(ringwake_open(&target, NULL, NULL), "ringwake_open");
	enum ringwake_path chosen = ringwake_get_path(target);
	ringwake_close(target);
	snprintf(library->version, sizeof library->version, "%s",
		chosen == RINGWAKE_PATH_MSG_RING ? "msg_ring" : "eventfd");
	library->name = "path";
}

static void glibc(struct library *library)
{
	library->name = "glibc";
	snprintf(library->version, sizeof library->version, "%s", gnu_get_libc_version());
}

static void compiler(struct library *library)
{
	library->name = "compiler";
	snprintf(library->version, sizeof library->version, "%s", __VERSION__);
}

static void uring(struct library *library)
{
	library->name = "liburing";
	snprintf(library->version, sizeof library->version, "%s", LIBURING_PACKAGE);
}

static void uv(struct library *library)
{
	library->name = "libuv";
	snprintf(library->version, sizeof library->version, "%s", uv_version_string());
}

#ifdef HAVE_EV
static void ev(struct library *library)
{
	library->name = "libev";
	snprintf(library->version, sizeof library->version, "%d.%d", ev_version_major(),
		ev_version_minor());
}
#endif

#ifdef HAVE_GLIB
static void glib(struct library *library)
{
	library->name = "glib";
	snprintf(library->version, sizeof library->version, "%u.%u.%u", glib_major_version,
		glib_minor_version, glib_micro_version);
}
#endif

#ifdef HAVE_URCU
static void urcu(struct library *library)
{
	library->name = "liburcu";
	snprintf(library->version, sizeof library->version, "%s", URCU_PACKAGE);
}
#endif

static void (*const libraries[])(struct library *) = {
	path,
	compiler,
	glibc,
	uring,
	uv,
#ifdef HAVE_EV
	ev,
#endif
#ifdef HAVE_GLIB
	glib,
#endif
#ifdef HAVE_URCU
	urcu,
#endif
};

bool library_version(unsigned index, struct library *library)
{
	if (index >= COUNT(libraries))
		return false;
	libraries[index](library);
	return true;
}
