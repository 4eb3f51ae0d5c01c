# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: slow clients, and clients that do not read.

start --timeout 1
ok "408 for an incomplete request" answers 408 'GET / HTTP/1.1\r\nHo'
ok "HEAD gets no body with 408" bodiless 408 'HEAD / HTTP/1.1\r\nHo'
# One limit holds for the whole request.
byte_by_byte() {
	# shellcheck disable=SC2046 # each byte is a word
	CLIENT_PAUSE=0.1 answers 408 G E T ' ' / ' ' H T T P / 1 . 1 '\r' '\n' H o s t : ' ' x '\r' '\n' A : \
		$(repeat 100 'b ') NEVER
}
ok "408 for a request that arrives byte by byte" byte_by_byte
idle() {
	perl "$here/client.pl" "$port" 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n' >"$work/answer" &&
		is "$(grep -c '^HTTP/1.1' "$work/answer")" 1
}
ok "it closes a connection without a second request" idle
# An empty line behind a request begins no other one.
idle_behind_line() {
	perl "$here/client.pl" "$port" 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n\r\n' >"$work/answer" &&
		is "$(grep -c '^HTTP/1.1' "$work/answer")" 1
}
ok "the same if an empty line follows the first one" idle_behind_line
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
	is "$(metric webserver_timeouts_total)" 7
}
ok "it counts slow clients" timeouts
ok "SIGTERM ends it with exit status 0" stop TERM
