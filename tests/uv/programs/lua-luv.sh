# SPDX-License-Identifier: MIT
# Packages: lua-luv lua5.3
. "${0%/*}/../common.sh"
# shellcheck disable=SC2086 # $RUN is a command
$RUN lua5.3 "${0%/*}/lua-luv.lua"
