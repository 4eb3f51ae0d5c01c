/* SPDX-License-Identifier: MIT */
/* An sd-event loop that a thread wakes by messages. The loop's side is in wake_event.c. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wake_event.h"

enum { NUMBERS = 1000 };

struct number {
	struct ringwake_msg msg; /* first, so that a pointer to one is a pointer to the other */
	int value;
};

static sd_event *event;
static long sum;

/* The loop's thread. The memory is ours again. */
static void on_number(struct ringwake_msg *msg)
{
	struct number *number = (struct number *)msg;
	sum += number->value;
	if (number->value == NUMBERS)
		sd_event_exit(event, 0);
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

static int on_exit_of_loop(sd_event_source *source, void *wake)
{
	(void)source;
	wake_event_close(wake);
	return 0;
}

int main(void)
{
	struct wake_event wake;
	int error = sd_event_new(&event);
	if (error >= 0)
		error = wake_event_open(&wake, event);
	if (error >= 0)
		error = sd_event_add_exit(event, NULL, on_exit_of_loop, &wake);
	if (error < 0) {
		fprintf(stderr, "no loop, or no target on it: %s\n", strerror(-error));
		return 1;
	}

	pthread_t thread;
	struct ringwake *target = ringwake_ref(wake.target); /* the loop may close it first */
	if (pthread_create(&thread, NULL, send_numbers, target) != 0)
		return 1;
	error = sd_event_loop(event);
	pthread_join(thread, NULL);
	ringwake_unref(target);
	printf("the numbers up to %d add up to %ld\n", NUMBERS, sum);

	sd_event_unref(event);
	return error < 0;
}
