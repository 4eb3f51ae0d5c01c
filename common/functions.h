/* SPDX-License-Identifier: MIT */
/* The functions of the loop's library that an adapter calls through pointers, found by name. */
#ifndef RINGWAKE_FUNCTIONS_H
#define RINGWAKE_FUNCTIONS_H

#include <dlfcn.h>
#include <stddef.h>

/* The last of a list has the name NULL. */
struct library_function {
	void *pointer; /* to the pointer that the adapter calls */
	const char *name;
};

/* Sets the pointer of each function that library has. Returns the name of one that it does not
 * have, or NULL. */
static inline const char *find_functions(void *library, const struct library_function *list)
{
	const char *missing = NULL;
	for (; list->name; list++) {
		void *found = dlsym(library, list->name);
		if (found)
			*(void **)list->pointer = found;
		else
			missing = list->name;
	}
	return missing;
}

/* Calls find_functions() for a shared library that the process has loaded. A program may contain a
 * static one instead: then the pointers stay as they are. */
static inline void find_functions_in(const char *name, const struct library_function *list)
{
	void *library = dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
	if (library == NULL)
		return;
	find_functions(library, list);
	dlclose(library);
}

#endif
