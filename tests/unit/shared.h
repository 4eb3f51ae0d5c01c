/* SPDX-License-Identifier: MIT */
/* Loads the shared library at run time, in addition to the copy that is linked to the test. */
#ifndef TESTS_UNIT_SHARED_H
#define TESTS_UNIT_SHARED_H

#include <dlfcn.h>
#include <ringwake/channel.h>
#include <ringwake/pool.h>

#include "../common.h"

/* The library's functions, with the names of the headers. */
/* clang-format off */
#define FUNCTIONS(with)                                                                            \
	with(open) with(close) with(send) with(wait)                                               \
	with(channel_open) with(channel_try_send) with(channel_release)                            \
	with(pool_open) with(pool_submit) with(pool_close)
/* clang-format on */

struct shared_library {
	void *handle;
#define MEMBER(name) __typeof__(&ringwake_##name) name;
	FUNCTIONS(MEMBER)
#undef MEMBER
};

static const char *library_path(void)
{
	static char path[4096];
	const char *top = getenv("top_builddir");
	snprintf(path, sizeof path, "%s/lib/.libs/libringwake.so", top ? top : "../..");
	return path;
}

static inline void skip_without_library(void)
{
	if (access(library_path(), R_OK) != 0) {
		print_message("there is no %s\n", library_path());
		skip();
	}
}

static inline void open_library(struct shared_library *library)
{
	library->handle = dlopen(library_path(), RTLD_NOW | RTLD_LOCAL);
	if (library->handle == NULL)
		fail_msg("%s", dlerror());
#define LOOK_UP(name)                                                                              \
	*(void **)&library->name = dlsym(library->handle, "ringwake_" #name);                      \
	assert_non_null(library->name);
	FUNCTIONS(LOOK_UP)
#undef LOOK_UP
}

#endif
