/* SPDX-License-Identifier: MIT */
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define BACKLOG 511

/* Held for writing by a loop that has given up its spare descriptor: no other loop may take it. */
static pthread_rwlock_t accepting = PTHREAD_RWLOCK_INITIALIZER;

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Linux checks the option when a later socket binds, so the first one may set it afterwards. */
static bool bind_and_listen(int fd, const struct sockaddr *at, socklen_t size, enum sharing sharing)
{
	int yes = sharing != SHARING_NONE;
	if (sharing == SHARING_NEXT)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
	if (bind(fd, at, size) != 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes));
	return listen(fd, BACKLOG) == 0;
}

int listener_open(
	struct listener *listener, const struct sockaddr_storage *at, enum sharing sharing)
{
	socklen_t size = at->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						   : sizeof(struct sockaddr_in);
	int yes = 1;
	int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); /* inherited, on Linux */
	if (!bind_and_listen(fd, (const struct sockaddr *)at, size, sharing)) {
		int error = -errno;
		close(fd);
		return error;
	}
	*listener = (struct listener){.fd = fd, .spare = open_spare()};
	return 0;
}

void listener_close(struct listener *listener)
{
	if (listener->fd >= 0)
		close(listener->fd);
	if (listener->spare >= 0)
		close(listener->spare);
}

static int accept_client(struct listener *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

int listener_accept(struct listener *listener)
{
	pthread_rwlock_rdlock(&accepting);
	int fd = accept_client(listener);
	pthread_rwlock_unlock(&accepting);
	return fd;
}

bool listener_shed(struct listener *listener)
{
	pthread_rwlock_wrlock(&accepting);
	if (listener->spare >= 0)
		close(listener->spare);
	int fd = accept_client(listener);
	if (fd >= 0)
		close(fd);
	listener->spare = open_spare();
	pthread_rwlock_unlock(&accepting);
	return fd >= 0;
}

/* The filter sees each segment for the listener, from the TCP header on, and drops those with SYN.
 */
void listener_seal(struct listener *listener)
{
	enum { FLAGS = 13, SYN = 2 };
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};
	setsockopt(listener->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
	listener->sealed = true;
}

static bool has_handshake(const char *table, unsigned port)
{
	FILE *lines = fopen(table, "re");
	bool found = false;
	for (char line[256]; lines && !found && fgets(line, sizeof(line), lines);) {
		unsigned local, state;
		found = sscanf(line, "%*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x", &local, &state) == 2 &&
			local == port && state == TCP_SYN_RECV;
	}
	if (lines)
		fclose(lines);
	return found;
}

bool listener_has_handshakes(const struct listener *listener)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at = {0};
	socklen_t size = sizeof(at);
	getsockname(listener->fd, &at.any, &size);
	return at.any.sa_family == AF_INET6
		? has_handshake("/proc/net/tcp6", ntohs(at.v6.sin6_port))
		: has_handshake("/proc/net/tcp", ntohs(at.v4.sin_port));
}

void listener_shut(struct listener *listener)
{
	shutdown(listener->fd, SHUT_RDWR);
	listener->shut = true;
}
