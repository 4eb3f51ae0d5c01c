/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define BACKLOG 511

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int listener_open(struct listener *listener, const struct sockaddr_storage *at, int flags)
{
	socklen_t size = at->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						   : sizeof(struct sockaddr_in);
	int yes = 1;
	int fd = socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* inherited, on Linux */
	if (bind(fd, (const struct sockaddr *)at, size) != 0 || listen(fd, BACKLOG) != 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	listener->fd = fd;
	listener->spare = open_spare();
	return 0;
}

void listener_close(struct listener *listener)
{
	close(listener->fd);
	if (listener->spare >= 0)
		close(listener->spare);
}

bool listener_shed(struct listener *listener)
{
	if (listener->spare >= 0)
		close(listener->spare);
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	listener->spare = open_spare();
	return fd >= 0;
}
