# SPDX-License-Identifier: MIT
# Packages: nodejs
. "${0%/*}/../common.sh"
# shellcheck disable=SC2086 # $RUN is a command
$RUN node "${0%/*}/storm.js"
