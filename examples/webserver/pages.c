/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include <stddef.h>
#include <string.h>

/* The sum of all loops. */
#define SUM(site, counters) sum_at((site)->first, offsetof(struct site, counters))

static uint64_t sum_at(const struct site *first, size_t offset)
{
	uint64_t total = 0;
	for (const struct site *site = first; site; site = site->next)
		total += counter_get((const struct counter *)((const char *)site + offset));
	return total;
}

unsigned site_figures(const struct site *site, struct figure figures[FIGURES_MAX])
{
	const struct figure own[] = {
		{"webserver_open_connections", "Connections that are open.",
			SUM(site, connections_open)},
		{"webserver_connections_total", "Connections accepted.",
			SUM(site, connections_accepted)},
		{"webserver_connections_refused_total",
			"Clients refused because memory or descriptors ran out.",
			SUM(site, connections_refused)},
		{"webserver_timeouts_total", "Connections closed because the client was slow.",
			SUM(site, connections_timed_out)},
		{"webserver_work_submitted_total", "Pieces of work handed to the workers.",
			SUM(site, work_submitted)},
		{"webserver_work_completed_total", "Pieces of work that are done.",
			SUM(site, work_completed)},
		{"webserver_event_clients", "Clients that read /events.",
			SUM(site, events.clients)},
		{"webserver_events_total", "Events sent to clients.", SUM(site, events.sent)},
		{"webserver_events_lost_total", "Events lost because a client or a loop was slow.",
			SUM(site, events.lost) + SUM(site, events.missed)},
		{"webserver_log_lines_lost_total",
			"Lines of the access log lost because the disk was slow or full.",
			site->log ? access_log_lost(site->log) : 0},
	};
	memcpy(figures, own, sizeof(own));
	enum { count = sizeof(own) / sizeof(own[0]) };
	_Static_assert(count + WORK_FIGURES_MAX <= FIGURES_MAX, "room for all");
	return count + site->link->type->figures(site->link, figures + count);
}

uint64_t site_requests(const struct site *site)
{
	uint64_t total = 0;
	for (unsigned path = 0; path < SITE_PATHS; path++) {
		for (unsigned i = 0; i < HTTP_STATUSES; i++)
			total += SUM(site, requests[path][i]);
	}
	return total;
}

static const char *figure_type(const char *name)
{
	static const char total[] = "_total";
	size_t length = strlen(name);
	bool counter = length > strlen(total) && strcmp(name + length - strlen(total), total) == 0;
	return counter ? "counter" : "gauge";
}

static void metric_head(struct buffer *page, const char *name, const char *help, const char *type)
{
	buffer_text(page, "# HELP ");
	buffer_text(page, name);
	buffer_text(page, " ");
	buffer_text(page, help);
	buffer_text(page, "\n# TYPE ");
	buffer_text(page, name);
	buffer_text(page, " ");
	buffer_text(page, type);
	buffer_text(page, "\n");
}

static void label(struct buffer *page, const char *name, const char *value)
{
	buffer_text(page, name);
	buffer_text(page, "=\"");
	buffer_text(page, value);
	buffer_text(page, "\"");
}

static void requests(struct site *site)
{
	static const char name[] = "webserver_requests_total";
	struct buffer *page = &site->page;
	metric_head(page, name, "Requests answered.", "counter");
	for (unsigned path = 0; path < SITE_PATHS; path++) {
		for (unsigned i = 0; i < HTTP_STATUSES; i++) {
			uint64_t number = SUM(site, requests[path][i]);
			if (number == 0)
				continue;
			buffer_text(page, name);
			label(page, "{path", site_path_name(path));
			buffer_text(page, ",status=\"");
			buffer_number(page, (uint64_t)http_reasons[i].status);
			buffer_text(page, "\"} ");
			buffer_number(page, number);
			buffer_text(page, "\n");
		}
	}
}

/* Prometheus wants seconds. */
static void seconds(struct buffer *page, uint64_t ns)
{
	static const uint64_t second = 1000000000;
	buffer_number(page, ns / second);
	buffer_text(page, ".");
	for (uint64_t unit = second / 10; unit > 0; unit /= 10)
		buffer_number(page, ns / unit % 10);
}

/* The start of one line of a histogram. */
static void series(struct buffer *page, const char *name, const char *rest)
{
	buffer_text(page, name);
	buffer_text(page, rest);
}

static void number_line(struct buffer *page, uint64_t number)
{
	buffer_number(page, number);
	buffer_text(page, "\n");
}

static void work_times(struct buffer *page, const struct work_times *times)
{
	metric_head(page, times->name, times->help, "histogram");
	for (unsigned i = 0; i < WORK_BOUNDS; i++) {
		series(page, times->name, "_bucket{le=\"");
		seconds(page, UINT64_C(1) << (WORK_FIRST_BOUND + i));
		buffer_text(page, "\"} ");
		number_line(page, times->at_most[i]);
	}
	series(page, times->name, "_bucket{le=\"+Inf\"} ");
	number_line(page, times->count);
	series(page, times->name, "_sum ");
	seconds(page, times->sum);
	buffer_text(page, "\n");
	series(page, times->name, "_count ");
	number_line(page, times->count);
}

void page_metrics(struct site *site)
{
	struct buffer *page = &site->page;
	struct figure figures[FIGURES_MAX];
	unsigned count = site_figures(site, figures);
	metric_head(page, "webserver_info", "The server's libraries, and how its loop is woken.",
		"gauge");
	label(page, "webserver_info{path", site->link->type->path(site->link));
	label(page, ",loop", site->loop);
	label(page, ",parser", http_grammar_name());
	buffer_text(page, ",load_seconds=\"");
	buffer_number(page, LOAD_SECONDS);
	buffer_text(page, "\"");
	if (*site->peer)
		label(page, ",peer", site->peer);
	buffer_text(page, "} 1\n");
	requests(site);
	for (unsigned i = 0; i < count; i++) {
		metric_head(page, figures[i].name, figures[i].help, figure_type(figures[i].name));
		buffer_text(page, figures[i].name);
		buffer_text(page, " ");
		buffer_number(page, figures[i].value);
		buffer_text(page, "\n");
	}
	struct work_times times[WORK_TIMES_MAX];
	count = site->link->type->times(site->link, times);
	for (unsigned i = 0; i < count; i++)
		work_times(page, &times[i]);
}
