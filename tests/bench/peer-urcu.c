/* SPDX-License-Identifier: MIT */
/* liburcu's wait-free queue, with an eventfd that is written only when the queue was empty. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "peer.h"
#include "question.h"

struct loop {
	struct cds_wfcq_tail tail;
	struct cds_wfcq_head head;
	struct cds_wfcq_tail taken_tail;
	struct cds_wfcq_head taken_head;
	struct receiver receiver;
	int eventfd;
	bool stopped;
};

static struct loop *open_queue(const struct peer *peer, const struct receiver *receiver)
{
	struct loop *loop = allocate(1, sizeof *loop);
	(void)peer;
	loop->receiver = *receiver;
	cds_wfcq_init(&loop->head, &loop->tail);
	cds_wfcq_init(&loop->taken_head, &loop->taken_tail);
	loop->eventfd = (int)must(eventfd(0, EFD_CLOEXEC), "eventfd");
	return loop;
}

static void run(struct loop *loop)
{
	uint64_t value;
	while (!loop->stopped) {
		must(read(loop->eventfd, &value, sizeof value), "read");
		while (__cds_wfcq_splice_blocking(&loop->taken_head, &loop->taken_tail, &loop->head,
			       &loop->tail) != CDS_WFCQ_RET_SRC_EMPTY) {
			struct cds_wfcq_node *node;
			while ((node = __cds_wfcq_dequeue_blocking(
					&loop->taken_head, &loop->taken_tail)))
				loop->receiver.deliver(
					&caa_container_of(node, struct item, node)->msg);
		}
	}
}

static void stop(struct loop *loop)
{
	loop->stopped = true;
}

static void close_queue(struct loop *loop)
{
	close(loop->eventfd);
	free(loop);
}

static void send_message(struct loop *loop, struct item *item)
{
	uint64_t one = 1;
	cds_wfcq_node_init(&item->node);
	if (!cds_wfcq_enqueue(&loop->head, &loop->tail, &item->node))
		must(write(loop->eventfd, &one, sizeof one), "write");
}

const struct peer peer_urcu = {
	.open = open_queue, .run = run, .stop = stop, .close = close_queue, .send = send_message};
