# SPDX-License-Identifier: MIT
# Shared by the programs of nghttp2 here: files to serve, and h2load.
mkdir documents
head -c 20000 /dev/zero | tr '\0' x >documents/file

serves() { # address
	h2load -n 1 -c 1 "$1" | grep -q ' 1 succeeded'
}

# storm ADDRESS: many connections, then many requests on a few connections. No request may fail.
storm() {
	for load in '-n 1000 -c 200' '-n 1000 -c 200' '-n 1000 -c 200' '-n 5000 -c 10'; do
		# shellcheck disable=SC2086 # a list of words
		h2load -m 10 -t 2 $load "$1" | grep -e '^requests:' -e '^status codes:'
	done
}
