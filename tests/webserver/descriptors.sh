# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: too few file descriptors.

ticks() {
	awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$server/stat"
}
crowd() {
	prlimit --pid "$server" --nofile=40:40
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) } 1 .. 80;
		$SIG{TERM} = sub { exit };
		$| = 1;
		sysread($s[-1], my $byte, 1);
		print "shed\n";
		sleep 20;' "$port" >"$work/crowd" &
	crowd=$!
	within 20 grep -q shed "$work/crowd" || return 1
	start_ticks=$(ticks)
	sleep 1
	used=$(($(ticks) - start_ticks))
	kill "$crowd"
	wait "$crowd" || :
	echo "CPU ticks in one second: $used"
	within 20 get "$url/healthz" || return 1
	[ "$used" -lt 30 ]
}
if [ -n "$wrapper" ]; then
	skip "without file descriptors it neither ends nor spins" "does not run under $wrapper"
else
	start
	ok "without file descriptors it neither ends nor spins" crowd
	ok "and it ends on SIGTERM" stop TERM
fi

# with_few DESCRIPTORS: exit status 0 if the server serves, 2 if it says why it cannot
with_few() {
	work=$work/$1
	mkdir "$work"
	trap leave EXIT
	# shellcheck disable=SC2086 # the words are options
	prlimit --nofile="$1:$1" "$program" --port 0 $options >"$work/stdout" 2>"$work/stderr" &
	server=$!
	until announced || gone; do sleep 0.05; done
	if announced; then
		find_port
		get "$url/healthz" && stop TERM || exit 1
	else
		wait "$server" && exit 1
		server=
		grep . "$work/stderr" || exit 1
		exit 2
	fi
}
# With each limit the server either serves, or says why not.
few_descriptors() {
	served=0
	pids=
	for number in $(seq 6 35); do
		(with_few "$number") &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" && status=0 || status=$?
		[ "$status" -ne 1 ] || return 1
		[ "$status" -ne 0 ] || served=$((served + 1))
	done
	echo "served with $served of 30 limits"
	[ "$served" -gt 5 ] && [ "$served" -lt 30 ]
}
if [ -n "$bloated" ]; then
	skip "with few file descriptors it serves or says why not" "$bloated"
else
	ok "with few file descriptors it serves or says why not" few_descriptors
fi

# More clients come than the server has descriptors for. Each is answered or refused.
too_many() {
	perl -MSocket -e '
		$SIG{PIPE} = "IGNORE";
		alarm 30;
		my @clients = map {
			socket(my $client, PF_INET, SOCK_STREAM, 0);
			connect($client, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or die;
			syswrite($client, "GET /digest?bytes=1000 HTTP/1.1\r\nHost: x\r\n\r\n");
			$client } 1 .. 100;
		my ($answered, $refused) = (0, 0);
		for my $client (@clients) {
			my $all = "";
			1 while $all !~ /"}\n/ && sysread($client, $all, 65536, length $all);
			$all =~ m{^HTTP/1.1 200 } ? $answered++ : $all eq "" ? $refused++ : die;
		}
		print "$answered $refused\n";' "$port" >"$work/outcomes" || return 1
	read -r answered refused <"$work/outcomes"
	echo "answered $answered, refused $refused"
	[ "$answered" -gt 0 ] && [ "$refused" -gt 0 ] && within 20 quiet && within 20 balanced && counts_refused "$refused"
}
for pair in 32=1 48=2 80=4; do
	if [ -n "$wrapper" ]; then
		skip "with ${pair%=*} file descriptors each client is answered or refused" "$bloated"
	else
		limit="prlimit --nofile=${pair%=*}:${pair%=*}"
		start --timeout 60 --loops "${pair#*=}"
		limit=
		ok "with ${pair%=*} file descriptors each client is answered or refused (loops: ${pair#*=})" too_many
		ok "and it ends on SIGTERM" stop TERM
	fi
done
