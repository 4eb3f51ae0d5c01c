# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: --log, also on a disk that is slow or full.

log=$work/access.log

no_such_log() {
	timeout 20 "$program" --port 0 --log "$work/no/such" >/dev/null 2>"$work/usage" && status=0 || status=$?
	grep "^--log=$work/no/such: " "$work/usage" && is "$status" 1
}
ok "a log that cannot be opened is an error" no_such_log

# Opening a pipe for writing blocks until a process opens it for reading.
no_reader() {
	timeout -k 5 20 "$program" --port 0 --log "$work/pipe" >/dev/null 2>"$work/usage" && status=0 || status=$?
	grep "^--log=$work/pipe: it is a socket, or a pipe that no process reads" "$work/usage" && is "$status" 1
}
mkfifo "$work/pipe"
ok "a log that is a pipe without a reader is an error" no_reader

# logged NUMBER REGEX: checks the number of such lines
logged() {
	grep -cE "^(127\\.0\\.0\\.1|-) - - \\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}(:[0-9]{2}){3} \\+0000\\] $2\$" "$log" \
		>"$work/number" || :
	cat "$log"
	is "$(cat "$work/number")" "$1"
}
lines() {
	[ "$(wc -l <"$log")" -ge "$1" ]
}
log_lines() {
	get "$url/digest?bytes=3" && get -I "$url/healthz" && get "$url/none" || return 1
	perl "$here/client.pl" "$port" 'GET /a"\b HTTP/1.0\r\n\r\n' >/dev/null
	perl "$here/client.pl" "$port" 'nonsense\r\n\r\n' >/dev/null
	perl "$here/client.pl" "$port" 'DELETE / HTTP/1.1\r\nHost: x\r\n\r\n' >/dev/null
	perl "$here/client.pl" "$port" 'POST / HTTP/1.1\r\nHost: x\r\n\r\n' >/dev/null
	perl "$here/client.pl" "$port" 'REPEAT 1 GET /' 'REPEAT 500 y' ' HTTP/1.1\r\nHost: x\r\n\r\n' >/dev/null
	within 20 lines 8 || return 1
	logged 1 '"GET /digest\?bytes=3 HTTP/1\.1" 200 [1-9][0-9]*' &&
		logged 1 '"HEAD /healthz HTTP/1\.1" 200 0' &&
		logged 1 '"GET /none HTTP/1\.1" 404 [0-9]+' &&
		logged 1 '"GET /a\\x22\\x5cb HTTP/1\.0" 4[0-9]+ [0-9]+' &&
		logged 1 '"-" 400 [0-9]+' &&
		logged 1 '"POST / HTTP/1\.1" 405 [0-9]+' &&
		logged 1 '"OTHER / HTTP/1\.1" 405 [0-9]+' &&
		logged 1 '"GET /y{254} HTTP/1\.1" 404 [0-9]+' &&
		is "$(wc -l <"$log")" 8
}

# pipeline NUMBER: sends requests without reading, then reads all answers
pipeline() {
	perl -MIO::Socket::INET -e '
		my ($port, $number) = @ARGV;
		alarm 60;
		my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port) or die;
		my $writer = fork;
		if (!$writer) {
			print $s "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" x ($number - 1),
				"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
			$s->flush;
			exit;
		}
		my $good = grep { m{^HTTP/1.1 200 } } <$s>;
		waitpid($writer, 0);
		exit($good != $number);' "$port" "$1"
}

flushes() {
	pipeline 3000 || return 1
	stop TERM || return 1
	is "$(grep -vc '"GET /events ' "$log")" 3008
}

# A pipe that nobody reads is a slow disk: it takes 64 KiB.
slow_disk() {
	pipeline 20000 || return 1
	lost=$(metric webserver_log_lines_lost_total)
	echo "lost $lost"
	[ "$lost" -gt 10000 ] && [ "$lost" -lt 20000 ]
}
# Once the disk is fast again, each request has a line or is counted as lost.
reads() {
	[ "$(wc -l <"$work/read")" "$1" "$2" ]
}
written_or_lost() {
	timeout 60 cat <"$work/pipe" >"$work/read" &
	reader=$!
	within 20 reads -ge 4096 || return 1 # then the channel has room
	lost=$(metric webserver_log_lines_lost_total)
	within 20 reads -eq $((20002 - lost)) && status=0 || status=$?
	kill "$reader"
	wait "$reader" 2>/dev/null || :
	echo "requests 20002, lost $lost, lines $(wc -l <"$work/read")"
	return "$status"
}
ends_slow() {
	pipeline 20000 || return 1
	begin=$(date +%s)
	stop TERM || return 1
	grep 'too slow' "$work/stderr" && [ $(($(date +%s) - begin)) -lt 15 ]
}

full_disk() {
	pipeline 100 || return 1
	within 20 are_lost 100
}
# are_lost NUMBER: at least so many lines
are_lost() {
	[ "$(metric webserver_log_lines_lost_total)" -ge "$1" ]
}

rotates() {
	get "$url/none" && within 20 lines 1 && cp "$log" "$work/old" && : >"$log" || return 1
	get "$url/other" && within 20 lines 1 || return 1
	cat "$work/old" "$log"
	grep -q '^127.*GET /none' "$work/old" && grep -q '^127.*GET /other' "$log" && ! grep -q none "$log"
}

# The kernel sends SIGXFSZ to a process whose file would become too large.
too_large() {
	pipeline 1000 || return 1
	within 20 are_lost 100 && get "$url/healthz" && [ "$(wc -c <"$log")" -le 4096 ]
}

start --log "$log" --loops 2
ok "--log writes a line for each request" log_lines
if [ "$options" = "--loop uv --path eventfd" ]; then
	no_ring() {
		curl -sS -N -m 1 "$url/events" >"$work/events" 2>&1 || :
		find "/proc/$server/fd" -type l -exec readlink {} + >"$work/descriptors"
		grep -c 'eventfd' "$work/descriptors" && ! grep 'io_uring' "$work/descriptors"
	}
	ok "with --path eventfd no thread has an io_uring" no_ring
fi
ok "at SIGTERM no line is lost" flushes
exec 7<>"$work/pipe"
start --log "$work/pipe" 7<&-
ok "a slow disk loses lines, but no answers" slow_disk
ok "each line is written or counted as lost" written_or_lost
ok "a slow disk does not keep the server from ending" ends_slow
exec 7<&-
start --log /dev/full
ok "a full disk loses lines, but no answers" full_disk
ok "and the server ends on SIGTERM" stop TERM
rm "$log"
start --log "$log"
ok "after a rotation, lines begin at the start of the file" rotates
ok "and the server ends on SIGTERM" stop TERM
rm "$log"
limit="prlimit --fsize=4096:4096"
start --log "$log"
limit=
ok "a limit of the file's size loses lines, but no answers" too_large
ok "and the server ends on SIGTERM" stop TERM
