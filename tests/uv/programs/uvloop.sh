# SPDX-License-Identifier: MIT
# Packages: python3-uvloop
. "${0%/*}/../common.sh"
# shellcheck disable=SC2086 # $RUN is a command
$RUN python3 -W ignore::DeprecationWarning "${0%/*}/uvloop-work.py"
