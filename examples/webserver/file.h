/* SPDX-License-Identifier: MIT */
/* One file that is sent to a client, in pieces. The workers read it, because reading may block. */
#ifndef WEBSERVER_FILE_H
#define WEBSERVER_FILE_H

#include "http.h"

#define FILE_PIECE 65536

struct file {
	int fd;
	int status;  /* of the response: 200, 206, 304, or an error */
	bool failed; /* it cannot be read up to its end */
	const char *type;
	char tag[64]; /* it changes with the file */
	uint64_t size;
	uint64_t next, end; /* the bytes that are still to be read */
	size_t length;      /* of the piece that was read last */
	char piece[FILE_PIECE];
};

/*
 * Opens the directory that has the files. Returns its descriptor. Or prints the error to stderr and
 * returns -1.
 */
int file_open_root(const char *directory);

/* Returns NULL if there is no memory. */
struct file *file_new(void);
void file_free(struct file *file);

/*
 * On a worker: opens the file that is asked for and reads its first piece. Nothing outside of the
 * root is opened, neither by ".." nor by a symbolic link. It opens regular files only.
 */
void file_open(struct file *file, int root, const struct http_request *request);

/* On a worker: reads the next piece. */
void file_read(struct file *file);

#endif
