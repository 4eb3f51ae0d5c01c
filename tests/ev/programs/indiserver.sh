# SPDX-License-Identifier: MIT
# Packages: indi-bin python3
# A server of a simulated camera and telescope. Its threads encode the camera's pictures and wake its loop.
. "${0%/*}/../common.sh"
HOME=/tmp
# shellcheck disable=SC2086 # $RUN is a command
begin indiserver.log env LD_PRELOAD=/srv/ringwake/exit-in-order.so $RUN indiserver indi_simulator_ccd indi_simulator_telescope
until_true python3 "${0%/*}/indi-client.py" 0
python3 "${0%/*}/indi-client.py" 1
before=$(descriptors)
python3 "${0%/*}/indi-client.py" 2
no_more_than "$before"
kill -TERM "$server"
ended
