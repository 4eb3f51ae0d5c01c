/* SPDX-License-Identifier: MIT */
#include "functions.h"
#include "preload.h"

#include <stdio.h>
#include <stdlib.h>

void ringwake_preload_find(const struct library_function *list)
{
	const char *missing = find_functions(RTLD_NEXT, list);
	if (missing == NULL)
		return;
	fprintf(stderr, "%s: this program's %s has no %s\n", ringwake_preload.program,
		ringwake_preload.library, missing);
	abort();
}
