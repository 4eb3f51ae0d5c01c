# SPDX-License-Identifier: MIT
# For programs/ of both loops, whose files source it in the chroot. What they print is compared with a
# plain run; the command that is tried stands behind $RUN.
set -eu
PATH=/usr/sbin:$PATH
server='' log=''
# begin LOG COMMAND...: starts a server, whose process is then $server.
begin() {
	log=$1
	shift
	"$@" >"$log" 2>&1 &
	server=$!
}

# until_true COMMAND...: waits until it succeeds, 20 seconds at most.
until_true() {
	tries=400
	while ! "$@" >/dev/null 2>&1; do
		[ $((tries -= 1)) -gt 0 ] || {
			echo "in vain: $*"
			[ ! -e "$log" ] || cat "$log"
			return 1
		}
		sleep 0.05
	done
}

# ended: waits until $server has ended, 20 seconds at most, and prints its exit status.
ended() {
	until_true sh -c "! kill -0 $server || grep -q '^State:.Z' /proc/$server/status"
	status=0
	wait "$server" || status=$?
	echo "exit status $status"
	figures "$log"
}

# figures LOG: what ringwake-uv or ringwake-ev said in it.
figures() {
	grep '^ringwake-[ue]v:' "$1" || :
}

# questions LOG: how many queries dnsperf sent, and got answers to.
questions() {
	sed -n 's/^ *\(Queries [a-z]*:\)  */\1 /p' "$1" | paste -s -d ' '
}

descriptors() {
	find "/proc/$server/fd" -mindepth 1 | wc -l
}

# no_more_than COUNT: the server has at most COUNT descriptors, once the last connections are closed.
no_more_than() {
	until_true sh -c "[ \$(find /proc/$server/fd -mindepth 1 | wc -l) -le $1 ]" &&
		echo "no descriptor more"
}
