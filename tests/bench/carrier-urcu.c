/* SPDX-License-Identifier: MIT */
/* liburcu's wait-free queue, with an eventfd that is written only when the queue was empty. */
#include "carrier.h"

#ifdef HAVE_URCU
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "question.h"

struct loop {
	struct cds_wfcq_tail tail;
	struct cds_wfcq_head head;
	struct cds_wfcq_tail taken_tail;
	struct cds_wfcq_head taken_head;
	int eventfd;
	deliver_function deliver;
	bool stopped;
};

static void *open_queue(deliver_function deliver)
{
	struct loop *loop = calloc(1, sizeof *loop);
	check(loop != NULL, "memory");
	loop->deliver = deliver;
	cds_wfcq_init(&loop->head, &loop->tail);
	cds_wfcq_init(&loop->taken_head, &loop->taken_tail);
	loop->eventfd = (int)must(eventfd(0, EFD_CLOEXEC), "eventfd");
	return loop;
}

static void run(void *argument)
{
	struct loop *loop = argument;
	uint64_t value;
	while (!loop->stopped) {
		must(read(loop->eventfd, &value, sizeof value), "read");
		while (__cds_wfcq_splice_blocking(&loop->taken_head, &loop->taken_tail, &loop->head,
			       &loop->tail) != CDS_WFCQ_RET_SRC_EMPTY) {
			struct cds_wfcq_node *node;
			while ((node = __cds_wfcq_dequeue_blocking(
					&loop->taken_head, &loop->taken_tail)))
				loop->deliver(&caa_container_of(node, struct item, node)->msg);
		}
	}
}

static void stop(void *argument)
{
	struct loop *loop = argument;
	loop->stopped = true;
}

static void close_queue(void *argument)
{
	struct loop *loop = argument;
	close(loop->eventfd);
	free(loop);
}

static void send(void *argument, struct item *item)
{
	struct loop *loop = argument;
	uint64_t one = 1;
	cds_wfcq_node_init(&item->node);
	if (!cds_wfcq_enqueue(&loop->head, &loop->tail, &item->node))
		must(write(loop->eventfd, &one, sizeof one), "write");
}

const struct carrier carrier_urcu = {open_queue, run, stop, close_queue, send, false};
#endif
