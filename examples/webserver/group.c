/* SPDX-License-Identifier: MIT */
/*
 * One server for each loop: the first one on the main thread, each other one on a thread of its
 * own. A connection stays with the loop that accepted it, and the pool sends each completion there,
 * so loops share no connection and need no lock.
 *
 * The servers open one after another, each on its own thread. They run only if all could open.
 */
#include "group.h"
#include "ticker.h"
#include "work.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct group;

struct member {
	struct server server;
	struct group *group;
	pthread_t thread;
	sem_t opened;
	int error; /* of server_open() */
};

struct group {
	const struct server_options *options;
	struct signals signals;
	struct work_pool *pool;
	struct ticker *ticker;
	struct access_log *log;
	sem_t decided; /* whether to run */
	bool run;
	unsigned threads;
	struct member *members;
};

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore) != 0)
		;
}

static void *serve(void *argument)
{
	struct member *member = argument;
	struct group *group = member->group;
	member->error = server_open(&member->server, group->options);
	sem_post(&member->opened);
	wait_for(&group->decided);
	if (group->run)
		server_run(&member->server);
	server_close(&member->server);
	return NULL;
}

static int start_thread(struct group *group, struct member *member)
{
	sem_init(&member->opened, 0, 0);
	int error = pthread_create(&member->thread, NULL, serve, member);
	if (error) {
		fprintf(stderr, "cannot start a thread for each loop: %s\n", strerror(error));
		return -error;
	}
	group->threads++;
	wait_for(&member->opened);
	return member->error;
}

static void prepare(struct group *group)
{
	unsigned count = group->options->loops;
	for (unsigned i = 0; i < count; i++) {
		struct member *member = &group->members[i];
		struct server *server = &member->server;
		member->group = group;
		server->pool = group->pool;
		server->signals = &group->signals;
		server->site.log = group->log;
		server->site.root = group->options->root;
		server->site.peer = group->options->peer;
		server->stop_fd = i == 0 ? group->signals.signalfd : group->signals.eventfd;
		server->sharing = count == 1 ? SHARING_NONE : i == 0 ? SHARING_FIRST : SHARING_NEXT;
		server->site.first = &group->members[0].server.site;
		server->site.next = i + 1 < count ? &group->members[i + 1].server.site : NULL;
	}
	group->members[0].server.address = group->options->address;
}

static int open_servers(struct group *group)
{
	struct server *first = &group->members[0].server;
	int error = server_open(first, group->options);
	if (error)
		return error;
	socklen_t size = sizeof(first->address); /* with the port that the kernel chose */
	getsockname(first->listener.fd, (struct sockaddr *)&first->address, &size);
	for (unsigned i = 1; i < group->options->loops && !error; i++) {
		group->members[i].server.address = first->address;
		error = start_thread(group, &group->members[i]);
	}
	return error;
}

/* The ticker uses the channels, and the channels' memory is the servers'. */
static void close_servers(struct group *group)
{
	if (group->ticker)
		ticker_stop(group->ticker);
	for (unsigned i = 1; i <= group->threads; i++) {
		pthread_join(group->members[i].thread, NULL);
		sem_destroy(&group->members[i].opened);
	}
	server_close(&group->members[0].server);
	for (unsigned i = 0; i <= group->threads; i++)
		events_close(&group->members[i].server.site.events);
}

static int open_ticker(struct group *group)
{
	struct site *first = &group->members[0].server.site;
	if (!first->events.channel)
		return 0;
	int error = ticker_open(&group->ticker, group->options->event_interval, first);
	if (error)
		fprintf(stderr, "cannot start the thread of /events: %s\n", strerror(-error));
	return error;
}

static int open_log(struct group *group)
{
	const char *file = group->options->log;
	int error = file ? access_log_open(&group->log, file) : 0;
	if (error)
		fprintf(stderr, "--log=%s: %s\n", file,
			error == -ENXIO ? "it is a socket, or a pipe that no process reads"
					: strerror(-error));
	return error;
}

static int open_shared(struct group *group)
{
	const char *failed = "signals"; /* before there are threads, which inherit the mask */
	int error = signals_open(&group->signals, group->options->loops > 1);
	if (!error) {
		failed = "cannot start the workers";
		error = group->options->work->open(&group->pool, group->options->workers);
	}
	if (!error && !(group->members = calloc(group->options->loops, sizeof(struct member))))
		error = -ENOMEM;
	if (error)
		fprintf(stderr, "%s: %s\n", failed, strerror(-error));
	return error ? error : open_log(group);
}

static void close_shared(struct group *group)
{
	const char *file = group->options->log;
	if (group->log && !access_log_close(group->log))
		fprintf(stderr, "--log=%s: too slow; the last lines are lost\n", file);
	free(group->members);
	if (group->ticker)
		ticker_close(group->ticker);
	if (group->pool)
		group->pool->type->close(group->pool);
	signals_close(&group->signals);
}

static int run_servers(struct group *group,
	void (*ready)(const struct sockaddr_storage *address, const char *path))
{
	struct server *first = &group->members[0].server;
	prepare(group);
	int error = open_servers(group);
	if (!error)
		error = open_ticker(group);
	group->run = error == 0;
	if (group->run)
		ready(&first->address, first->site.link->type->path(first->site.link));
	for (unsigned i = 0; i < group->threads; i++)
		sem_post(&group->decided);
	if (group->run)
		server_run(first);
	close_servers(group);
	return error;
}

int group_run(const struct server_options *options,
	void (*ready)(const struct sockaddr_storage *address, const char *path))
{
	struct group group = {.options = options};
	sem_init(&group.decided, 0, 0);
	int error = open_shared(&group);
	if (!error)
		error = run_servers(&group, ready);
	close_shared(&group);
	sem_destroy(&group.decided);
	return error;
}
