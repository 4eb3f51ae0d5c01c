# SPDX-License-Identifier: MIT
# Packages: python3-gevent
. "${0%/*}/../common.sh"
# shellcheck disable=SC2086 # $RUN is a command
GEVENT_LOOP=libev-cext $RUN python3 -W ignore::DeprecationWarning "${0%/*}/gevent-work.py"
