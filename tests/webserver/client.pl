#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# client.pl PORT PIECE...: sends each piece a moment after the previous one, and prints the response
# until the server closes. In a piece, \r, \n and \0 have the same meaning as in C, and "REPEAT 9 text"
# is text nine times. "END" shuts the sending side down. "HOLD" reads nothing until the server closes.
# "NEVER" must not be reached: the server must close before.
# Exit status 0: the server closed in order; 1: not in time; 2: it reset the connection.
use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(SHUT_WR);

$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { exit 1 };
alarm($ENV{CLIENT_SECONDS} || 20);

my $port = shift;
my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
	or die "connect: $!\n";
binmode STDOUT;
$| = 1;
my $first = 1;
for my $piece (@ARGV) {
	if (!$first) {
		select(undef, undef, undef, 0.1);
		last if server_closed();
	}
	$first = 0;
	if ($piece eq 'NEVER') {
		exit 1;
	} elsif ($piece eq 'END') {
		shutdown($socket, SHUT_WR);
	} elsif ($piece eq 'HOLD') {
		select(undef, undef, undef, 0.1) while !server_closed();
	} else {
		my %escapes = (r => "\r", n => "\n", 0 => "\0");
		$piece =~ s/\\([rn0])/$escapes{$1}/g;
		$piece = $2 x $1 if $piece =~ /^REPEAT (\d+) (.*)/s;
		last unless defined syswrite($socket, $piece);
	}
}
while (1) {
	my $length = sysread($socket, my $bytes, 65536);
	exit 2 if !defined $length;
	exit 0 if $length == 0;
	print $bytes;
}

# True if the kernel no longer lists the server's end of this connection as ESTABLISHED (01).
sub server_closed {
	open(my $list, '<', '/proc/net/tcp') or die "/proc/net/tcp: $!\n";
	my $pair = sprintf(':%04X 0100007F:%04X 01 ', $port, $socket->sockport);
	return !grep { index($_, $pair) >= 0 } <$list>;
}
