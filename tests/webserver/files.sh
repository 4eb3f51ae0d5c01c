# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: the files below --root.

start
ok "without --root there are no files" answers 404 "GET /small.txt HTTP/1.1\\r\\n$x\\r\\n"
ok "SIGTERM ends it with exit status 0" stop TERM

no_such_root() {
	timeout 20 "$program" --port 0 --root "$work/none" >/dev/null 2>"$work/usage" && status=0 || status=$?
	grep -e "^--root=$work/none: No such file" "$work/usage" && is "$status" 2
}
ok "a --root that does not exist is an error" no_such_root

no_openat2() {
	timeout 20 strace -f -qq -o /dev/null -e inject=openat2:error=ENOSYS \
		"$program" --port 0 --root "$work" >/dev/null 2>"$work/usage" && status=0 || status=$?
	grep -e "^--root=$work: openat2: .*; it needs Linux 5.6" "$work/usage" && is "$status" 2
}
if [ -n "$bloated" ] || ! strace -qq -o /dev/null true 2>/dev/null; then
	skip "a kernel without openat2 is an error" "strace is not installed, or does not run here"
else
	ok "a kernel without openat2 is an error" no_openat2
fi

root=$work/root
mkdir -p "$root/directory"
printf 'hello, world\n' >"$root/small.txt"
printf '<p>' >"$root/directory/index.HTML"
: >"$root/empty.css"
echo spaces >"$root/a b%.txt"
head -c 3000000 /dev/urandom >"$root/large"
truncate -s 300M "$root/huge.bin"
echo secret >"$work/secret"
ln -s small.txt "$root/inside"
ln -s ../secret "$root/outside"
ln -s "$work/secret" "$root/absolute"
ln -s /proc/self/root/etc "$root/magic"
mkfifo "$root/fifo"
start --root "$root" --timeout 60

# file PATH FILE: GET returns the file, all at once and after other requests
file() {
	get "$url/$1" | cmp - "$2" && get "$url/healthz" "$url/$1" "$url/$1" >"$work/three" &&
		{ echo ok && cat "$2" "$2"; } | cmp - "$work/three"
}
ok "a file is sent" file small.txt "$root/small.txt"
ok "a large file is sent" file large "$root/large"
ok "an empty file is sent" file empty.css /dev/null
ok "a file in a directory is sent" file directory/index.HTML "$root/directory/index.HTML"
ok "a name may have encoded characters" file a%20b%25.txt "$root/a b%.txt"
ok "a query is ignored" file 'small.txt?a=b' "$root/small.txt"
ok "a symbolic link inside is followed" file inside "$root/small.txt"
ok ".. inside is followed" sh -c "curl -sS --path-as-is $url/directory/../small.txt | cmp - $root/small.txt"

# header NAME CURL-ARGUMENT...: prints the values of this field
header() {
	name=$1
	shift
	get -D - -o /dev/null "$@" | tr -d '\r' | sed -n "s/^$name: //ip"
}
for pair in small.txt=text/plain directory/index.HTML=text/html empty.css=text/css large=application/octet-stream; do
	ok "the type of ${pair%=*}" is "$(header content-type "$url/${pair%=*}" | cut -d ';' -f 1)" "${pair#*=}"
done

kept_alive() {
	is "$(get -o "$work/1" -o "$work/2" -o "$work/3" -w '%{num_connects} ' \
		"$url/large" "$url/small.txt" "$url/large")" "1 0 0 "
}
ok "a connection serves several files" kept_alive

pipelined_files() {
	answers 200 "GET /large HTTP/1.1\\r\\n$x\\r\\nGET /small.txt HTTP/1.1\\r\\n$x\\r\\nGET /healthz HTTP/1.0\\r\\n\\r\\n" >/dev/null &&
		is "$(grep -ao 'HTTP/1.1 200 OK' "$work/answer" | wc -l)" 3 && is "$(tail -n 1 "$work/answer")" ok
}
ok "files are answered in order" pipelined_files

head_of_file() {
	answers 200 "HEAD /large HTTP/1.1\\r\\n${x}Range: bytes=0-1\\r\\nConnection: close\\r\\n\\r\\n" &&
		grep '^Content-Length: 3000000' "$work/answer" && is "$(sed '1,/^\r$/d' "$work/answer" | wc -c)" 0
}
ok "HEAD has the header of a file and no body" head_of_file

outside() {
	# shellcheck disable=SC2016 # perl reads it
	for target in ../secret /../secret directory/../../secret %2e%2e/secret ..%2fsecret outside absolute \
		magic/passwd /etc/passwd //etc/passwd %2Fetc%2Fpasswd directory . .. directory/ fifo none small.txt/ \
		small.txt/x "$(repeat 300 a)" "$(repeat 1500 a/)"; do
		answers 404 "GET /$target HTTP/1.1\\r\\n$x\\r\\n" && ! grep -qE 'secret|root:' "$work/answer" || return 1
	done
}
ok "404 for what is not a regular file below the root" outside

# Opening a pipe lets a process go on that waits for a reader, and opening a device may have effects, too.
not_opened() {
	sh -c 'exec 8>"$1"; echo opened >"$2"' sh "$root/fifo" "$work/opened" &
	writer=$!
	within 20 waits_for_reader || return 1
	answers 404 "GET /fifo HTTP/1.1\\r\\n$x\\r\\n" && waits_for_reader && [ ! -e "$work/opened" ] && status=0 || status=$?
	kill "$writer"
	wait "$writer" 2>/dev/null || :
	return "$status"
}
waits_for_reader() {
	grep -q '^State:.S' "/proc/$writer/status" && [ "$(cat "/proc/$writer/comm")" = sh ]
}
ok "a pipe is not opened" not_opened
for target in a%00 %zz %4 % %; do
	ok "400 for /$target" answers 400 "GET /$target HTTP/1.1\\r\\n$x\\r\\n"
done
ok "400 for * instead of /" answers 400 "GET *small.txt HTTP/1.1\\r\\n$x\\r\\n"
ok "405 for POST to a file" answers 405 "POST /small.txt HTTP/1.1\\r\\n$x\\r\\n"

tag=$(header etag "$url/small.txt")
# conditional STATUS FIELD VALUE
conditional() {
	is "$(get -o "$work/body" -w '%{http_code}' -H "$2: $3" "$url/small.txt")" "$1" &&
		{ [ "$1" != 304 ] || [ ! -s "$work/body" ]; }
}
for value in "$tag" "W/$tag" "\"a\", $tag" "$tag,\"a\"" "*"; do
	rm -f "$work/body"
	ok "304 for If-None-Match: $value" conditional 304 If-None-Match "$value"
done
for value in '"a"' "$tag$(repeat 300 a)" '""' "${tag%\"}"; do
	ok "200 for If-None-Match: $(echo "$value" | cut -c 1-60)" conditional 200 If-None-Match "$value"
done
not_modified_keeps() {
	is "$(get -H "If-None-Match: $tag" -o "$work/1" -o "$work/2" -w '%{http_code} %{num_connects} ' \
		"$url/small.txt" "$url/small.txt")" "304 1 304 0 " && is "$(header etag -H "If-None-Match: $tag" "$url/small.txt")" "$tag"
}
ok "304 keeps the connection, and has the tag" not_modified_keeps
changed() {
	printf 'hello, earth\n' >"$root/small.txt"
	conditional 200 If-None-Match "$tag" && [ "$(header etag "$url/small.txt")" != "$tag" ]
}
ok "a changed file has another tag" changed

# part RANGE STATUS TEXT CONTENT-RANGE
part() {
	is "$(get -H "Range: $1" -w '|%{http_code}' "$url/small.txt" | tr '\n' .)" "$3|$2" &&
		is "$(header content-range -H "Range: $1" "$url/small.txt")" "$4"
}
all=hello,\ earth.
most=18446744073709551616
while IFS='|' read -r range status text content; do
	ok "$status for Range: $range" part "$range" "$status" "$text" "$content"
done <<EOT
bytes=0-4|206|hello|bytes 0-4/13
bytes=0-0|206|h|bytes 0-0/13
bytes=7-|206|earth.|bytes 7-12/13
bytes=-3|206|th.|bytes 10-12/13
bytes=-99|206|$all|bytes 0-12/13
bytes=12-12|206|.|bytes 12-12/13
bytes=10-99|206|th.|bytes 10-12/13
bytes=10-$most|206|th.|bytes 10-12/13
BYTES=0-4|206|hello|bytes 0-4/13
bytes=13-|416||bytes */13
bytes=$most-|416||bytes */13
bytes=-0|416||bytes */13
bytes=4-2|200|$all|
bytes=-|200|$all|
bytes=a-b|200|$all|
bytes=1-2x|200|$all|
bytes=0-1,3-4|200|$all|
lines=0-1|200|$all|
bytes=|200|$all|
EOT
two_ranges() {
	answers 200 "GET /small.txt HTTP/1.1\\r\\n${x}Range: bytes=0-1\\r\\nRange: bytes=2-3\\r\\nConnection: close\\r\\n\\r\\n"
}
ok "two Range fields are ignored" two_ranges
large_part() {
	get -r 65530-2999990 "$url/large" >"$work/part" &&
		head -c 2999991 "$root/large" | tail -c +65531 | cmp - "$work/part"
}
ok "a large part is sent" large_part
tag=$(header etag "$url/small.txt")
if_range() {
	is "$(get -o /dev/null -w '%{http_code}' -H "If-Range: $1" -r 0-1 "$url/small.txt")" "$2"
}
ok "If-Range with the tag: a part" if_range "$tag" 206
ok "If-Range with another tag: all" if_range '"a"' 200
ok "If-Range with a weak tag: all" if_range "W/$tag" 200
ok "If-Range with a date: all" if_range 'Thu, 01 Jan 1970 00:00:00 GMT' 200

# It shrinks behind what the socket buffers hold.
shrinks() {
	truncate -s 100M "$root/shrinking"
	perl -MIO::Socket::INET -e '
		my ($port, $file) = @ARGV;
		my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port);
		syswrite($s, "GET /shrinking HTTP/1.1\r\nHost: x\r\n\r\n");
		sysread($s, my $all, 1000);
		truncate($file, 1000);
		my $length = length $all;
		while (my $more = sysread($s, $all, 65536)) { $length += $more; }
		print $length;
		exit !($all !~ /HTTP/ && $length > 1000 && $length < 100 << 20);' "$port" "$root/shrinking" &&
		get "$url/healthz"
}
ok "if a file shrinks, its connection is closed" shrinks

# The clients read the header only. Without back-pressure the server would hold 16 times 300 MiB.
holds_little() {
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) or die } 1 .. 16;
		syswrite($_, "GET /huge.bin HTTP/1.1\r\nHost: x\r\n\r\n") for @s;
		sysread($_, my $head, 100) for @s;
		select(undef, undef, undef, 0.5);' "$port"
	within 20 quiet_again
}
quiet_again() {
	quiet && ! file_is_open
}
ok "clients that do not read cost little memory, and no descriptor is lost" \
	grows_little 16384 holds_little

file_is_open() {
	find "/proc/$server/fd" -lname "$root/huge.bin" 2>/dev/null | grep -q .
}

many_files() {
	pids=
	for number in 1 2 3 4 5 6 7 8; do
		get "$url/large" "$url/huge.bin" "$url/large" | cmp - "$work/files" &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || return 1
	done
}
truncate -s 20M "$root/huge.bin"
cat "$root/large" "$root/huge.bin" "$root/large" >"$work/files"
ok "many clients get large files at once" many_files

ends_download() {
	get --limit-rate 4M "$url/large" >"$work/download" &
	client=$!
	within 10 test -s "$work/download" || return 1
	stop TERM && wait "$client" && cmp "$root/large" "$work/download"
}
ok "SIGTERM: a download is completed, and it exits with 0" ends_download

# The download would take 37 seconds.
cut_download() {
	get --limit-rate 8M "$url/huge.bin" >/dev/null 2>&1 &
	client=$!
	within 10 file_is_open || return 1
	kill -TERM "$server"
	within 10 gone || return 1
	wait "$server" && status=0 || status=$?
	server=
	! wait "$client" && is "$status" 0
}
truncate -s 300M "$root/huge.bin"
start --root "$root" --timeout 1
timed_out() {
	[ "$(metric webserver_timeouts_total)" = 1 ]
}
stalls() {
	perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]);
		syswrite($s, "GET /huge.bin HTTP/1.1\r\nHost: x\r\n\r\n");
		sleep 60;' "$port" &
	client=$!
	within 20 timed_out && within 20 quiet_again && status=0 || status=$?
	kill "$client"
	wait "$client" 2>/dev/null || :
	return "$status"
}
ok "a client that does not read a file is closed" stalls
ok "SIGTERM: a long download is cut off, and it exits with 0" cut_download
