# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: POST /gzip.

seq 1 150000 >"$work/text"
head -c 3000000 /dev/urandom >"$work/random"
start

# zipped FILE CURL-ARGUMENT...: the response is the file, compressed
zipped() {
	file=$1
	shift
	get --data-binary "@$file" "$@" "$url/gzip" >"$work/zipped" && gunzip <"$work/zipped" | cmp - "$file"
}
chunked='Transfer-Encoding: chunked'
for size in 0 1 32767 32768 32769 65536 100000; do
	head -c "$size" "$work/text" >"$work/part"
	ok "$size bytes are compressed" zipped "$work/part"
	ok "the same in chunks" zipped "$work/part" -H "$chunked"
done
ok "a large text is compressed" zipped "$work/text"
ok "it has become smaller" [ "$(wc -c <"$work/zipped")" -lt "$(($(wc -c <"$work/text") / 2))" ]
ok "random bytes are compressed" zipped "$work/random"
ok "the same in chunks" zipped "$work/random" -H "$chunked"
ok "HTTP/1.0 gets it without chunks" zipped "$work/text" -0
ok "without a body it compresses nothing" sh -c "[ -z \"\$(curl -sS -m 20 -X POST $url/gzip | gunzip)\" ]"

kept_after_body() {
	is "$(get --data-binary "@$work/random" -o "$work/1" -o "$work/2" -w '%{http_code} %{num_connects} ' \
		"$url/gzip" "$url/gzip")" "200 1 200 0 " && cmp "$work/1" "$work/2"
}
ok "a connection serves several bodies" kept_after_body

expected_100() {
	get -D "$work/head" --expect100-timeout 20 -H 'Expect: 100-continue' --data-binary "@$work/text" "$url/gzip" |
		gunzip | cmp - "$work/text" && head -n 1 "$work/head" | grep '^HTTP/1.1 100 Continue'
}
ok "it asks for the body if the client expects that" expected_100

post="POST /gzip HTTP/1.1\\r\\n$x"
last='GET /healthz HTTP/1.0\r\n\r\n'
# unzipped TEXT PIECE...: the responses are this text, compressed, in one chunk or more, and "ok"
unzipped() {
	text=$1
	shift
	answers 200 "$@" >/dev/null || return 1
	perl -0777 -MIO::Uncompress::Gunzip=gunzip -e '
		my ($all, $bytes, $text) = (scalar <STDIN>, "", "");
		$all =~ s/^HTTP.*?\r\n\r\n//s or die;
		while ($all =~ s/^([0-9a-f]+)\r\n//) {
			my $length = hex $1;
			$bytes .= substr($all, 0, $length);
			substr($all, 0, $length + 2) = "";
			last if !$length;
		}
		gunzip \$bytes => \$text;
		print $text;
		exit $all !~ /^HTTP.*\r\n\r\nok\n$/s;' <"$work/answer" >"$work/unzipped" && is "$(cat "$work/unzipped")" "$text"
}
ok "a pipelined request behind a body is answered" unzipped hello \
	"${post}Content-Length: 5\\r\\n\\r\\nhello$last"
ok "a pipelined request behind chunks, too" unzipped hello \
	"$post$chunked\\r\\n\\r\\n3;a=b\\r\\nhel\\r\\n2\\r\\nlo\\r\\n0\\r\\nRange: bytes=0-1\\r\\nHost: y\\r\\n\\r\\n$last"
ok "a body may arrive in pieces" unzipped hello "${post}Content-Length: 5\\r\\n\\r" '\n' h e ll o "$last"
ok "a pipelined request may be cut behind a CR" unzipped hello \
	"$post$chunked\\r\\n\\r\\n5\\r\\nhello\\r\\n0\\r\\n\\r\\n${last%'\n'}" '\n'
ok "chunks may arrive in pieces" unzipped hello "$post$chunked\\r\\n\\r\\n" 5 '\r' '\nhel' l 'o\r' '\n0' '\r\n\r' "\\n$last"

for verb in GET HEAD PUT; do
	not_post() {
		answers 405 "$verb /gzip HTTP/1.1\\r\\n$x\\r\\n" && grep '^Allow: POST' "$work/answer"
	}
	ok "405 for $verb, with the allowed method" not_post
done
ok "400 for two kinds of length" answers 400 "${post}Content-Length: 5\\r\\n$chunked\\r\\n\\r\\n0\\r\\n\\r\\n"
ok "400 for them in the other order" answers 400 "$post$chunked\\r\\nContent-Length: 5\\r\\n\\r\\n0\\r\\n\\r\\n"
for coding in gzip 'gzip, chunked' 'chunked, gzip' xchunked 'chunked, chunked' ''; do
	ok "400 for Transfer-Encoding: $coding" answers 400 "${post}Transfer-Encoding: $coding\\r\\n\\r\\n0\\r\\n\\r\\n"
done
ok "400 for two codings" answers 400 "$post$chunked\\r\\n$chunked\\r\\n\\r\\n0\\r\\n\\r\\n"
ok "400 for chunks in HTTP/1.0" answers 400 "POST /gzip HTTP/1.0\\r\\n$chunked\\r\\n\\r\\n0\\r\\n\\r\\n"
ok "400 for a broken chunk" answers 400 "$post$chunked\\r\\n\\r\\nx\\r\\n"
# Each of these could be read in two ways.
case=0
for body in '5\rXhello\r\n0\r\n\r\n' '5\r\nhelloXX0\r\n\r\n' '5 6\r\nhello\r\n0\r\n\r\n' \
	'5;a\nbb\r\nhello\r\n0\r\n\r\n' '5;\0\r\nhello\r\n0\r\n\r\n' '5\nhello\r\n0\r\n\r\n'; do
	ok "400 for ambiguous chunks, case $((case += 1))" answers 400 "$post$chunked\\r\\n\\r\\n$body"
done
ok "431 for endless fields after the last chunk" answers 431 "$post$chunked\\r\\n\\r\\n0\\r\\n" 'REPEAT 4000 A: b\r\n'
ok "400 for a length with a second number" answers 400 "${post}Content-Length: 5 5\\r\\n\\r\\nhello"
ok "413 for too large a chunk or length" answers 413 "${post}Content-Length: 18446744073709551616\\r\\n\\r\\n"
ok "SIGTERM ends it with exit status 0" stop TERM

start --timeout 60
# broken_later PIECE...: the response has begun, so it ends without its last chunk
broken_later() {
	perl "$here/client.pl" "$port" "$post$chunked\\r\\n\\r\\n" 'REPEAT 40000 4\r\nabcd\r\n' "$@" >"$work/answer" || return 1
	head -n 1 "$work/answer" | grep '^HTTP/1.1 200 ' || return 1
	tail -c 5 "$work/answer" | od -c >"$work/end"
	cat "$work/end"
	! grep -q '0  \\r  \\n  \\r  \\n' "$work/end" && get "$url/healthz"
}
ok "a chunk that is broken later cuts the response" broken_later 'x\r\n'
ok "a client that ends within the body gets no end" broken_later END

long_body() {
	head -c 40000000 /dev/zero | get -H "$chunked" -T - -X POST "$url/gzip" | gunzip | wc -c >"$work/length"
	is "$(cat "$work/length")" 40000000
}
ok "a long body needs little memory" grows_little 8192 long_body

many_bodies() {
	pids=
	for number in 1 2 3 4 5 6 7 8; do
		get --data-binary "@$work/text" "$url/gzip" | gunzip | cmp - "$work/text" &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || return 1
	done
}
ok "many clients compress at once" many_bodies

left_early() {
	for _ in 1 2 3 4 5 6 7 8; do
		perl -MIO::Socket::INET -MSocket -e '
			my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => shift);
			syswrite($s, "POST /gzip HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" . "x" x 200000);
			select(undef, undef, undef, 0.02);
			setsockopt($s, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0));
			close($s);' "$port"
	done
	within 20 quiet && within 20 balanced && get "$url/healthz"
}
ok "clients that leave within a body are forgotten" left_early

ok "SIGTERM ends it with exit status 0" stop TERM

start --timeout 1
ok "408 for a body that does not arrive" answers 408 "${post}Content-Length: 5\\r\\n\\r\\nhell"
ok "a body that stops later cuts the response" broken_later HOLD

# The client sends as long as the server accepts bytes, and reads nothing.
not_read() {
	perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]);
		open(my $random, "<", $ARGV[1]);
		sysread($random, my $bytes, 1000000);
		$SIG{PIPE} = "IGNORE";
		syswrite($s, "POST /gzip HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
		my $sent = 0;
		while (my $more = syswrite($s, $bytes)) { $sent += $more; }
		print "sent $sent bytes\n";
		exit($sent > 50000000);' "$port" "$work/random"
}
ok "a client that reads nothing is not read, and closed" grows_little 16384 not_read
ok "and SIGTERM ends it with exit status 0" stop TERM

start
ends_upload() {
	rm -f "$work/zipped"
	get --limit-rate 2M --data-binary "@$work/random" "$url/gzip" >"$work/zipped" &
	client=$!
	within 10 test -s "$work/zipped" || return 1
	stop TERM && wait "$client" && gunzip <"$work/zipped" | cmp - "$work/random"
}
ok "SIGTERM: an upload is completed, and it exits with 0" ends_upload
