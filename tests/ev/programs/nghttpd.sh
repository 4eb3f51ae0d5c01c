# SPDX-License-Identifier: MIT
# Packages: nghttp2-server nghttp2-client openssl
# A web server, without and with TLS. Its main thread accepts each connection and wakes the loop of one of
# its four workers.
. "${0%/*}/../common.sh"
. "${0%/*}/h2load.sh"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
	-keyout key.pem -out certificate.pem 2>/dev/null

# A signal ends the server. Only with the preloaded library does it call exit(3).
try() { # address, arguments...
	address=$1
	shift
	# shellcheck disable=SC2086 # $RUN is a command
	begin nghttpd.log env LD_PRELOAD=/srv/ringwake/exit-in-order.so $RUN nghttpd -n 4 -d documents 8000 "$@"
	until_true serves "$address"
	storm "$address"
	kill -TERM "$server"
	ended
}
try http://127.0.0.1:8000/file --no-tls
try https://127.0.0.1:8000/file key.pem certificate.pem
