# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Functions for the parts of webserver.test.

path=${WEBSERVER_PATH:-[a-z_]*}
wrapper=${WEBSERVER_WRAPPER-}
# Says why memory is not measured.
bloated=${wrapper:+does not run under $wrapper}${WEBSERVER_SANITIZED:+does not run under a sanitizer}

work=$(mktemp -d)
server=

leave() {
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null || :
	rm -rf "$work"
}
trap leave EXIT
trap 'exit 1' INT TERM

# ok NAME COMMAND...: one test, which passes if the command succeeds
ok() {
	name=$1
	shift
	if "$@" >"$work/why" 2>&1; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		sed 's/^/# /' "$work/why" | cut -c 1-200 | head -n 40
	fi
}

skip() {
	echo "ok - $1 # SKIP $2"
}

# within SECONDS COMMAND...: repeats the command until it succeeds, at least for so long
within() {
	tries=$(($1 * 20))
	shift
	until "$@"; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.05
	done
}

announced() {
	[ -s "$work/stdout" ]
}

# start OPTION...: sets server, port and url. limit is a command that runs the program, or empty.
limit=
start() {
	: >"$work/stdout"
	# shellcheck disable=SC2086 # the words are options
	$limit $wrapper "$program" --port 0 $options "$@" >"$work/stdout" 2>"$work/stderr" &
	server=$!
	if ! within 60 announced; then
		echo "not ok - $program does not start: $(cat "$work/stderr")"
		exit 1
	fi
	find_port
}
find_port() {
	port=$(sed -n '1s|^listening on http://[^ ]*:\([0-9]*\) .*|\1|p' "$work/stdout")
	url=http://127.0.0.1:$port
}

gone() {
	! { read -r stat <"/proc/$server/stat"; } 2>/dev/null || [ "${stat#*) Z}" != "$stat" ]
}

# stop SIGNAL: sends the signal and waits; succeeds if the server exits with 0
stop() {
	kill "-$1" "$server"
	ends
}
ends() {
	within 240 gone || return 1
	wait "$server" && status=0 || status=$?
	server=
	cat "$work/stderr"
	[ "$status" -eq 0 ]
}
get() {
	curl -sS -m 120 "$@"
}

# metric NAME: prints its current value
metric() {
	get "$url/metrics" | awk -v name="$1" '$1 == name { print $2 }'
}

# counts_refused CLIENTS: this test's own queries may be refused, too, until the clients are gone
counts_refused() {
	counted=$(metric webserver_connections_refused_total)
	echo "refused: $1, counted: $counted"
	[ "$counted" -ge "$1" ] && [ "$counted" -lt $(($1 + 400)) ]
}

# The one open connection is the connection of this query.
quiet() {
	[ "$(metric webserver_open_connections)" = 1 ]
}

# With ringwake each completion is a message, and these servers send no others to their loops.
balanced() {
	get "$url/metrics" >"$work/metrics" || return 1
	awk -v want="$balanced_figures" '/^webserver_work_(submitted|completed)_total / || /^ringwake_messages_total / {
			print
			if (!count++) first = $2
			differ += $2 != first
		}
		END { exit count != want || differ }' "$work/metrics"
}
balanced_figures=3
[ "$path" != uv_async ] || balanced_figures=2

is() {
	echo "got:  $1"
	echo "want: $2"
	[ "$1" = "$2" ]
}

# answers STATUS PIECE...: sends these bytes; checks the response and an orderly close
answers() {
	want=$1
	shift
	perl "$here/client.pl" "$port" "$@" >"$work/answer" || {
		echo "client.pl: $?"
		cat "$work/answer"
		return 1
	}
	cat "$work/answer"
	head -n 1 "$work/answer" | grep -q "^HTTP/1.1 $want " &&
		grep -qi '^connection: close' "$work/answer"
}

# bodiless STATUS PIECE...: as answers, and the response ends with its header
bodiless() {
	answers "$@" && is "$(sed '1,/^\r$/d' "$work/answer" | wc -c)" 0
}

# The end of a request's header.
x='Host: x\r\n'

# repeat NUMBER TEXT: prints the text this many times
repeat() {
	awk -v n="$1" -v text="$2" 'BEGIN { while (n-- > 0) printf "%s", text }'
}

digest() {
	is "$(get "$url/digest?bytes=$1")" "{\"bytes\":$1,\"sha256\":\"$2\"}"
}

sum_3=ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc
sum_most=341aacac661ccb210720bedaa9ead5d668fe5ea41a73532fc147c71e34040df1

# The message names the option, and the program without its directory.
usage_error() {
	timeout 20 "$program" "$@" >"$work/usage" 2>&1 && status=0 || status=$?
	cat "$work/usage"
	is "$status" 2 && head -n 1 "$work/usage" | grep -q -e "$1" && grep -q "^Try 'webserver --help'" "$work/usage" &&
		! grep -q "/webserver" "$work/usage"
}

resident_kib() {
	awk '/^VmRSS/ { print $2 }' "/proc/$server/status"
}
peak_kib() {
	awk '/^VmHWM/ { print $2 }' "/proc/$server/status"
}
# grows_little KIB COMMAND...: the server's peak of memory grows by less than this
grows_little() {
	most=$1
	shift
	before=$(peak_kib)
	"$@" || return 1
	grown=$(($(peak_kib) - before))
	echo "grown by $grown KiB"
	[ -n "$bloated" ] || [ "$grown" -lt "$most" ]
}

# loses_nothing KIND OUTCOMES: all clients see the outcomes, and the server ends with exit status 0
loses_nothing() {
	begin=$(date +%s%N)
	got=$(perl "$here/shutdown.pl" "$1" "$port" "$server")
	within 20 gone || return 1
	ms=$((($(date +%s%N) - begin) / 1000000))
	wait "$server" && status=0 || status=$?
	server=
	cat "$work/stderr"
	echo "exit status $status, after $ms ms"
	is "$got" "$2" && [ "$status" -eq 0 ] && [ "$ms" -lt "$most_ms" ]
}
most_ms=60000 # on a machine that does much else; without the limit of shutting down it is 600000

# shuts_down KIND OUTCOMES NAME OPTION...
shuts_down() {
	kind=$1
	outcomes=$2
	test="SIGTERM: $3"
	shift 3
	start --timeout 600 "$@"
	ok "$test" loses_nothing "$kind" "$outcomes"
}
