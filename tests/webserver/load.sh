# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: two loads of wrk, their counts, and the server's growth.

descriptors() {
	find "/proc/$server/fd" -mindepth 1 | wc -l
}

# The last client's connection may be closed a moment later.
descriptors_as_before() {
	[ "$(descriptors)" -le "$descriptors_idle" ]
}

# After a thousand connections, a leak per connection is visible.
churn() {
	perl -MIO::Socket::INET -e '
		for (1 .. 1000) {
			my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or exit 1;
			syswrite($s, "GET /digest?bytes=64 HTTP/1.0\r\n\r\n");
			my $all = join("", <$s>);
			exit 1 unless $all =~ m{^HTTP/1.1 200 };
		}' "$port"
	good=$((good + 1000))
}

# wrk's own timeout of two seconds is too short on a loaded machine. A lost completion never arrives, so
# a longer timeout also finds it.
load() {
	wrk --timeout 8s -t 2 -c 64 -d 2 -s "$here/mixed.lua" "$url/" >"$work/load" 2>&1 || return 1
	cat "$work/load"
	good=$(($(cat "$work/good") + $(sed -n 's/^good=\([0-9]*\) .*/\1/p' "$work/load")))
	churn || return 1
	echo "$good" >"$work/good"
	grep -q '^good=[1-9][0-9]* bad=0 errors=0$' "$work/load" && ! grep -q 'Socket errors' "$work/load" &&
		! grep -q 'Non-2xx' "$work/load" && within 20 quiet
}

total() {
	awk -v part="$1" 'index($1, part) { sum += $2 } END { print sum + 0 }' "$work/metrics"
}

# At its end wrk leaves up to 64 responses of each load unread.
accounted() {
	get "$url/metrics" >"$work/metrics"
	asked=$(total 'webserver_requests_total{path="/digest",status="200"}')
	submitted=$(total webserver_work_submitted_total)
	completed=$(total webserver_work_completed_total)
	echo "digests: requested $asked, submitted $submitted, completed $completed"
	[ "$asked" -gt 0 ] && [ "$asked" -eq "$submitted" ] && [ "$asked" -eq "$completed" ]
}

all_counted() {
	answered=$(total 'status="200"')
	seen=$(cat "$work/good")
	echo "answered $answered, received by wrk $seen"
	[ "$answered" -ge "$seen" ] && [ "$answered" -le $((seen + 128 + 100)) ]
}

wakes() {
	cat "$work/metrics"
	messages=$(total ringwake_messages_total)
	doorbells=$(total ringwake_doorbells_total)
	saved=$(total ringwake_doorbells_saved_total)
	[ "$messages" -eq "$completed" ] && [ "$((doorbells + saved))" -eq "$messages" ] &&
		[ "$doorbells" -gt 0 ] && [ "$(total ringwake_doorbell_failures_total)" -eq 0 ]
}

if ! command -v wrk >/dev/null; then
	skip "load, accounting and growth" "wrk is not installed"
else
	echo 0 >"$work/good"
	start
	ok "it answers before the load" get "$url/healthz" # libuv opens one more descriptor then
	descriptors_idle=$(descriptors)
	ok "it serves a load on 64 connections without an error" load
	resident_first=$(resident_kib)
	ok "it serves a second load" load
	ok "there are no more file descriptors than before the loads" within 20 descriptors_as_before
	grown=$(($(resident_kib) - resident_first))
	if [ -n "$bloated" ]; then
		skip "the second load uses no more memory" "$bloated"
	else
		ok "the second load uses no more memory: $grown KiB" [ "$grown" -le 1024 ]
	fi
	ok "every completion is accounted for" accounted
	ok "every response is counted" all_counted
	if grep -q '^ringwake_messages_total' "$work/metrics"; then
		ok "each completion was a message, with a doorbell or without" wakes
	fi
	ok "it ends after the load" stop TERM
fi
