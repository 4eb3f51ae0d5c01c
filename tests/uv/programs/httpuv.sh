# SPDX-License-Identifier: MIT
# Packages: r-cran-httpuv python3
# A web server in R. A thread of httpuv with its own loop owns the sockets, and R's thread computes the
# responses. The two threads wake each other.
. "${0%/*}/../common.sh"
# shellcheck disable=SC2086 # $RUN is a command
begin httpuv.log $RUN Rscript --vanilla "${0%/*}/httpuv.R"
until_true grep -q '^ready' httpuv.log
python3 "${0%/*}/http-client.py" 20
before=$(descriptors)
python3 "${0%/*}/http-client.py" 100
no_more_than "$before"
python3 "${0%/*}/http-client.py" stop
ended
grep -v '^ringwake-uv:' httpuv.log
