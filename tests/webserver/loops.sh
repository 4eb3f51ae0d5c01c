# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: several loops that share a port and the workers.

ok "it refuses --loops 0" usage_error --loops 0
ok "it refuses --loops 65" usage_error --loops 65

listeners() {
	awk -v port="$(printf ':%04X' "$port")" '$2 ~ port "$" && $4 == "0A"' /proc/net/tcp | wc -l
}

# all_serve LOOPS: the kernel distributes the clients. Those of a loop that does not serve would get no answer, and a
# completion that arrives at another loop would be another client's answer, or none.
all_serve() {
	is "$(listeners)" "$1" || return 1
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) } 1 .. 100;
		alarm 20;
		my $good = 0;
		for my $round (1 .. 20) {
			syswrite($s[$_], "GET /digest?bytes=" . ($round * 100 + $_) . " HTTP/1.1\r\nHost: x\r\n\r\n")
				for 0 .. 99;
			for (0 .. 99) {
				my $all = "";
				1 while $all !~ /"}\n/ && sysread($s[$_], $all, 65536, length $all);
				my $bytes = $round * 100 + $_;
				$good++ if $all =~ /"bytes":$bytes,/;
			}
		}
		print $good;' "$port" >"$work/good" || return 1
	is "$(cat "$work/good")" 2000
}
adds_up() {
	get "$url/metrics" >"$work/metrics"
	cat "$work/metrics"
	[ "$(awk '/^webserver_requests_total{path="\/digest",status="200"}/ { print $2 }' "$work/metrics")" = 2000 ] &&
		within 20 quiet && within 20 balanced && is "$(metric webserver_work_completed_total)" 2000
}
shared_port() {
	timeout 20 "$program" --loops 2 --port "$port" >/dev/null 2>"$work/usage" && status=0 || status=$?
	grep 'cannot listen' "$work/usage" && is "$status" 1
}
start --loops 4
ok "every loop serves its own clients" all_serve 4
ok "the figures are those of all loops" adds_up
ok "no other program can share the port" shared_port
ok "SIGTERM ends all loops with exit status 0" stop TERM

shuts_down new 200:40 "requests in the listening queues of several loops are answered" --loops 3
shuts_down kept 200:40 "requests on connections to several loops that were kept alive are answered" --loops 3
shuts_down half 408:40 "half a request is refused by several loops" --loops 3
shuts_down load 200:many "under load, several loops answer each client that could connect" --loops 3

start --loops 64
ok "sixty-four loops serve" all_serve 64
ok "SIGTERM ends all of them with exit status 0" stop TERM
