# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: what arrived before the signal is answered, or refused soon.

shuts_down new 200:40 "requests in the listening queue are answered"
shuts_down close 200:40 "the same with Connection: close"
shuts_down kept 200:40 "requests on connections that were kept alive are answered"
shuts_down row 200:8000 "pipelined requests are answered"
shuts_down idle end:40 "idle connections are closed"
shuts_down half 408:40 "half a request is refused"
shuts_down rest 200:40 "a request that ends after the signal is answered"
shuts_down large 200:40 "a long request that ends after the signal is answered"
shuts_down load 200:many "under load, each client that could connect is answered"

# A far client's handshake ends 0.3 s after the signal. The server waits for 1 s, which may be too short for
# a busy machine, so there are three attempts.
shakes_hands() { # LOOPS
	for _ in 1 2 3; do
		# shellcheck disable=SC2086 # the words are options
		unshare --net perl "$here/handshake.pl" "$program" $options --loops "$1" >"$work/far"
		is "$(cat "$work/far")" "200 0" && return
	done
	return 1
}
far_client="a client that was about to connect is answered"
if [ -n "$wrapper" ]; then
	skip "$far_client" "does not run under $wrapper"
elif [ "$(unshare --net perl "$here/handshake.pl" 2>/dev/null)" = skip ] || ! unshare --net true 2>/dev/null; then
	skip "$far_client" "this system has no TUN device, or no right to make a network namespace"
else
	ok "$far_client" shakes_hands 1
	ok "$far_client (loops: 3)" shakes_hands 3
fi

# wrk sees refused connections as soon as the server has ended, but no refused request before.
under_wrk() {
	wrk --timeout 8s -t 2 -c 64 -d 30 -s "$here/mixed.lua" "$url/" >"$work/wrk" 2>&1 &
	client=$!
	within 20 many_answered && stop TERM && status=0 || status=$?
	kill -INT "$client"
	wait "$client"
	grep -v ' at ' "$work/wrk"
	[ "$status" -eq 0 ] && grep -q '^good=[1-9][0-9]* bad=0 ' "$work/wrk"
}
many_answered() {
	[ "$(metric 'webserver_requests_total{path="/healthz",status="200"}')" -gt 500 ]
}
if command -v wrk >/dev/null; then
	start --timeout 60
	ok "under the load of wrk, SIGTERM ends it with exit status 0" under_wrk
else
	skip "under the load of wrk, SIGTERM ends it with exit status 0" "wrk is not installed"
fi

# The pipelined requests keep the server from ending.
second_signal() {
	start --timeout 60 --workers 1
	perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]);
		syswrite($s, "GET /digest?bytes=16777216 HTTP/1.1\r\nHost: x\r\n\r\n" x 200);
		sleep 60;' "$port" &
	client=$!
	within 20 get_submitted || return 1
	kill -TERM "$server"
	within 20 unblocks_signals || return 1
	kill "-$1" "$server"
	within 20 gone && status=0 || status=$? # its exit status shows that the signal ended it
	kill "$client"
	wait "$client" 2>/dev/null || :
	[ "$status" -eq 0 ] || return 1
	wait "$server" && status=0 || status=$?
	server=
	is "$status" "$2"
}
get_submitted() {
	[ "$(metric webserver_work_submitted_total)" -gt 0 ]
}
unblocks_signals() {
	grep -q '^SigBlk:.0*$' "/proc/$server/status"
}
ok "a second SIGTERM ends it at once" second_signal TERM 143
ok "SIGINT after SIGTERM, too" second_signal INT 130
