/* SPDX-License-Identifier: MIT */
/* The figures, and the page /metrics, which is written into site->page. */
#ifndef WEBSERVER_PAGES_H
#define WEBSERVER_PAGES_H

#include "handlers.h"

/* The name of a row of site->requests. */
const char *site_path_name(unsigned path);

/* Collects all figures of all loops. Any thread may call it while the loops are open. */
#define FIGURES_MAX (10 + WORK_FIGURES_MAX)
unsigned site_figures(const struct site *site, struct figure figures[FIGURES_MAX]);

/* The number of all responses. Any thread may call it. */
uint64_t site_requests(const struct site *site);

void page_metrics(struct site *site);

#endif
