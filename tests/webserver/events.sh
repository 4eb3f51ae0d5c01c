# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: /events, clients that read it, and clients that do not.

ok "it refuses --event-interval 0" usage_error --event-interval 0

# Prints the events that arrive within $1 seconds, one a line.
events() {
	get -N -m "$1" "$url/events" 2>/dev/null | sed -n 's/^data: //p'
}

head_of_events() {
	get -N -m 1 -D "$work/head" "$url/events" >/dev/null 2>&1 && return 1
	cat "$work/head"
	grep -qi '^content-type: text/event-stream' "$work/head" && ! grep -qi '^content-length' "$work/head"
}

nobody_reads() {
	[ "$(metric webserver_event_clients)" = 0 ]
}

# The newest event shows what /metrics shows. The first one shows the wakes since nobody reads.
event_figures() {
	within 20 nobody_reads || return 1
	for _ in 1 2 3; do get "$url/digest?bytes=1000" || return 1; done
	events 2 >"$work/events"
	get "$url/metrics" >"$work/metrics"
	tail -n 2 "$work/events"
	perl -MJSON::PP -e '
		my @events = map { decode_json($_) } <STDIN>;
		my ($first, $last) = @events[0, -1];
		die "events: @{[scalar @events]}\n" unless @events > 5;
		die "ms\n" unless $last->{ms} > $first->{ms};
		die "no wake\n" unless $first->{wake_p50_ns} > 0 && $first->{wake_p99_ns} >= $first->{wake_p50_ns};
		die "wakes without work\n" unless $last->{wake_p99_ns} == 0;
		open(my $metrics, "<", $ARGV[0]) or die;
		my %sum;
		while (<$metrics>) {
			my ($name, $value) = /^(\w+)[^ ]* (\d+)$/ or next;
			$sum{$name} += $value;
		}
		# one request is that for /metrics
		die "requests: $last->{requests}\n" unless $last->{requests} == $sum{webserver_requests_total};
		for (qw(webserver_work_completed_total webserver_workers webserver_connections_refused_total)) {
			die "$_\n" unless defined $last->{$_} && $last->{$_} == $sum{$_};
		}
		die "clients\n" unless $last->{webserver_event_clients} == 1;' "$work/metrics" <"$work/events"
}

# When nobody reads, nothing is sent.
is_quiet() {
	within 20 nobody_reads || return 1
	before=$(metric webserver_events_total)
	messages=$(metric ringwake_messages_total)
	sleep 0.5
	is "$(metric webserver_events_total) $(metric ringwake_messages_total)" "$before $messages"
}

bodiless_events() {
	perl "$here/client.pl" "$port" 'HEAD /events HTTP/1.1\r\nHost: x\r\n\r\n' >"$work/answer" || return 1
	cat "$work/answer"
	! grep -q '^data' "$work/answer" && grep -q '^HTTP/1.1 200 ' "$work/answer"
}

# Forty clients ask for events and read nothing. Others must get events meanwhile.
most_unsent() {
	awk -v port="$(printf ':%04X' "$port")" '$2 ~ port "$" && $4 == "01" { print substr($5, 1, 8) }' /proc/net/tcp |
		sort | tail -n 1 | xargs -I{} printf '%d\n' 0x{}
}
loses() {
	[ "$(metric webserver_events_lost_total)" -gt 1000 ]
}
stuck_clients() {
	perl -MIO::Socket::INET -MSocket -e '
		$SIG{TERM} = sub { exit };
		my @s = map {
			socket(my $s, PF_INET, SOCK_STREAM, 0);
			setsockopt($s, SOL_SOCKET, SO_RCVBUF, 1);
			connect($s, sockaddr_in($ARGV[0], inet_aton("127.0.0.1"))) or die;
			syswrite($s, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
			$s } 1 .. 40;
		sleep 300;' "$port" &
	client=$!
}
# The timeout of this server is longer than the test, because it would close the stuck clients.
not_read() {
	stuck_clients
	within 60 loses || return 1
	unsent=$(most_unsent)
	echo "unsent bytes in the kernel: $unsent"
	[ "$unsent" -gt 0 ] && [ "$unsent" -lt 16384 ] || return 1
	before=$(resident_kib)
	sent=$(metric webserver_events_lost_total)
	events 1 >"$work/events"
	lost=$(($(metric webserver_events_lost_total) - sent))
	grown=$(($(resident_kib) - before))
	number=$(wc -l <"$work/events")
	echo "a client that reads got $number events; those that do not lost $lost; grown by $grown KiB"
	[ "$number" -gt 20 ] && [ "$lost" -gt "$number" ] || return 1
	[ -n "$bloated" ] || [ "$grown" -le 256 ]
}
end_clients() {
	kill "$client"
	wait "$client" 2>/dev/null || :
}
ends_without_clients() {
	end_clients
	stop TERM
}
ends_with_clients() {
	stuck_clients
	within 60 loses && stop TERM && status=0 || status=1
	end_clients
	return "$status"
}
timed_out() {
	[ "$(metric webserver_timeouts_total)" -ge 40 ]
}
closed_stuck() {
	stuck_clients
	within 60 timed_out && within 20 nobody_reads && status=0 || status=1
	end_clients
	return "$status"
}

# A client that reads sees the end of the response.
ends_with_server() {
	curl -sS -N -m 20 "$url/events" >"$work/events" &
	client=$!
	within 20 grep -q '^data' "$work/events" || return 1
	stop TERM || return 1
	wait "$client"
}

if [ "$path" = uv_async ]; then
	start
	no_events() {
		is "$(get "$url/events")" "503 Service Unavailable: /events needs --wake ringwake"
	}
	ok "without ringwake, /events is refused with the reason" no_events
	ok "and the server ends on SIGTERM" stop TERM
else
	start --event-interval 100
	ok "/events is an event stream" head_of_events
	ok "events show the figures of /metrics, and how long wakes took" event_figures
	ok "HEAD /events has no body" bodiless_events
	ok "without a reader no event is sent" is_quiet
	ok "a reader sees the end of /events at SIGTERM" ends_with_server
	for loops in 1 2; do
		start --event-interval 1 --loops "$loops" --timeout 300
		ok "clients of $loops loops that do not read lose events, and others do not" not_read
		ok "and the server ends on SIGTERM" ends_without_clients
	done
	start --event-interval 1 --timeout 5
	ok "clients that do not read are closed after the timeout" closed_stuck
	ok "and the server ends on SIGTERM" stop TERM
	start --event-interval 1 --timeout 5
	ok "clients that do not read do not keep the server from ending" ends_with_clients
fi
