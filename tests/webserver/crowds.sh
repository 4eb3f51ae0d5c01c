# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: many clients.

idle_crowd() {
	perl -MSocket -MIO::Handle -e '
		my @s = map {
			socket(my $client, PF_INET, SOCK_STREAM, 0);
			connect($client, sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or die;
			$client } 1 .. 10000;
		syswrite($s[$_ * 100], "GET /healthz HTTP/1.0\r\n\r\n") for 0 .. 99;
		my $good = grep { my $all = join("", <$_>); $all =~ m{^HTTP/1.1 200 } } map { $s[$_ * 100] } 0 .. 99;
		print "answered $good of 100\n";
		exit($good != 100);' "$port" || return 1
	within 60 get "$url/healthz" && [ "$(metric webserver_connections_refused_total)" = 0 ]
}
ulimit -n 10100 2>/dev/null || :
if [ -n "$wrapper" ] || [ "$(ulimit -n)" -lt 10100 ]; then
	skip "it serves among ten thousand idle connections" "${bloated:-no more than $(ulimit -n) descriptors}"
else
	start --timeout 60
	ok "it serves among ten thousand idle connections" idle_crowd
	ok "and it ends on SIGTERM" stop TERM
fi

# Each of these clients sends a byte now and then. Others are served meanwhile.
slow_crowd() {
	perl "$here/slow.pl" "$port" 300 >"$work/slow" &
	client=$!
	within 20 grep -q . "$work/slow" || return 1
	number=0
	until grep -qE 'refused|late' "$work/slow"; do
		is "$(curl -sS -m 5 "$url/digest?bytes=3")" "{\"bytes\":3,\"sha256\":\"$sum_3\"}" || return 1
		[ $((number += 1)) -lt 600 ] || return 1
		sleep 0.1
	done
	wait "$client" || return 1
	echo "answered $number others"
	[ "$number" -gt 3 ] && is "$(tail -n 1 "$work/slow")" "refused 300 of 300" &&
		is "$(metric webserver_timeouts_total)" 300
}
start --timeout 2
ok "three hundred slow clients are refused, and others are served" slow_crowd
ok "and it ends on SIGTERM" stop TERM
