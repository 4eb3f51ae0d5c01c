# SPDX-License-Identifier: MIT
# Packages: knot-resolver bind9-dnsutils dnsperf
# Wakes: none
# A resolver that answers from hints. It gets queries over UDP, TCP and TLS, and SIGTERM stops it. Five runs.
. "${0%/*}/../common.sh"
names=100

mkdir -m 700 run
cat >kresd.conf <<'CONF'
net.listen('127.0.0.1', 5300, { kind = 'dns' })
net.listen('127.0.0.1', 8530, { kind = 'tls' })
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('ta_sentinel')
modules.unload('priming')
modules.unload('detect_time_skew')
trust_anchors.remove('.')
modules = { 'hints > iterate' }
for i = 1, 100 do
	hints['name' .. i .. '.ringwake.'] = '192.0.2.' .. i
end
cache.size = 1 * MB
CONF

ask() { # arguments for dig
	dig @127.0.0.1 -p 5300 +short +timeout=5 +tries=2 "$@"
}
answers() {
	[ "$(ask A name1.ringwake)" = 192.0.2.1 ]
}
sum() { sha256sum | cut -c 1-16; }

seq "$names" | sed 's/.*/name&.ringwake A/' >queries
head -n 20 queries >few
for life in 1 2 3 4 5; do
	# shellcheck disable=SC2086 # $RUN is a command
	begin kresd.log $RUN kresd -n -c /tmp/kresd.conf run
	until_true answers
	[ -n "$(ask +tls -p 8530 A name2.ringwake)" ] && [ -n "$(ask +tcp A name2.ringwake)" ]
	before=$(descriptors)
	echo "udp: $(ask -f queries | sum) tcp: $(ask +tcp -f queries | sum) tls: $(ask +tls -p 8530 -f few | sum)"
	dnsperf -s 127.0.0.1 -p 5300 -m tcp -d queries -c 8 -n 20 -t 20 >storm.log 2>&1
	echo "$life: $(questions storm.log)"
	no_more_than "$before"
	kill -TERM "$server"
	ended
done
