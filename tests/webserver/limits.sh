# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: slow clients, clients that disconnect, too many clients, and shutdown.

one_line() {
	is "$(wc -l <"$work/stdout")" 1
}

balanced() {
	[ "$(metric webserver_work_submitted_total)" = "$(metric webserver_work_completed_total)" ]
}

vanished() {
	for _ in 1 2 3 4 5; do
		perl -MIO::Socket::INET -MSocket -e '
			my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => shift);
			syswrite($s, "GET /digest?bytes=16777216 HTTP/1.1\r\nHost: x\r\n\r\n" x 9);
			select(undef, undef, undef, 0.01);
			setsockopt($s, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0));
			close($s);' "$port"
	done
	within 120 balanced && get "$url/healthz"
}
ok "it survives clients that disconnect while a digest is pending" vanished
ok "it has printed only one line" one_line
ok "SIGINT ends it with exit status 0" stop INT

start --timeout 1
ok "408 for an incomplete request" answers 408 'GET / HTTP/1.1\r\nHo'
ok "HEAD gets no body with 408" bodiless 408 'HEAD / HTTP/1.1\r\nHo'
ok "408 for a request that arrives byte by byte" answers 408 G E T ' ' / ' ' H T T P / 1 . 1 '\r' '\n' H o s t : ' ' \
	x '\r' '\n' A : b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b b NEVER
idle() {
	perl "$here/client.pl" "$port" 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n' >"$work/answer" &&
		is "$(grep -c '^HTTP/1.1' "$work/answer")" 1
}
ok "it closes a connection without a second request" idle
ok "it closes a connection without any request" sh -c \
	"[ -z \"\$(perl '$here/client.pl' $port)\" ]"
# reads the rest of the sockets' data and then the end of file
not_reading() {
	perl "$here/client.pl" "$port" 'REPEAT 20000 GET / HTTP/1.1\r\nHost: x\r\n\r\n' HOLD \
		>"$work/answer" && status=0 || status=$?
	number=$(grep -c '^HTTP/1.1' "$work/answer")
	echo "client.pl: $status, $number answers"
	[ "$status" -eq 0 ] || [ "$status" -eq 2 ] && [ "$number" -gt 0 ] && [ "$number" -lt 20000 ]
}
ok "it closes a client that does not read its responses" not_reading
timeouts() {
	number=$(metric webserver_timeouts_total)
	is "$number" 6
}
ok "it counts slow clients" timeouts
ok "SIGTERM ends it with exit status 0" stop TERM

# One worker and many large digests: most are still queued when the signal arrives.
start --workers 1
in_flight() {
	[ "$(metric webserver_work_submitted_total)" = 32 ] &&
		[ "$(metric webserver_work_completed_total)" -lt 32 ]
}
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
	within 20 in_flight || return 1
	stop TERM || return 1
	wait "$clients" && wait "$idle" && is "$(cat "$work/finished")" "32 and closed"
}
ok "after SIGTERM it answers pending digests and exits with 0" finishes
ok "then the port is closed" sh -c "! curl -sS -m 5 $url/healthz"

ticks() {
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$server/stat"
}
crowd() {
	prlimit --pid "$server" --nofile=40:40
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) } 1 .. 80;
		$SIG{TERM} = sub { exit };
		$| = 1;
		sysread($s[-1], my $byte, 1);
		print "shed\n";
		sleep 20;' "$port" >"$work/crowd" &
	crowd=$!
	within 20 grep -q shed "$work/crowd" || return 1
	start_ticks=$(ticks)
	sleep 1
	used=$(($(ticks) - start_ticks))
	kill "$crowd"
	wait "$crowd" || :
	echo "CPU ticks in one second: $used"
	within 20 get "$url/healthz" || return 1
	[ "$used" -lt 30 ]
}
if [ -n "$wrapper" ]; then
	skip "without file descriptors it neither ends nor spins" "does not run under $wrapper"
else
	start
	ok "without file descriptors it neither ends nor spins" crowd
	ok "and it ends on SIGTERM" stop TERM
fi

# With each limit the server either serves, or says why not.
few_descriptors() {
	served=0
	for limit in $(seq 6 35); do
		: >"$work/stdout"
		# shellcheck disable=SC2086 # the words are options
		prlimit --nofile="$limit:$limit" "$program" --port 0 $options >"$work/stdout" 2>"$work/stderr" &
		server=$!
		until announced || gone; do sleep 0.02; done
		if announced; then
			port=$(sed -n '1s|^listening on http://[^ ]*:\([0-9]*\) .*|\1|p' "$work/stdout")
			get "http://127.0.0.1:$port/healthz" && stop TERM || return 1
			served=$((served + 1))
		else
			wait "$server" && return 1
			server=
			grep . "$work/stderr" || return 1
		fi
	done
	echo "served with $served of 30 limits"
	[ "$served" -gt 5 ] && [ "$served" -lt 30 ]
}
if [ -n "$wrapper" ] || [ -n "${WEBSERVER_SANITIZED:-}" ]; then
	skip "with few file descriptors it serves or says why not" "does not run under ${wrapper:-a sanitizer}"
else
	ok "with few file descriptors it serves or says why not" few_descriptors
fi

# Clients come until the server has no more memory. Those that it does not refuse are answered.
without_memory() {
	get "$url/digest?bytes=1" || return 1
	size=$(awk '/^VmSize/ { print $2 * 1024 }' "/proc/$server/status")
	prlimit --pid "$server" --as=$((size + $1 * 1024))
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) } 1 .. 900;
		my $other = 0;
		$SIG{PIPE} = "IGNORE";
		syswrite($_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") for @s;
		for my $client (@s) {
			my $all = "";
			1 while $all !~ /<\/html>/ && sysread($client, $all, 65536, length $all);
			$other++ if $all !~ m{^HTTP/1.1 200 };
		}
		print $other;' "$port" >"$work/refused" || return 1
	within 20 get "$url/healthz" || return 1
	[ "$(cat "$work/refused")" -gt 0 ] &&
		is "$(cat "$work/refused")" "$(metric webserver_connections_refused_total)"
}
if [ -n "$wrapper" ] || [ -n "${WEBSERVER_SANITIZED:-}" ]; then
	skip "without memory it refuses clients" "does not run under ${wrapper:-a sanitizer}"
else
	for kib in 0 100 1100 4000; do
		start
		ok "without memory it refuses clients ($kib KiB)" without_memory "$kib"
		ok "and it ends on SIGTERM" stop TERM
	done
fi

idle_crowd() {
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die } 1 .. 10000;
		syswrite($s[$_ * 100], "GET /healthz HTTP/1.0\r\n\r\n") for 0 .. 99;
		my $good = grep { my $all = join("", <$_>); $all =~ m{^HTTP/1.1 200 } } map { $s[$_ * 100] } 0 .. 99;
		print "answered $good of 100\n";
		exit($good != 100);' "$port" || return 1
	within 60 get "$url/healthz" && [ "$(metric webserver_connections_refused_total)" = 0 ]
}
ulimit -n 10100 2>/dev/null || :
if [ -n "$wrapper" ] || [ "$(ulimit -n)" -lt 10100 ]; then
	skip "it serves among ten thousand idle connections" "does not run under ${wrapper:-$(ulimit -n) descriptors}"
else
	start --timeout 60
	ok "it serves among ten thousand idle connections" idle_crowd
	ok "and it ends on SIGTERM" stop TERM
fi

resident_kib() {
	awk '/^VmRSS/ { print $2 }' "/proc/$server/status"
}
keeps_little() {
	before=$(resident_kib)
	perl -MIO::Socket::INET -e '
		my @clients = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) } 1 .. 200;
		$SIG{TERM} = sub { exit };
		$| = 1;
		for my $client (@clients) {
			syswrite($client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n" x 100);
			my ($pages, $all) = (0, "");
			while ($pages < 100 && sysread($client, $all, 65536, length $all)) {
				$pages++ while $all =~ s/^.*?<\/html>//s;
			}
		}
		print "idle\n";
		sleep 60;' "$port" >"$work/crowd" &
	crowd=$!
	within 60 grep -q idle "$work/crowd" || return 1
	each=$((($(resident_kib) - before) / 200))
	kill "$crowd"
	wait "$crowd" || :
	echo "KiB per idle connection: $each"
	[ "$each" -lt 64 ]
}
if [ -n "$wrapper" ] || [ -n "${WEBSERVER_SANITIZED:-}" ]; then
	skip "an idle connection uses little memory" "does not run under ${wrapper:-a sanitizer}"
else
	start
	ok "an idle connection uses little memory" keeps_little
	ok "and the server ends with many connections" stop TERM
fi

if grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null; then
	start --bind ::1
	ok "it listens on IPv6" grep '^listening on http://\[::1\]:' "$work/stdout"
	ok "and answers on IPv6" get -g "http://[::1]:$port/healthz"
	ok "and ends on IPv6" stop TERM
else
	skip "it listens on IPv6" "this machine has no ::1"
fi
