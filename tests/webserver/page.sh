# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: the page at /, its files, and the load that its button starts. The page is
# opened in a browser by browser/page.py.

start

# field NAME: prints the field of the last response
field() {
	tr -d '\r' <"$work/head" | awk -F ': ' -v name="$1" 'tolower($1) == name { print substr($0, length(name) + 3) }'
}

page() {
	get -D "$work/head" "$url/" >"$work/home" || return 1
	is "$(field content-type)" 'text/html; charset=utf-8' && head -n 1 "$work/home" | grep -qx '<!DOCTYPE html>' &&
		! grep -E '(src|href)="(https?:)?//|<script>|style=|onclick' "$work/home"
}
ok "/ is a page that has no script or style in it and loads nothing from other sites" page

policy() {
	get -D "$work/head" "$url/" >/dev/null || return 1
	policy=$(field content-security-policy)
	echo "$policy"
	case $policy in
	*unsafe* | *'*'*) return 1 ;;
	"default-src 'none'; script-src 'self'; style-src 'self'; "*"connect-src 'self'"*) ;;
	*) return 1 ;;
	esac
}
ok "its policy allows this server only" policy

files_of_page() {
	grep -oE '(src|href)="/page\.[a-z]*"' "$work/home" | sed 's/.*"\(.*\)"/\1/' | sort -u >"$work/files"
	is "$(wc -l <"$work/files")" 2 || return 1
	while read -r file; do
		get -D "$work/head" "$url$file" | cmp - "$here/../../examples/webserver$file" || return 1
		field content-type | grep -qE '^text/(css|javascript); charset=utf-8$' || return 1
		is "$(field x-content-type-options)" nosniff || return 1
	done <"$work/files"
}
ok "the files that it loads" files_of_page

ok "/ does not claim to be ringwake before the script knows" sh -c "! grep -i ringwake '$work/home'"

status_of() {
	get -o /dev/null -w '%{http_code}' "$@"
}
ok "/load is for POST" is "$(status_of "$url/load")" 405
ok "/load takes no body" is "$(status_of -d x "$url/load")" 413
ok "the page of another server cannot start the load" is "$(status_of -X POST -H 'Origin: http://example.com' "$url/load")" 403
ok "nor can a page with no origin that it may name" is "$(status_of -X POST -H 'Origin: null' "$url/load")" 403

has_completed() {
	[ "$(metric webserver_work_completed_total)" -gt "$1" ]
}
is_at_rest() {
	[ "$(metric webserver_work_submitted_total)" = "$(metric webserver_work_completed_total)" ]
}
load_runs() {
	before=$(metric webserver_work_completed_total)
	is "$(status_of -X POST -H "Origin: $url" "$url/load")" 200 || return 1
	within 60 has_completed $((before + 100))
}
ok "its own page starts the load, whose completions are counted" load_runs
ok "one load at a time" is "$(status_of -X POST "$url/load")" 409

second_load() {
	[ "$(status_of -X POST "$url/load")" = 200 ]
}
ok "the load ends by itself, and another one can start" within 60 second_load
ok "a server with a load ends on SIGTERM" stop TERM

# The kernel distributes these clients to all loops, and all ask before the load ends.
start --loops 4
statuses() {
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) } 1 .. 16;
		syswrite($_, "POST /load HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") for @s;
		my %seen;
		for (@s) {
			sysread($_, my $answer, 65536);
			$seen{($answer =~ m{^HTTP/1.1 (\d+)})[0]}++;
		}
		print join " ", map { "$_:$seen{$_}" } sort keys %seen;' "$port"
}
ok "one load at a time, with several loops, too" is "$(statuses)" "200:1 409:15"
ok "several loops with a load end on SIGTERM" stop TERM

ok "it refuses a --peer that is no origin" usage_error --peer 'http://127.0.0.1:1/x'
ok "it refuses a --peer that could end a header field" usage_error --peer "$(printf 'http://x\r\ny:')"

start --peer http://127.0.0.1:9
peer_fields() {
	get -D "$work/head" "$url/" >/dev/null || return 1
	field content-security-policy | grep -q "connect-src 'self' http://127.0.0.1:9\$" || return 1
	get -D "$work/head" "$url/metrics" | grep -q 'peer="http://127.0.0.1:9"' || return 1
	is "$(field access-control-allow-origin)" http://127.0.0.1:9 || return 1
	is "$(status_of -X POST -H 'Origin: http://127.0.0.1:9' "$url/load")" 200
}
ok "the page may read the figures of --peer, and that server's page those of this one" peer_fields
stop TERM
