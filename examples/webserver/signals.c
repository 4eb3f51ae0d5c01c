/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t signals_to_stop(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return set;
}

/* Blocks the signals, so that they are read from a signalfd, even if the shell ignores them. */
int signals_open(struct signals *signals, bool several_loops)
{
	sigset_t set = signals_to_stop();
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	*signals = (struct signals){signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), -1};
	if (signals->signalfd < 0)
		return -errno;
	if (several_loops && (signals->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
		return -errno;
	return 0;
}

void signals_close(struct signals *signals)
{
	if (signals->signalfd >= 0)
		close(signals->signalfd);
	if (signals->eventfd >= 0)
		close(signals->eventfd);
}

/* Unblocks the signals for the main thread: the next one ends the process. */
static void release(void)
{
	sigset_t set = signals_to_stop();
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

bool signals_arrived(struct signals *signals, int fd)
{
	struct signalfd_siginfo info;
	if (fd == signals->eventfd)
		return true;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return false;
	if (signals->eventfd >= 0)
		eventfd_write(signals->eventfd, 1);
	release();
	return true;
}
