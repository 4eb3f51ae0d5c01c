/* SPDX-License-Identifier: MIT */
/* A structure between two guards, which show a write in front of it and behind it. */
#ifndef RINGWAKE_TESTS_ABI_GUARD_H
#define RINGWAKE_TESTS_ABI_GUARD_H

#include <ringwake/ringwake.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);  \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

enum { GUARD_SIZE = 64, GUARD_BYTE = 0xa5 };
#define GUARDED(type)                                                                              \
	struct {                                                                                   \
		unsigned char before[GUARD_SIZE];                                                  \
		type it;                                                                           \
		unsigned char after[GUARD_SIZE];                                                   \
	}

/* Sets the guards. The structure gets all bytes 0. */
#define GUARD(guarded)                                                                             \
	do {                                                                                       \
		memset(&(guarded), GUARD_BYTE, sizeof(guarded));                                   \
		memset(&(guarded).it, 0, sizeof(guarded).it);                                      \
	} while (0)

#define CHECK_GUARDS(guarded)                                                                      \
	do {                                                                                       \
		for (int at = 0; at < GUARD_SIZE; at++)                                            \
			CHECK((guarded).before[at] == GUARD_BYTE);                                 \
		for (int at = 0; at < GUARD_SIZE; at++)                                            \
			CHECK((guarded).after[at] == GUARD_BYTE);                                  \
	} while (0)

/*
 * The test compiles a program with ROOM=reserved against the headers of this version, and with
 * ROOM=grown against those of the later version. Its argument is the version of the library that it
 * must run on, then "grown" if that library is the later one, which writes the room.
 */
static inline bool library_has_grown(int argc, char **argv)
{
	CHECK(argc >= 2);
	CHECK(strcmp(ringwake_version_string(), argv[1]) == 0);
	return argc == 3 && strcmp(argv[2], "grown") == 0;
}

#endif
