# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: clients that leave, or a signal that comes, while digests are pending.

# in_flight NUMBER: all of these digests are submitted, and some are not completed
in_flight() {
	[ "$(metric webserver_work_submitted_total)" = "$1" ] &&
		[ "$(metric webserver_work_completed_total)" -lt "$1" ]
}

# Half of the clients reset their connections.
vanished() {
	perl -MSocket -e '
		my @clients = map {
			socket(my $client, PF_INET, SOCK_STREAM, 0);
			setsockopt($client, SOL_SOCKET, SO_LINGER, pack("ii", $_ % 2, 0));
			connect($client, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or die;
			$client } 1 .. 60;
		syswrite($_, "GET /digest?bytes=16777216 HTTP/1.1\r\nHost: x\r\n\r\n") for @clients;
		sleep 60;' "$port" &
	client=$!
	within 20 in_flight 60 && status=0 || status=$?
	kill -KILL "$client"
	wait "$client" 2>/dev/null || :
	[ "$status" -eq 0 ] && within 120 quiet && within 20 balanced && get "$url/healthz"
}
start --workers 1
ok "it survives clients that disconnect while digests are pending" vanished
ok "SIGINT ends it with exit status 0" stop INT

# One worker and many large digests: most are still queued when the signal arrives.
start --workers 1
finishes() {
	# one idle connection, which must not delay the shutdown
	perl "$here/client.pl" "$port" 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n' >"$work/idle" &
	idle=$!
	within 20 grep -q '^ok' "$work/idle" || return 1
	perl -MIO::Socket::INET -e '
		my ($port, $sum) = @ARGV;
		my @clients = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port) } 1 .. 32;
		syswrite($_, "GET /digest?bytes=16777216 HTTP/1.1\r\nHost: x\r\n\r\n") for @clients;
		my ($good, $last) = (0, 0);
		for my $client (@clients) {
			my $all = join("", <$client>);
			$good++ if $all =~ m{^HTTP/1.1 200 .*$sum}s;
			$last++ if $all =~ m{^Connection: close}m;
		}
		print $good, $last ? " and closed\n" : "\n";' "$port" "$sum_most" >"$work/finished" &
	clients=$!
	within 20 in_flight 32 || return 1
	stop TERM || return 1
	wait "$clients" && wait "$idle" && is "$(cat "$work/finished")" "32 and closed"
}
ok "after SIGTERM it answers pending digests and exits with 0" finishes
ok "then the port is closed" sh -c "! curl -sS -m 5 $url/healthz"
