#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# slow.pl PORT NUMBER: this many clients begin a request and send one byte of it after the other until
# the server closes. Prints how many of them got 408.
use strict;
use warnings;
use Socket;
use IO::Handle;

$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { print "too late\n"; exit 1 };
alarm 60;
$| = 1;
my ($port, $number) = @ARGV;
my (%clients, %responses);
for (1 .. $number) {
	socket(my $client, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
	connect($client, sockaddr_in($port, INADDR_LOOPBACK)) or die "connect: $!\n";
	syswrite($client, "GET / HTTP/1.1\r\nHost: x\r\nA: ");
	$client->blocking(0);
	$clients{fileno $client} = $client;
}
print "all have begun\n";
while (%clients) {
	for my $number (keys %clients) {
		my $client = $clients{$number};
		my $length = sysread($client, $responses{$number}, 65536, length($responses{$number} // ''));
		if (defined $length ? $length == 0 : !$!{EAGAIN}) {
			delete $clients{$number};
		} else {
			syswrite($client, 'a');
		}
	}
	select(undef, undef, undef, 0.1);
}
my $refused = grep { m{^HTTP/1.1 408 } } values %responses;
print "refused $refused of $number\n";
