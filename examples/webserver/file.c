/* SPDX-License-Identifier: MIT */
#include "file.h"
#include "range.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DESCRIPTORS "/proc/self/fd"

/* glibc has no function for it. */
static int open_beneath(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

int file_open_root(const char *directory)
{
	int root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0) {
		fprintf(stderr, "--root=%s: %s\n", directory, strerror(errno));
		return -1;
	}
	int probe = open_beneath(root, ".", O_PATH);
	if (probe < 0) {
		fprintf(stderr,
			"--root=%s: openat2: %s; it needs Linux 5.6 or newer, and no filter "
			"that refuses openat2\n",
			directory, strerror(errno));
		close(root);
		return -1;
	}
	close(probe);
	if (access(DESCRIPTORS, X_OK) != 0) {
		fprintf(stderr, "--root=%s: " DESCRIPTORS ": %s; mount /proc\n", directory,
			strerror(errno));
		close(root);
		return -1;
	}
	return root;
}

static int hexadecimal(char digit)
{
	const char *digits = "0123456789abcdef", *at = digit ? strchr(digits, digit | 0x20) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* Decodes %2F and the like. Returns false if that is not valid or gives a NUL. */
static bool decode(const char *path, char *out)
{
	for (; *path; path++) {
		*out = *path;
		if (*path == '%') {
			int high = hexadecimal(path[1]);
			int low = high < 0 ? -1 : hexadecimal(path[2]);
			if (low < 0 || high + low == 0)
				return false;
			*out = (char)(high << 4 | low);
			path += 2;
		}
		out++;
	}
	*out = '\0';
	return true;
}

static const char *type_of(const char *path)
{
	static const char *const types[][2] = {
		{".html", "text/html; charset=utf-8"},
		{".css", "text/css; charset=utf-8"},
		{".js", "text/javascript; charset=utf-8"},
		{".json", "application/json"},
		{".txt", "text/plain; charset=utf-8"},
		{".svg", "image/svg+xml"},
		{".png", "image/png"},
		{".jpg", "image/jpeg"},
		{".ico", "image/x-icon"},
		{".wasm", "application/wasm"},
	};
	const char *name = strrchr(path, '/');
	const char *ending = strrchr(name ? name : path, '.');
	for (size_t i = 0; ending && i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcasecmp(ending, types[i][0]) == 0)
			return types[i][1];
	}
	return "application/octet-stream";
}

static int status_of(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN: /* something was renamed meanwhile */
		return 503;
	default:
		return 404;
	}
}

/*
 * Looks at the file before it opens it for reading, because opening a FIFO or a device has effects.
 * With O_NONBLOCK, open() does not wait for a process that has a lease on the file.
 *
 * ThreadSanitizer does not see openat2(2), and takes its descriptor for a socket that had the same
 * number, so fstat() and close() would be reported as races.
 */
static int open_regular(struct file *file, int root, const char *path, struct stat *about)
{
	int status = 404;
	int found = open_beneath(root, path, O_PATH);
	if (found < 0)
		return status_of(errno);
	if (fstatat(found, "", about, AT_EMPTY_PATH) == 0 && S_ISREG(about->st_mode)) {
		char name[sizeof(DESCRIPTORS) + 12];
		snprintf(name, sizeof(name), DESCRIPTORS "/%d", found);
		file->fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		status = file->fd >= 0 ? 200 : status_of(errno);
	}
	syscall(SYS_close, found);
	return status;
}

/* HEAD gets the header of the whole file. */
static int select_part(struct file *file, const struct http_request *request)
{
	file->next = 0;
	file->end = file->size;
	if (range_has_tag(request->if_none_match, file->tag))
		return 304;
	bool same = *request->if_range == '\0' || strcmp(request->if_range, file->tag) == 0;
	if (request->verb != HTTP_VERB_GET || !same)
		return 200;
	switch (range_parse(request->range, file->size, &file->next, &file->end)) {
	case RANGE_PART:
		return 206;
	case RANGE_OUTSIDE:
		return 416;
	default:
		return 200;
	}
}

void file_open(struct file *file, int root, const struct http_request *request)
{
	char path[HTTP_TARGET_MAX + 1];
	struct stat about;
	if (!decode(request->path, path)) {
		file->status = 400;
		return;
	}
	file->status = open_regular(file, root, path + 1, &about); /* without the first slash */
	if (file->status != 200)
		return;
	file->type = type_of(path);
	file->size = (uint64_t)about.st_size;
	snprintf(file->tag, sizeof(file->tag), "\"%llx-%llx-%llx.%lx\"",
		(unsigned long long)about.st_ino, (unsigned long long)about.st_size,
		(unsigned long long)about.st_ctim.tv_sec, (unsigned long)about.st_ctim.tv_nsec);
	file->status = select_part(file, request);
	if (request->verb == HTTP_VERB_GET && (file->status == 200 || file->status == 206))
		file_read(file);
}

void file_read(struct file *file)
{
	uint64_t left = file->end - file->next;
	size_t want = left < FILE_PIECE ? (size_t)left : FILE_PIECE;
	ssize_t got;
	file->length = 0;
	while (file->length < want) {
		got = pread(file->fd, file->piece + file->length, want - file->length,
			(off_t)(file->next + file->length));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) { /* an error, or the file has become shorter */
			file->failed = true;
			break;
		}
		file->length += (size_t)got;
	}
	file->next += file->length;
}

struct file *file_new(void)
{
	struct file *file = malloc(sizeof(*file));
	if (file)
		memset(file, 0, offsetof(struct file, piece));
	if (file)
		file->fd = -1;
	return file;
}

void file_free(struct file *file)
{
	if (file && file->fd >= 0)
		close(file->fd);
	free(file);
}
