/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <arpa/inet.h>
#include <string.h>

static const char digits[] = "0123456789";
static const char hexadecimal[] = "0123456789abcdefABCDEF";
/* unreserved and sub-delims of RFC 3986; a percent sign needs two digits after it */
static const char name_characters[] =
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	"-._~!$&'()*+,;=";

/* The text within the brackets. IPvFuture is "v", a version, a dot and a name that may have colons.
 */
static bool literal_is_valid(const char *text)
{
	struct in6_addr address;
	if (*text != 'v' && *text != 'V')
		return inet_pton(AF_INET6, text, &address) == 1;
	size_t version = strspn(++text, hexadecimal);
	if (version == 0 || text[version] != '.')
		return false;
	const char *rest = text + version + 1;
	const char *at = rest;
	while (*at == ':' || (*at && strchr(name_characters, *at)))
		at++;
	return at > rest && *at == '\0';
}

static bool port_is_valid(const char *text)
{
	return *text == '\0' || (*text == ':' && text[1 + strspn(text + 1, digits)] == '\0');
}

bool host_is_valid(const char *value, size_t length)
{
	char text[512];
	while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
		length--;
	if (length >= sizeof(text) || memchr(value, '\0', length))
		return false;
	memcpy(text, value, length);
	text[length] = '\0';
	char *at = text;
	if (*at == '[') {
		char *end = strchr(++at, ']');
		if (!end)
			return false;
		*end = '\0';
		return literal_is_valid(at) && port_is_valid(end + 1);
	}
	for (;;) {
		at += strspn(at, name_characters);
		if (*at != '%')
			return port_is_valid(at);
		if (strspn(at + 1, hexadecimal) < 2)
			return false;
		at += 3;
	}
}
