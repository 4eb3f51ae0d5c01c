# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: requests and responses.

ok "it refuses an unknown option" usage_error --no-such-option
ok "it refuses an invalid port" usage_error --port 65536
ok "it refuses an invalid address" usage_error --bind example
ok "it refuses a timeout of 0" usage_error --timeout 0
ok "--help prints the usage" sh -c "'$program' --help | grep -q '^Usage: webserver '"
ok "--help names the limit of --loops" sh -c "'$program' --help | grep -q 'loops, at most 64,'"
ok "--version prints the library and its version" \
	sh -c "'$program' --version | grep -qE '^webserver with (ringwake|libuv) [0-9]+\.[0-9]+\.[0-9]+\$'"

start
line="^listening on http://127\\.0\\.0\\.1:[0-9][0-9]* path=$path\$"
ok "one line names the address" grep -q "$line" "$work/stdout"

# no_such_path TEXT COMMAND...: the error names the source, the value and the valid paths
no_such_path() {
	text=$1
	shift
	timeout 20 "$@" --port 0 >/dev/null 2>"$work/usage" && status=0 || status=$?
	grep -e "^$text=pigeon: not a path; use auto" "$work/usage" && is "$status" 1
}
ok "an invalid --path is an error" no_such_path --path "$program" --path pigeon
if [ "$path" != uv_async ]; then
	ok "an invalid RINGWAKE_PATH is an error" no_such_path RINGWAKE_PATH env RINGWAKE_PATH=pigeon "$program"
	bad_variable() {
		timeout 20 env "$1=pigeon" "$program" --port 0 >/dev/null 2>"$work/usage" && status=0 || status=$?
		grep "$1.* has an invalid value" "$work/usage" && is "$status" 1
	}
	ok "an invalid RINGWAKE_SPIN is an error" bad_variable RINGWAKE_SPIN
	ok "an invalid RINGWAKE_POOL_TIMES is an error" bad_variable RINGWAKE_POOL_TIMES
fi

port_in_use() {
	timeout 20 "$program" --port "$port" >/dev/null 2>"$work/usage" && status=0 || status=$?
	grep 'cannot listen' "$work/usage" && is "$status" 1
}
ok "a port in use is an error" port_in_use

ok "/healthz returns ok" sh -c "[ \"\$(curl -sS -m 20 $url/healthz)\" = ok ]"

ok "/digest of nothing" digest 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
ok "/digest of 3 bytes" digest 3 $sum_3
ok "/digest of 1000 bytes" digest 1000 \
	a8af099bf2e878609558dbf69d8f88f4a31040a8cf84b549a0cfa912f12ffc3f
ok "/digest of a block and one byte" digest 16385 \
	0000baf2684790c1122339755831010d032e896ce376a38e20106fcdd0a5517c
ok "/digest of the largest number of bytes" digest 16777216 $sum_most

well_formed() {
	get -D "$work/head" "$url/metrics" >"$work/metrics"
	grep -i '^content-type: text/plain; version=0.0.4' "$work/head" || return 1
	awk '/^# TYPE / { if (seen[$3]++) bad = 1; type[$3] = $4; next }
		/^# HELP / { next }
		{ name = base = $1; sub(/{.*/, "", name) }
		sub(/_(bucket([{].*)?|sum|count)$/, "", base) && type[base] == "histogram" {
			if ($NF !~ ($1 == base "_sum" ? "^[0-9]+[.][0-9]+$" : "^[0-9]+$")) { print; bad = 1 }
			next
		}
		!(name in type) || type[name] == "histogram" || $NF !~ /^[0-9]+$/ { print; bad = 1 }
		END { exit bad }' "$work/metrics"
}
ok "/metrics is well formed" well_formed

# Prints the count of each histogram of the page. Fails if one is not valid.
histograms() {
	awk '/^# TYPE / { name = $4 == "histogram" ? $3 : ""; bound = before = 0; next }
		/^#/ || name == "" { next }
		index($1, name "_bucket{le=\"") == 1 {
			le = $1
			sub(/.*="/, "", le)
			sub(/".*/, "", le)
			if ($2 + 0 < before || (le != "+Inf" && le + 0 <= bound) || name in last) { print; bad = 1 }
			before = $2 + 0
			if (le == "+Inf") last[name] = before
			else bound = le + 0
			next
		}
		$1 == name "_sum" { sum[name] = $2; next }
		$1 == name "_count" { count[name] = $2 + 0; next }
		{ print; bad = 1 }
		END {
			for (name in last) {
				if (!(name in sum) || last[name] != count[name] || (sum[name] + 0 > 0) != (last[name] > 0)) bad = 1
				print name, count[name], sum[name]
			}
			exit bad
		}' "$1"
}
# No work is outstanding, so all work is in both.
work_times() {
	get "$url/metrics" >"$work/metrics"
	histograms "$work/metrics" >"$work/times" || { cat "$work/times"; return 1; }
	ended=$(awk '$1 == "webserver_work_completed_total" { print $2 }' "$work/metrics")
	cat "$work/times"
	echo "ended $ended"
	[ "$ended" -gt 0 ] && is "$(awk '{ print $1, $2 }' "$work/times" | sort)" \
		"webserver_work_running_seconds $ended
webserver_work_waiting_seconds $ended"
}
if [ "$path" = uv_async ]; then
	skip "/metrics has valid histograms of all work" "libuv does not take times"
else
	ok "/metrics has valid histograms of all work" work_times
fi
if command -v promtool >/dev/null; then
	ok "promtool accepts /metrics" sh -c "curl -sS $url/metrics | promtool check metrics"
else
	skip "promtool accepts /metrics" "promtool is not installed"
fi

counted() {
	before=$(metric 'webserver_requests_total{path="/healthz",status="200"}')
	get "$url/healthz" "$url/healthz" >/dev/null
	after=$(metric 'webserver_requests_total{path="/healthz",status="200"}')
	is "$after" "$((before + 2))"
}
ok "/metrics counts requests by path and status" counted

head_request() {
	answers 200 'HEAD /digest?bytes=3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' &&
		grep -q '^Content-Length: 88' "$work/answer" && ! grep -q sha256 "$work/answer"
}
ok "HEAD has the header of GET and no body" head_request

refused() {
	answers '4[0-9]*' "$@"
}
head="HEAD / HTTP/1.1\\r\\n$x"
ok "HEAD gets no body with 400 for two Hosts" bodiless 400 "$head$x\\r\\n"
ok "HEAD gets no body with 400 for a broken field" bodiless 400 "${head}a b: c\\r\\n\\r\\n"
ok "HEAD gets no body with 400 for no Host" bodiless 400 'HEAD / HTTP/1.1\r\n\r\n'
ok "HEAD gets no body with 400 for a wrong version" bodiless 400 "HEAD / HTTP/1.2\\r\\n$x\\r\\n"
ok "HEAD gets no body with 404" bodiless 404 "HEAD /nowhere HTTP/1.1\\r\\n$x\\r\\n"
ok "HEAD gets no body with 414" bodiless 414 "HEAD /$(repeat 9000 a) HTTP/1.1\\r\\n$x\\r\\n"
ok "HEAD gets no body with 431" bodiless 431 "$head" "REPEAT 4000 A: b\\r\\n"
ok "HEAD in pieces gets no body" bodiless 400 H E 'AD / H' "TTP/1.1\\r\\n\\r\\n"
garbage_after_head() {
	perl "$here/client.pl" "$port" "HEAD / HTTP/1.1\\r\\n$x\\r\\n" '\0\0\0\0' >"$work/answer" &&
		is "$(tail -n 1 "$work/answer")" "400 Bad Request"
}
ok "400 has a body, also after HEAD" garbage_after_head
ok "400 for bytes that are not a request" answers 400 'what is this\r\n\r\n'
ok "400 for a TLS hello" answers 400 '\0\0\0\0\0\0\0\0\0\0\0'
ok "400 for a CR without LF at the end of a head" answers 400 'GET / HTTP/1.1\r\nHost: x\r\n\rX'
ok "400 for a CR without LF behind a field" answers 400 'GET / HTTP/1.1\r\nHost: x\r\nA:\rX\r\n\r\n'
ok "400 for a request without Host" answers 400 'GET / HTTP/1.1\r\n\r\n'
ok "400 for two Hosts" answers 400 "GET / HTTP/1.1\\r\\n${x}hOST: y\\r\\n\\r\\n"
for version in 0.9 1.2 1.9 2.0 7.1; do
	ok "400 for version $version" answers 400 "GET / HTTP/$version\\r\\n$x\\r\\n"
done
for host in 'a b' 'a/b' 'a@b' 'a:b' ':1:2' '[::1' '[::1]x' '[1.2.3.4]' '[v]' '[v1.]' 'a%2' 'a%gg' 'a"b' \
	"$(repeat 300 a)"; do
	ok "400 for Host: $(echo "$host" | cut -c 1-20)" answers 400 "GET /healthz HTTP/1.1\\r\\nHost: $host\\r\\n\\r\\n"
	ok "400 for it with HTTP/1.0" answers 400 "GET /healthz HTTP/1.0\\r\\nHost: $host\\r\\n\\r\\n"
done
for host in a a.example: example:80 '[::1]' '[::ffff:1.2.3.4]:80' '[v1.a:b]' '127.0.0.1:1' 'a%2Fb' "$(repeat 255 a)" 'x  '; do
	ok "200 for Host: $(echo "$host" | cut -c 1-20)" answers 200 \
		"GET /healthz HTTP/1.1\\r\\nHost: $host\\r\\nConnection: close\\r\\n\\r\\n"
done
ok "400 for a URL with an invalid host" answers 400 "GET http://a%b/healthz HTTP/1.1\\r\\n$x\\r\\n"
ok "400 for POST to it" answers 400 "POST http://a%b/ HTTP/1.1\\r\\n$x\\r\\n"
ok "405 for PUT to it" answers 405 "PUT http://a%b/ HTTP/1.1\\r\\n$x\\r\\n"
ok "Host may arrive in pieces" answers 400 'GET /healthz HTTP/1.1\r\nHost: exam' 'ple b\r\n\r\n'
ok "400 for a broken header field" answers 400 "GET / HTTP/1.1\\r\\n${x}a b: c\\r\\n\\r\\n"
ok "400 for two lengths" answers 400 \
	"GET / HTTP/1.1\\r\\n${x}Content-Length: 1\\r\\nContent-Length: 2\\r\\n\\r\\nab"
for bytes in '' '?bytes=' '?bytes=x' '?bytes=-1' '?bytes=1x' '?size=1'; do
	ok "400 for /digest$bytes" answers 400 "GET /digest$bytes HTTP/1.1\\r\\n$x\\r\\n"
done
ok "404 for an unknown page" answers 404 "GET /nowhere HTTP/1.1\\r\\n$x\\r\\n"
ok "413 for too many bytes to hash" answers 413 "GET /digest?bytes=16777217 HTTP/1.1\\r\\n$x\\r\\n"
ok "413 for more bytes than a number holds" answers 413 \
	"GET /digest?bytes=99999999999999999999999 HTTP/1.1\\r\\n$x\\r\\n"
for length in 5 9223372036854775808 18446744073709551610 18446744073709551615 18446744073709551616 \
	99999999999999999999999999999999; do
	ok "413 for a body of $length bytes" answers 413 \
		"GET / HTTP/1.1\\r\\n${x}Content-Length: $length\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n"
	ok "and HEAD gets no body then" bodiless 413 \
		"HEAD / HTTP/1.1\\r\\n${x}Content-Length: $length\\r\\n\\r\\n"
done
ok "413 for a length in pieces" answers 413 "GET / HTTP/1.1\\r\\n${x}Content-Length: 1844674407370955161" '6\r\n\r\n'
ok "a length of 0 is no body" answers 200 \
	"GET /healthz HTTP/1.1\\r\\n${x}Content-Length: 0\\r\\nConnection: close\\r\\n\\r\\n"
for length in -1 +1 1x 0x1 99999999999999999999x; do
	ok "refused: a body of $length bytes" refused "GET / HTTP/1.1\\r\\n${x}Content-Length: $length\\r\\n\\r\\n"
done
ok "413 for a body" answers 413 "GET / HTTP/1.1\\r\\n${x}Content-Length: 5\\r\\n\\r\\nhello"
ok "413 for a body in chunks" answers 413 \
	"GET / HTTP/1.1\\r\\n${x}Transfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nhello\\r\\n0\\r\\n\\r\\n"
ok "413 for a body that has not arrived" answers 413 \
	"GET / HTTP/1.1\\r\\n${x}Expect: 100-continue\\r\\nContent-Length: 1000000\\r\\n\\r\\n"
ok "414 for a target that is too long" answers 414 \
	"GET /$(repeat 9000 a) HTTP/1.1\\r\\n$x\\r\\n"
ok "431 for header fields that are too long" answers 431 \
	"GET / HTTP/1.1\\r\\n${x}A: $(repeat 20000 a)\\r\\n\\r\\n"
ok "431 also if they are invalid behind the limit" answers 431 \
	"GET / HTTP/1.1\\r\\n${x}A: $(repeat 20000 a)\\r\\nB b: c\\r\\n\\r\\n"
ok "431 for too many header fields" answers 431 \
	"GET / HTTP/1.1\\r\\n$x" "REPEAT 4000 A: b\\r\\n"

posted() { # STATUS PATH
	answers "$1" "POST $2 HTTP/1.1\\r\\n${x}Content-Length: 1000000\\r\\n\\r\\n$(repeat 30000 b)"
}
not_allowed() {
	posted 405 / && grep '^Allow: GET, HEAD' "$work/answer"
}
ok "405 for POST, with the allowed methods" not_allowed
ok "404 for POST to an unknown page" posted 404 /nowhere
ok "400 for a tab in a target" answers 400 "GET /a$(printf '\t')b HTTP/1.1\\r\\n$x\\r\\n"
ok "400 for GET of *" answers 400 "GET * HTTP/1.1\\r\\n$x\\r\\n"
ok "405 for OPTIONS" answers 405 "OPTIONS * HTTP/1.1\\r\\n$x\\r\\n"
ok "405 for CONNECT" answers 405 "CONNECT x:80 HTTP/1.1\\r\\n$x\\r\\n"

closed_after_error() {
	answers 404 "GET /nowhere HTTP/1.1\\r\\n$x\\r\\nGET / HTTP/1.1\\r\\n$x\\r\\n" &&
		is "$(grep -c '^HTTP/1.1' "$work/answer")" 1
}
ok "it answers no request after an error" closed_after_error

ok "a whole URL is a valid target" answers 200 \
	"GET http://x/healthz HTTP/1.1\\r\\n${x}Connection: close\\r\\n\\r\\n"
ok "a whole URL may have no path" answers 200 \
	"GET http://x?a HTTP/1.1\\r\\n${x}Connection: close\\r\\n\\r\\n"
ok "bytes is found among other parameters" answers 200 \
	"GET /digest?a=b&bytes=1&c=d HTTP/1.1\\r\\n${x}Connection: close\\r\\n\\r\\n"
ok "it ignores an offer to upgrade" sh -c "curl -sS -m 20 --http2 $url/healthz | grep -q ok"
ok "an empty Host is valid" answers 200 \
	'GET /healthz HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n'

keep_alive() {
	is "$(get -o "$work/1" -o "$work/2" -o "$work/3" -w '%{num_connects} ' \
		"$url/healthz" "$url/digest?bytes=3" "$url/")" "1 0 0 "
}
ok "a connection serves several requests" keep_alive
ok "HTTP/1.0 is closed after the response" answers 200 'GET /healthz HTTP/1.0\r\n\r\n'

old_keep_alive() {
	answers 200 'GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n' \
		'GET /healthz HTTP/1.0\r\n\r\n' && is "$(grep -c '^HTTP/1.1 200' "$work/answer")" 2 &&
		is "$(grep -ci '^connection: keep-alive' "$work/answer")" 1
}
ok "HTTP/1.0 may request keep-alive" old_keep_alive

# Small digests behind large ones: without ordering, the small ones would be answered first.
pipelined() {
	: >"$work/want"
	many=
	for round in 1 2 3 4 5 6 7 8 9 10; do
		for bytes in 3000000 0 100000 "$round"; do
			many="${many}GET /digest?bytes=$bytes HTTP/1.1\\r\\n$x\\r\\n"
			echo "\"bytes\":$bytes" >>"$work/want"
		done
		many="${many}GET /healthz HTTP/1.1\\r\\n$x\\r\\n"
		echo ok >>"$work/want"
	done
	answers 200 "${many}GET /healthz HTTP/1.0\\r\\n\\r\\n" || return 1
	echo ok >>"$work/want"
	grep -oE '"bytes":[0-9]+|^ok' "$work/answer" | diff "$work/want" -
}
ok "pipelined requests are answered in order" pipelined

# First the client only sends, until the server no longer reads, and the responses must not fill its
# memory. Then it reads all of them.
long_row() {
	perl "$here/row.pl" "$port" 10000 >"$work/row" && status=0 || status=$?
	cat "$work/row"
	[ "$status" -eq 0 ] && within 20 balanced
}
ok "ten thousand pipelined requests are answered in order, with little memory" grows_little 8192 long_row

# Digests that end while earlier responses wait for room in the socket buffer.
digests_in_long_row() {
	page="GET / HTTP/1.1\\r\\n$x\\r\\n"
	four=$page$page$page$page
	answers 200 "REPEAT 400 $four${four}GET /digest?bytes=200000 HTTP/1.1\\r\\n$x\\r\\n" \
		'GET / HTTP/1.0\r\n\r\n' >/dev/null &&
		is "$(awk '/^<\/html>/ { pages++ }
			/"sha256"/ { good += pages == 8; pages = 0 }
			END { print good }' "$work/answer")" 400
}
ok "digests keep their order when the socket buffer is full" digests_in_long_row

ok "a request may arrive in pieces" answers 200 'G' 'ET /health' 'z HTTP/1.1\r' '\nHo' 'st: x\r\nConn' \
	'ection: clo' 'se\r\n\r' '\n'

half_closed() {
	answers 200 "GET /digest?bytes=16777216 HTTP/1.1\\r\\n${x}Connection: close\\r\\n\\r\\n" END &&
		grep "$sum_most" "$work/answer"
}
ok "it answers a client that has shut its sending side down" half_closed

one_line() {
	is "$(wc -l <"$work/stdout")" 1
}
ok "it has printed only one line" one_line
ok "SIGINT ends it with exit status 0" stop INT

if grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null; then
	start --bind ::1
	ok "it listens on IPv6" grep '^listening on http://\[::1\]:' "$work/stdout"
	ok "and answers on IPv6" get -g "http://[::1]:$port/healthz"
	ok "and ends on IPv6" stop TERM
else
	skip "it listens on IPv6" "this machine has no ::1"
fi
