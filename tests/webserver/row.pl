#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# row.pl PORT NUMBER: pipelines this many requests. It reads nothing until the server stops reading, and
# then all responses, which must be in order. Every tenth request is for a digest.
use strict;
use warnings;
use Socket;
use IO::Handle;

$SIG{ALRM} = sub { print "too late\n"; exit 1 };
alarm 180;
my ($port, $number) = @ARGV;
socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
connect($socket, sockaddr_in($port, INADDR_LOOPBACK)) or die "connect: $!\n";
$socket->blocking(0);

my $unsent = join '', map {
	my $path = $_ % 10 ? '/metrics' : "/digest?bytes=$_";
	my $close = $_ == $number ? "Connection: close\r\n" : '';
	"GET $path HTTP/1.1\r\nHost: x\r\n$close\r\n";
} 1 .. $number;
my $all = length $unsent;

# Returns what is possible within this time, of reading (1) and writing (2).
sub possible {
	my ($wanted, $seconds) = @_;
	my ($read, $write) = ('', '');
	vec($read, fileno $socket, 1) = 1 if $wanted & 1;
	vec($write, fileno $socket, 1) = 1 if $wanted & 2 && $unsent ne '';
	select($read, $write, undef, $seconds) or return 0;
	return (vec($read, fileno $socket, 1) ? 1 : 0) | (vec($write, fileno $socket, 1) ? 2 : 0);
}

sub send_more {
	my $length = syswrite($socket, $unsent, 65536);
	substr($unsent, 0, $length) = '' if defined $length;
}

send_more() while $unsent ne '' && possible(2, 0.3);
printf "sent %d of %d bytes before the first response was read\n", $all - length $unsent, $all;

my ($received, $good) = ('', 0);
while (my $can = possible(3, 30)) {
	send_more() if $can & 2;
	next unless $can & 1;
	my $length = sysread($socket, $received, 65536, length $received);
	last if !$length;
	while ($received =~ /\A(.*?\r\n\r\n)/s) {
		my $head = $1;
		my ($body) = $head =~ /^Content-Length: (\d+)/m;
		last if length($received) < length($head) + $body;
		my $text = substr($received, length $head, $body);
		my $next = $good + 1;
		my $expected = $next % 10 ? qr/^webserver_requests_total/m : qr/"bytes":$next,/;
		die "response $next: $head$text\n" if $head !~ m{^HTTP/1.1 200 } || $text !~ $expected;
		$good++;
		substr($received, 0, length($head) + $body) = '';
	}
}
print "$good good responses\n";
exit($good != $number);
