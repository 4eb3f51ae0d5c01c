/* SPDX-License-Identifier: MIT */
/*
 * Some programs and modules, such as Perl's EV, contain libev's source and do not export its
 * symbols. Every libev that has ev_async contains this text, which it passes to perror().
 */
#include "copies.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char text[] = "(libev) error creating signal/async pipe";

static bool lies_in(const struct dl_phdr_info *object, const void *address)
{
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		const char *begin = (const char *)object->dlpi_addr + part->p_vaddr;
		if (part->p_type == PT_LOAD && (const char *)address >= begin &&
			(const char *)address < begin + part->p_memsz)
			return true;
	}
	return false;
}

static bool has_text(const struct dl_phdr_info *object)
{
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];
		const char *begin = (const char *)object->dlpi_addr + part->p_vaddr;
		if (part->p_type == PT_LOAD && part->p_flags & PF_R &&
			memmem(begin, part->p_filesz, text, sizeof text))
			return true;
	}
	return false;
}

static int report(struct dl_phdr_info *object, size_t size, void *known)
{
	(void)size;
	if (lies_in(object, text) || (known && lies_in(object, known)) || !has_text(object))
		return 0;
	fprintf(stderr, "ringwake-ev: %s has a libev of its own, whose loops stay as they are\n",
		*object->dlpi_name ? object->dlpi_name : "the program");
	return 0;
}

void ringwake_ev_report_copies(const void *known)
{
	dl_iterate_phdr(report, (void *)known);
}
