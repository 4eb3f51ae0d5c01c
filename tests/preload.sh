# SPDX-License-Identifier: MIT
# preload.test of each loop sources this file. Before, it sets $loop (uv, ev), $shared (libuv.so.1), and
# $mark, C source of an object that contains the loop's library. $wrapper is the program under test, and
# ./bare a program that uses only the loop's library. The test needs the shared libraries.
# shellcheck shell=sh disable=SC2154 # set by the test
# shellcheck disable=SC2086 # $wrapper is two words
set -eu

build=$(cd "${top_builddir:-../..}" && pwd)
library=$build/adapters/$loop/.libs/libringwake-$loop-preload.so
wrapper="sh $build/adapters/$loop/ringwake-$loop"
LOOP=$(echo "$loop" | tr "[:lower:]" "[:upper:]")
export "RINGWAKE_${LOOP}_PRELOAD=$library" LD_LIBRARY_PATH="$build/lib/.libs:${LD_LIBRARY_PATH-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ ! -e "$library" ]; then
	echo "1..0 # SKIP this build has no shared library"
	exit
fi

number=0
skip() { # description, reason
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}
check() { # description, expected status, pattern, command...
	number=$((number + 1))
	description=$1 expected=$2 pattern=$3
	shift 3
	status=0
	output=$(timeout 60 "$@" 2>&1 </dev/null) || status=$?
	if [ "$status" = "$expected" ] && echo "$output" | grep -q "$pattern"; then
		echo "ok $number - $description"
	else
		echo "not ok $number - $description (status $status)"
		echo "$output" | sed 's/^/# /'
	fi
}

# The paths that this machine supports; ringwake-info fails on other paths.
paths=eventfd
! RINGWAKE_PATH=msg_ring "$build/tools/ringwake-info" >/dev/null 2>&1 || paths="msg_ring $paths"

# The checks that are the same for both loops, and the plan.
check_launcher() { # pattern of ./bare's output
	# The shell's process has no loop.
	check "figures of processes that had a loop" 0 '^1$' \
		sh -c "$wrapper --stats sh -c './bare; true' 2>&1 | grep -c ^ringwake-$loop:.*loops"
	check "the exit status of the program" 7 '' $wrapper ./bare 7
	printf '#!/usr/bin/env -S %s\n' "$PWD/bare" >"$work/script"
	chmod +x "$work/script"
	check "the interpreter of a script" 0 '' $wrapper "$work/script"

	echo 'int main(void) { return 0; }' >"$work/static.c"
	if ${CC:-cc} -static -o "$work/static" "$work/static.c" 2>/dev/null; then
		check "a static program" 126 'statically linked' $wrapper "$work/static"
	else
		skip "a static program" "the static C library is not installed"
	fi
	echo "$mark" >"$work/contains.c"
	${CC:-cc} -rdynamic -o "$work/contains" "$work/contains.c"
	check "a program that contains lib$loop" 126 'linked into it statically' $wrapper "$work/contains"
	check "a program without lib$loop" 0 "does not use $shared" $wrapper true
	check "a program that does not exist" 127 'not found' $wrapper "$work/none"
	check "a missing argument" 2 usage $wrapper
	check "an unknown option" 2 usage $wrapper --none true
	check "--help" 0 "^usage: ringwake-$loop" $wrapper --help
	check "--version" 0 "^ringwake-$loop $(sed -n 's/^PACKAGE_VERSION = //p' Makefile)\$" $wrapper --version
	check "a library that does not exist" 126 'is not there' env "RINGWAKE_${LOOP}_PRELOAD=$work/none" $wrapper true
	check "an invalid RINGWAKE_PATH" 126 "^ringwake-$loop: RINGWAKE_PATH=pigeon: not a path; use auto, msg_ring or eventfd\$" \
		env RINGWAKE_PATH=pigeon $wrapper ./bare
	check "RINGWAKE_PATH=auto" 0 "$1" env RINGWAKE_PATH=auto $wrapper ./bare
	check "an empty RINGWAKE_PATH" 0 "$1" env RINGWAKE_PATH= $wrapper ./bare
	echo "1..$number"
}
