/* SPDX-License-Identifier: MIT */
/* Writes the two pages that show figures into site->page. */
#ifndef WEBSERVER_PAGES_H
#define WEBSERVER_PAGES_H

#include "handlers.h"

/* The name of a row of site->requests. */
const char *site_path_name(unsigned path);

void page_home(struct site *site);
void page_metrics(struct site *site);

#endif
