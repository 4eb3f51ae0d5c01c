# SPDX-License-Identifier: MIT
# The programs of both loops source this file in the chroot. Their output is compared with the output of
# a plain run. $RUN precedes the command under test.
set -eu
PATH=/usr/sbin:$PATH
server='' log=''
# begin LOG COMMAND...: starts a server and sets $server to its process id.
begin() {
	log=$1
	shift
	"$@" >"$log" 2>&1 &
	server=$!
}

# until_true COMMAND...: repeats the command until it succeeds, for at most 20 seconds.
until_true() {
	tries=400
	while ! "$@" >/dev/null 2>&1; do
		[ $((tries -= 1)) -gt 0 ] || {
			echo "not true within 20 seconds: $*"
			[ ! -e "$log" ] || cat "$log"
			return 1
		}
		sleep 0.05
	done
}

# ended: waits at most 20 seconds for the end of $server and prints its exit status.
ended() {
	until_true sh -c "! kill -0 $server || grep -q '^State:.Z' /proc/$server/status"
	status=0
	wait "$server" || status=$?
	echo "exit status $status"
	figures "$log"
}

# figures LOG: prints the lines of ringwake-uv or ringwake-ev in LOG.
figures() {
	grep '^ringwake-[ue]v:' "$1" || :
}

# questions LOG: prints how many queries dnsperf sent and how many were answered.
questions() {
	sed -n 's/^ *\(Queries [a-z]*:\)  */\1 /p' "$1" | paste -s -d ' '
}

descriptors() {
	find "/proc/$server/fd" -mindepth 1 | wc -l
}

# no_more_than COUNT: waits until the server has at most COUNT descriptors.
no_more_than() {
	until_true sh -c "[ \$(find /proc/$server/fd -mindepth 1 | wc -l) -le $1 ]" &&
		echo "no further descriptors"
}
