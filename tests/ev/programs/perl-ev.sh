# SPDX-License-Identifier: MIT
# Packages: libev-perl
# Says: ringwake-ev: [^ ]*/EV.so has a libev of its own, whose loops stay as they are
# Perl's EV contains its own copy of libev. It runs unchanged, and ringwake-ev reports it.
. "${0%/*}/../common.sh"
# shellcheck disable=SC2086 # $RUN is a command
$RUN perl -MEV -e '
	my $count = 0;
	my $async;
	$async = EV::async sub { ++$count < 1000 ? $async->send : EV::break };
	my $timer = EV::timer 20, 0, sub { die "timeout" };
	$async->send;
	EV::run;
	print "$count calls\n";'
