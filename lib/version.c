/* SPDX-License-Identifier: MIT */
/* The version that runs; the program may have been compiled with headers of another version. */
#include <ringwake/ringwake.h>

#define STRING_OF(number) #number
#define STRING(number)    STRING_OF(number)

unsigned ringwake_version(void)
{
	return RINGWAKE_VERSION;
}

const char *ringwake_version_string(void)
{
	return STRING(RINGWAKE_VERSION_MAJOR) "." STRING(RINGWAKE_VERSION_MINOR) "." STRING(
		RINGWAKE_VERSION_PATCH);
}
