/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <unistd.h>

#include "machine.h"

static void *run_host(void *argument)
{
	struct host *host = argument;
	host->id = gettid();
	host->loop = host->peer->open(host->peer, &host->receiver);
	pthread_barrier_wait(&host->barrier);
	effort_begin(&host->effort, host->counts_calls);
	host->peer->run(host->loop);
	effort_end(&host->effort);
	pthread_barrier_wait(&host->barrier); /* this loop has stopped */
	pthread_barrier_wait(&host->barrier); /* all senders have returned */
	host->peer->close(host->loop);
	return NULL;
}

void start_host(struct host *host, int processor)
{
	pthread_barrier_init(&host->barrier, NULL, 2);
	host->thread = start_thread(run_host, host, processor);
	pthread_barrier_wait(&host->barrier);
}

void end_hosts(struct host *hosts, int count)
{
	for (int i = 0; i < count; i++)
		pthread_barrier_wait(&hosts[i].barrier);
	for (int i = 0; i < count; i++) {
		pthread_barrier_wait(&hosts[i].barrier);
		pthread_join(hosts[i].thread, NULL);
		pthread_barrier_destroy(&hosts[i].barrier);
	}
}
