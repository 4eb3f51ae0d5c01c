# SPDX-License-Identifier: MIT
# Packages: nghttp2-proxy nghttp2-server nghttp2-client
# A proxy whose main thread wakes the loops of its four workers for each connection and at the end.
. "${0%/*}/../common.sh"
. "${0%/*}/h2load.sh"

begin nghttpd.log nghttpd --no-tls -d documents 8000
behind=$server
until_true serves http://127.0.0.1:8000/file
# The loops are in a child process, which ends by _exit(2).
# shellcheck disable=SC2086 # $RUN is a command
begin nghttpx.log env LD_PRELOAD=/srv/ringwake/exit-in-order.so $RUN nghttpx --conf=/dev/null --no-ocsp -n 4 \
	'-f127.0.0.1,3000;no-tls' '-b127.0.0.1,8000;;proto=h2' --accesslog-file=/dev/null
until_true serves http://127.0.0.1:3000/file
storm http://127.0.0.1:3000/file
kill -QUIT "$server"
ended
kill "$behind"
