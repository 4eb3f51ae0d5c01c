# SPDX-License-Identifier: MIT
# Packages: neovim
. "${0%/*}/../common.sh"
export OUT=/tmp/out
# shellcheck disable=SC2086 # $RUN is a command
$RUN nvim --clean --headless -S "${0%/*}/rpc.vim" >output 2>&1 || {
	cat output
	exit 1
}
figures output
cat "$OUT"
