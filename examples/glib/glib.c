/* SPDX-License-Identifier: MIT */
/* A GLib main loop that a thread wakes by messages. The loop's side is in wake_source.c. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wake_source.h"

enum { NUMBERS = 1000 };

struct number {
	struct ringwake_msg msg; /* first, so that a pointer to one is a pointer to the other */
	int value;
};

static GMainLoop *loop;
static long sum;

/* The loop's thread. The memory is ours again. */
static void on_number(struct ringwake_msg *msg)
{
	struct number *number = (struct number *)msg;
	sum += number->value;
	if (number->value == NUMBERS)
		g_main_loop_quit(loop);
	free(number);
}

static void *send_numbers(void *target)
{
	for (int i = 1; i <= NUMBERS; i++) {
		struct number *number = malloc(sizeof *number);
		if (number == NULL)
			abort();
		*number = (struct number){.msg.fn = on_number, .value = i};
		ringwake_send(target, &number->msg);
	}
	return NULL;
}

int main(void)
{
	GSource *source;
	int error = wake_source_open(&source);
	if (error < 0) {
		fprintf(stderr, "wake_source_open: %s\n", strerror(-error));
		return 1;
	}
	loop = g_main_loop_new(NULL, FALSE);
	g_source_attach(source, NULL);

	pthread_t thread;
	if (pthread_create(&thread, NULL, send_numbers, wake_source_target(source)) != 0)
		return 1;
	g_main_loop_run(loop);
	pthread_join(thread, NULL);
	printf("the numbers up to %d add up to %ld\n", NUMBERS, sum);

	wake_source_close(source);
	g_main_loop_unref(loop);
	return 0;
}
