# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# Part of webserver.test: no memory, and little memory for each connection.

# Clients come until the server has no more memory. Those that it does not refuse are answered.
without_memory() {
	get "$url/digest?bytes=1" || return 1
	size=$(awk '/^VmSize/ { print $2 * 1024 }' "/proc/$server/status")
	prlimit --pid "$server" --as=$((size + $1 * 1024))
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) } 1 .. 900;
		my $other = 0;
		$SIG{PIPE} = "IGNORE";
		syswrite($_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") for @s;
		for my $client (@s) {
			my $all = "";
			1 while $all !~ /<\/html>/ && sysread($client, $all, 65536, length $all);
			$other++ if $all !~ m{^HTTP/1.1 200 };
		}
		print $other;' "$port" >"$work/refused" || return 1
	within 20 get "$url/healthz" || return 1
	refused=$(cat "$work/refused")
	[ "$refused" -gt 0 ] && counts_refused "$refused"
}
if [ -n "$bloated" ]; then
	skip "without memory it refuses clients" "$bloated"
else
	for kib in 0 100 1100 4000; do
		start
		ok "without memory it refuses clients ($kib KiB)" without_memory "$kib"
		ok "and it ends on SIGTERM" stop TERM
	done
fi

keeps_little() {
	before=$(resident_kib)
	perl -MIO::Socket::INET -e '
		my @clients = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $ARGV[0]) } 1 .. 200;
		$SIG{TERM} = sub { exit };
		$| = 1;
		for my $client (@clients) {
			syswrite($client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n" x 100);
			my ($pages, $all) = (0, "");
			while ($pages < 100 && sysread($client, $all, 65536, length $all)) {
				$pages++ while $all =~ s/^.*?<\/html>//s;
			}
		}
		print "idle\n";
		sleep 60;' "$port" >"$work/crowd" &
	crowd=$!
	within 60 grep -q idle "$work/crowd" || return 1
	each=$((($(resident_kib) - before) / 200))
	kill "$crowd"
	wait "$crowd" || :
	echo "KiB per idle connection: $each"
	[ "$each" -lt 64 ]
}
if [ -n "$bloated" ]; then
	skip "an idle connection uses little memory" "$bloated"
else
	start
	ok "an idle connection uses little memory" keeps_little
	ok "and the server ends with many connections" stop TERM
fi
