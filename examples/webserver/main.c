/* SPDX-License-Identifier: MIT */
#include "digest.h"
#include "file.h"
#include "group.h"
#include "loop.h"
#include "work.h"

#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: %s [OPTION]...\n"
	"Serves /, /digest?bytes=N, /gzip, /metrics, /healthz, /events and /load over HTTP until "
	"SIGINT or SIGTERM.\n"
	"\n"
	"  --port N        port to listen on, 0 for any free port (8080)\n"
	"  --bind ADDRESS  IPv4 or IPv6 address to listen on (127.0.0.1)\n"
	"  --loop NAME     loop that runs the server: uv, uv-ring, ev or ring (the first that is "
	"built "
	"in)\n"
	"  --wake NAME     what wakes the loop when a worker is done: ringwake, or native, which "
	"is "
	"the\n"
	"                  loop's own way, for --loop uv (ringwake)\n"
	"  --loops N       loops, at most %d, each with a thread of its own; they share the "
	"workers "
	"(1)\n"
	"  --workers N     worker threads, 0 for one per processor (0)\n"
	"  --path PATH     how ringwake wakes the loop: auto, msg_ring or eventfd (auto)\n"
	"  --event-interval N\n"
	"                  milliseconds between two events of /events (1000)\n"
	"  --log FILE      append a line for each response to this file; if the disk is slow, "
	"lines\n"
	"                  are lost\n"
	"  --peer ORIGIN   a second server, as http://HOST:PORT, whose figures the page shows as "
	"well\n"
	"  --root DIR      directory whose files are served, too (none)\n"
	"  --timeout N     seconds allowed for a request, for its response, and between requests "
	"(10)\n"
	"  --help          print this help and exit\n"
	"  --version       print the version and exit\n";

/* Parses optarg, the value of --NAME. */
static bool parse_number(
	const char *name, unsigned long least, unsigned long most, unsigned *number)
{
	char *end;
	unsigned long value = strtoul(optarg, &end, 10);
	if (*optarg < '0' || *optarg > '9' || *end != '\0' || value < least || value > most) {
		fprintf(stderr, "--%s=%s: use a number from %lu to %lu\n", name, optarg, least,
			most);
		return false;
	}
	*number = (unsigned)value;
	return true;
}

/* uv-ring is the libuv loop on its target's io_uring. The first one is the default. */
static const struct loop_type *const loops[] = {
#ifdef WITH_UV
	&loop_uv,
	&loop_uv_ring,
#endif
#ifdef WITH_EV
	&loop_ev,
#endif
	&loop_ring,
};

#define LOOPS (sizeof(loops) / sizeof(loops[0]))

static bool find_loop(const char *name, const struct loop_type **loop)
{
	for (unsigned i = 0; i < LOOPS; i++) {
		if (strcmp(name, loops[i]->name) == 0) {
			*loop = loops[i];
			return true;
		}
	}
	fprintf(stderr, "--loop=%s: not a loop of this program; use", name);
	for (unsigned i = 0; i < LOOPS; i++)
		fprintf(stderr, " %s", loops[i]->name);
	fprintf(stderr, "\n");
	return false;
}

static bool find_wake(const char *name, struct server_options *options)
{
	bool native = strcmp(name, "native") == 0;
	options->work = native ? options->loop->native : &work_ringwake;
	if (native && !options->work)
		fprintf(stderr, "--wake=native: not with --loop %s; use --loop uv\n",
			options->loop->name);
	else if (!native && strcmp(name, "ringwake") != 0)
		fprintf(stderr, "--wake=%s: not a way to wake; use ringwake or native\n", name);
	else
		return true;
	return false;
}

/* It becomes a part of header fields. */
static bool is_origin(const char *text)
{
	static const char scheme[] = "http://";
	static const char host[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]";
	size_t length = strlen(text);
	bool good = strncmp(text, scheme, strlen(scheme)) == 0 && length > strlen(scheme) &&
		length < 100 && strspn(text + strlen(scheme), host) == length - strlen(scheme);
	if (!good)
		fprintf(stderr, "--peer=%s: use http://HOST:PORT\n", text);
	return good;
}

static bool parse_address(const char *text, unsigned port, struct sockaddr_storage *address)
{
	static const struct addrinfo numeric = {
		.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
	char service[8];
	struct addrinfo *found;
	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(text, service, &numeric, &found) != 0)
		return false;
	memset(address, 0, sizeof(*address));
	memcpy(address, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return true;
}

static void announce(const struct sockaddr_storage *address, const char *path)
{
	char host[INET6_ADDRSTRLEN], port[8];
	getnameinfo((const struct sockaddr *)address, sizeof(*address), host, sizeof(host), port,
		sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	printf(address->ss_family == AF_INET6 ? "listening on http://[%s]:%s path=%s\n"
					      : "listening on http://%s:%s path=%s\n",
		host, port, path);
	fflush(stdout);
}

static bool parse_options(int argc, char **argv, struct server_options *options)
{
	static const struct option names[] = {
		{"port", required_argument, NULL, 'p'},
		{"bind", required_argument, NULL, 'b'},
		{"loop", required_argument, NULL, 'l'},
		{"wake", required_argument, NULL, 'W'},
		{"loops", required_argument, NULL, 'n'},
		{"workers", required_argument, NULL, 'w'},
		{"path", required_argument, NULL, 'P'},
		{"event-interval", required_argument, NULL, 'e'},
		{"log", required_argument, NULL, 'o'},
		{"peer", required_argument, NULL, 'O'},
		{"root", required_argument, NULL, 'r'},
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	const char *bind = "127.0.0.1";
	const char *wake = "ringwake";
	unsigned port = 8080;
	options->loop = loops[0];
	options->loops = 1;
	options->path = "auto";
	options->peer = "";
	options->event_interval = 1000;
	options->root = -1;
	options->timeout = 10;
	int index = 0;
	for (int option; (option = getopt_long(argc, argv, "", names, &index)) != -1;) {
		const char *name = names[index].name;
		bool good = true;
		switch (option) {
		case 'p':
			good = parse_number(name, 0, 65535, &port);
			break;
		case 'b':
			bind = optarg;
			break;
		case 'l':
			good = find_loop(optarg, &options->loop);
			break;
		case 'W':
			wake = optarg;
			break;
		case 'n':
			good = parse_number(name, 1, WORK_LOOPS_MAX, &options->loops);
			break;
		case 'w':
			good = parse_number(name, 0, 1024, &options->workers);
			break;
		case 'P':
			options->path = optarg;
			break;
		case 'e':
			good = parse_number(name, 1, 60000, &options->event_interval);
			break;
		case 'o':
			options->log = optarg;
			break;
		case 'O':
			good = is_origin(optarg);
			options->peer = optarg;
			break;
		case 'r':
			options->root = file_open_root(optarg);
			good = options->root >= 0;
			break;
		case 't':
			good = parse_number(name, 1, 3600, &options->timeout);
			break;
		case 'h':
			printf(usage, argv[0], WORK_LOOPS_MAX);
			exit(EXIT_SUCCESS);
		case 'v':
			printf("webserver with ringwake %s\n", ringwake_version_string());
			exit(EXIT_SUCCESS);
		default:
			return false;
		}
		if (!good)
			return false;
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument: %s\n", argv[0], argv[optind]);
		return false;
	}
	if (!parse_address(bind, port, &options->address)) {
		fprintf(stderr, "--bind=%s: use an IPv4 or IPv6 address\n", bind);
		return false;
	}
	return find_wake(wake, options);
}

int main(int argc, char **argv)
{
	struct server_options options = {0};
	/* For getopt_long(), too. The whole path is that of a program that libtool hides. */
	argv[0] = program_invocation_short_name;
	if (!parse_options(argc, argv, &options)) {
		fprintf(stderr, "Try '%s --help'.\n", argv[0]);
		return 2;
	}
	if (!options.work->path_is_good(options.path))
		return EXIT_FAILURE;
	if (strcmp(options.path, "auto") != 0) /* also for the threads of /events and --log */
		setenv("RINGWAKE_PATH", options.path, 1);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* --log: the file would become too large */
	if (!digest_open()) {
		fprintf(stderr, "%s: no SHA-256 in libcrypto\n", argv[0]);
		return EXIT_FAILURE;
	}
	int error = group_run(&options, announce);
	digest_close();
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
