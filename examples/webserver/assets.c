/* SPDX-License-Identifier: MIT */
#include "assets.h"

/* The assembler looks for the file in the directories of -I, as the compiler does. */
#define ASSET(name, file)                                                                          \
	__asm__(".section .rodata\n" #name "_begin: .incbin \"" file "\"\n" #name                  \
		"_end: .byte 0\n.previous\n");                                                     \
	extern const char name##_begin[], name##_end[];                                            \
	struct asset asset_##name(void)                                                            \
	{                                                                                          \
		return (struct asset){name##_begin, (size_t)(name##_end - name##_begin)};          \
	}

ASSET(html, "page.html")
ASSET(css, "page.css")
ASSET(js, "page.js")
