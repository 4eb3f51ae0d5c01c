# SPDX-License-Identifier: MIT
# Packages: bind9 bind9-dnsutils dnsperf openssl
# A name server with four loops. It gets queries over UDP, TCP and TLS while it reloads its zone. rndc stops
# the first run, SIGTERM the second. dig and rndc also use libuv.
. "${0%/*}/../common.sh"
names=100

zone_of() { # serial
	echo "@ 60 SOA ns hostmaster $1 3600 600 86400 60"
	echo "@ 60 NS ns"
	echo "ns 60 A 127.0.0.1"
	echo "serial 60 TXT $1"
	seq "$names" | sed 's/.*/name& 60 A 192.0.2.&/'
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
	-keyout key.pem -out certificate.pem 2>/dev/null
rndc-confgen -a -c rndc.key -p 9953 >/dev/null 2>&1
cat >named.conf <<'CONF'
include "/tmp/rndc.key";
controls { inet 127.0.0.1 port 9953 allow { 127.0.0.1; } keys { "rndc-key"; }; };
tls local { cert-file "/tmp/certificate.pem"; key-file "/tmp/key.pem"; };
options {
	directory "/tmp";
	pid-file none;
	session-keyfile "/tmp/session.key";
	recursion no;
	dnssec-validation no;
	listen-on port 5300 { 127.0.0.1; };
	listen-on port 8530 tls local { 127.0.0.1; };
	listen-on-v6 { none; };
};
zone "ringwake.test" { type primary; file "zone"; };
CONF

# shellcheck disable=SC2086 # $RUN is a command
ask() { # arguments for dig
	$RUN dig @127.0.0.1 -p 5300 +short +timeout=5 +tries=2 "$@" 2>>dig.log
}
# shellcheck disable=SC2086
control() {
	$RUN rndc -s 127.0.0.1 -p 9953 -k rndc.key "$@" 2>>dig.log
}
serial_is() {
	[ "$(ask TXT serial.ringwake.test)" = "\"$1\"" ]
}
# shellcheck disable=SC2086
start() {
	begin named.log $RUN named -g -n 4 -c named.conf
	until_true serial_is "$1"
}
sum() { sha256sum | cut -c 1-16; }

zone_of 1 >zone
seq "$names" | sed 's/.*/name&.ringwake.test A/' >queries
start 1
echo "tls: $(ask +tls -p 8530 A name1.ringwake.test) tcp: $(ask +tcp A name1.ringwake.test)"
before=$(descriptors)
echo "udp: $(ask -f queries | sum)"
echo "tcp: $(ask +tcp -f queries | sum)"
head -n 20 queries >few
echo "tls: $(ask +tls -p 8530 -f few | sum)"

serial=1
storm() { # transport, port
	dnsperf -s 127.0.0.1 -p "$2" -m "$1" -d queries -c 8 -T 2 -n 20 -t 20 >storm.log 2>&1 &
	storm=$!
	for _ in 1 2 3 4 5; do
		serial=$((serial + 1))
		zone_of "$serial" >zone
		control reload ringwake.test >/dev/null
		until_true serial_is "$serial"
	done
	wait "$storm"
	echo "$1: $(questions storm.log)"
}
storm tcp 5300
storm dot 8530
no_more_than "$before"
control stop
ended
start "$serial"
kill -TERM "$server"
ended
figures dig.log
