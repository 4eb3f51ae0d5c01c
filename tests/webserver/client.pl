#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# client.pl PORT PIECE...: sends each piece when the server has read the previous one, and prints the
# response until the server closes. In a piece, \r, \n and \0 have the same meaning as in C, and
# "REPEAT 9 text" is text nine times. "END" shuts the sending side down. "HOLD" reads nothing until the
# server closes. "NEVER" must not be reached: the server must close before. CLIENT_PAUSE is a time in
# seconds to wait before each piece.
# Exit status 0: the server closed in order; 1: not in time; 2: it reset the connection.
use strict;
use warnings;
use Socket;
use Time::HiRes qw(sleep time);
use lib $0 =~ s{[^/]+$}{}r;
use ServerEnd;

$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { exit 1 };
alarm($ENV{CLIENT_SECONDS} || 20);

my $port = shift;
socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
connect($socket, sockaddr_in($port, INADDR_LOOPBACK)) or die "connect: $!\n";
binmode STDOUT;
$| = 1;
my $first = 1;
for my $piece (@ARGV) {
	if (!$first) {
		sleep $ENV{CLIENT_PAUSE} if $ENV{CLIENT_PAUSE};
		last if !wait_until_read();
	}
	$first = 0;
	if ($piece eq 'NEVER') {
		exit 1;
	} elsif ($piece eq 'END') {
		shutdown($socket, SHUT_WR);
	} elsif ($piece eq 'HOLD') {
		sleep 0.02 while defined unread($socket);
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

# The number of sent bytes that have not arrived.
sub in_flight {
	my $number = pack('i', 0);
	ioctl($socket, 0x5411, $number) or die "SIOCOUTQ: $!\n";
	return unpack('i', $number);
}

# Returns false if the server has closed. A server that waits until its responses are read does not read.
sub wait_until_read {
	my $begin = time;
	while (1) {
		my $arrived = in_flight() == 0;
		my $unread = unread($socket) // return 0;
		return 1 if $arrived && $unread == 0;
		vec(my $readable = '', fileno($socket), 1) = 1;
		return 1 if time > $begin + 0.1 && select($readable, undef, undef, 0);
		sleep 0.002;
	}
}
