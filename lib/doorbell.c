/* SPDX-License-Identifier: MIT */
/* Chooses the form of a doorbell, and calls its operations. */
#include "doorbell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "form.h"
#include "wipeonfork.h"

static int path_from_environment(enum ringwake_path *path)
{
	const char *name = secure_getenv("RINGWAKE_PATH");
	if (name == NULL || strcmp(name, "") == 0 || strcmp(name, "auto") == 0)
		return 0;
	if (strcmp(name, "msg_ring") == 0)
		*path = RINGWAKE_PATH_MSG_RING;
	else if (strcmp(name, "eventfd") == 0)
		*path = RINGWAKE_PATH_EVENTFD;
	else
		return -EINVAL;
	return 0;
}

static int open_form(struct doorbell *doorbell, const struct doorbell_form *form)
{
	doorbell->form = form;
	return form->open(doorbell);
}

static int open_path(struct doorbell *doorbell, enum ringwake_path path)
{
	bool shares = doorbell->application != NULL;
	const struct doorbell_form *msg_ring =
		shares ? &ringwake_form_msg_ring : &ringwake_form_own_ring;
	const struct doorbell_form *eventfd =
		shares ? &ringwake_form_watch : &ringwake_form_eventfd;
	switch (path) {
	case RINGWAKE_PATH_MSG_RING:
		return open_form(doorbell, msg_ring);
	case RINGWAKE_PATH_EVENTFD:
		return open_form(doorbell, eventfd);
	case RINGWAKE_PATH_AUTO:
		return open_form(doorbell, msg_ring) < 0 ? open_form(doorbell, eventfd) : 0;
	}
	return -EINVAL;
}

int ringwake_doorbell_open(struct doorbell *doorbell, struct io_uring *ring,
	enum ringwake_path path, uint64_t user_data)
{
	int error = 0;
	if (path == RINGWAKE_PATH_AUTO)
		error = path_from_environment(&path);
	if (error == 0 && ring != NULL)
		error = ringwake_ring_check(ring);
	if (error < 0)
		return error;

	doorbell->application = doorbell->ring = ring;
	doorbell->user_data = user_data;
	doorbell->request = ringwake_wipeonfork_alloc();
	if (doorbell->request == NULL)
		return -ENOMEM;
	error = open_path(doorbell, path);
	if (error < 0)
		ringwake_wipeonfork_free(doorbell->request);
	return error;
}

enum ringwake_path ringwake_doorbell_path(const struct doorbell *doorbell)
{
	return doorbell->form->path;
}

int ringwake_doorbell_fd(const struct doorbell *doorbell)
{
	const struct io_uring *ring = doorbell->application;
	if (ring == NULL)
		return doorbell->fd;
	return ring->flags & IORING_SETUP_DEFER_TASKRUN ? -EOPNOTSUPP : ring->ring_fd;
}

int ringwake_doorbell_notify(const struct doorbell *doorbell)
{
	return doorbell->form->notify(doorbell);
}

int ringwake_doorbell_post(const struct doorbell *doorbell, uint64_t user_data, int32_t result)
{
	if (doorbell->form->post == NULL)
		return -EOPNOTSUPP;
	return doorbell->form->post(doorbell, user_data, result);
}

int ringwake_doorbell_prepare(struct doorbell *doorbell)
{
	return doorbell->form->prepare ? doorbell->form->prepare(doorbell) : 1;
}

bool ringwake_doorbell_may_block(
	const struct doorbell *doorbell, unsigned completions, bool is_armed)
{
	return doorbell->form->may_block == NULL ||
		doorbell->form->may_block(doorbell, completions, is_armed);
}

int ringwake_doorbell_block(struct doorbell *doorbell, unsigned completions, int64_t timeout_ns)
{
	return ringwake_unless_dropped(doorbell->form->block(doorbell, completions, timeout_ns));
}

void ringwake_doorbell_consume(
	struct doorbell *doorbell, uint32_t calls, const _Atomic uint32_t *gate)
{
	if (doorbell->form->consume)
		doorbell->form->consume(doorbell, calls, gate);
}

bool ringwake_doorbell_recognise(struct doorbell *doorbell, const struct io_uring_cqe *completion)
{
	if (completion->user_data != doorbell->user_data)
		return false;
	ringwake_doorbell_note(doorbell, completion);
	return true;
}

void ringwake_doorbell_close(struct doorbell *doorbell)
{
	if (doorbell->form->close)
		doorbell->form->close(doorbell);
	ringwake_doorbell_abandon(doorbell);
}

void ringwake_doorbell_abandon(struct doorbell *doorbell)
{
	if (doorbell->form->abandon)
		doorbell->form->abandon(doorbell);
	ringwake_wipeonfork_free(doorbell->request);
}
