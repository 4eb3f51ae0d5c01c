# SPDX-License-Identifier: MIT
# bind9-load.sh udp|tcp: queries that named answers in a second, by dnsperf, on a zone of 1000 names.
set -eu
PATH=/usr/sbin:$PATH
{
	echo "@ 60 SOA ns hostmaster 1 3600 600 86400 60"
	echo "@ 60 NS ns"
	echo "ns 60 A 127.0.0.1"
	seq 1000 | sed 's/.*/name& 60 A 192.0.2.1/'
} >zone
seq 1000 | sed 's/.*/name&.ringwake.test A/' >queries
cat >named.conf <<'CONF'
controls { };
options {
	directory "/tmp";
	pid-file none;
	session-keyfile "/tmp/session.key";
	recursion no;
	dnssec-validation no;
	listen-on port 5300 { 127.0.0.1; };
	listen-on-v6 { none; };
};
zone "ringwake.test" { type primary; file "zone"; };
CONF
# shellcheck disable=SC2086 # $RUN is a command
$RUN named -g -n 2 -c named.conf >named.log 2>&1 &
server=$!
tries=200
until dig @127.0.0.1 -p 5300 +short +timeout=1 +tries=1 name1.ringwake.test 2>&1 | grep -q '^192'; do
	[ $((tries -= 1)) -gt 0 ] || { cat named.log >&2; exit 1; }
	sleep 0.05
done
dnsperf -s 127.0.0.1 -p 5300 -m "$1" -d queries -c 8 -T 1 -q 50 -l 2 >load.log 2>&1
kill -TERM "$server"
wait "$server"
sed -n 's/^ *Queries per second: *//p' load.log
