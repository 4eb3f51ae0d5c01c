/* SPDX-License-Identifier: MIT */
/* The two pages with figures, written into site->page. */
#ifndef WEBSERVER_PAGES_H
#define WEBSERVER_PAGES_H

#include "handlers.h"

/* What the rows and columns of site->requests stand for. */
const char *site_path_name(unsigned path);
int site_status(unsigned index);

void page_home(struct site *site);
void page_metrics(struct site *site);

#endif
