# SPDX-License-Identifier: MIT
# unread(SOCKET): the number of bytes that wait at the server's end of this connection, or undef if that
# end is not ESTABLISHED (1). sock_diag(7) finds it at once, among however many connections.
package ServerEnd;
use strict;
use warnings;
use Socket;
use Exporter 'import';
our @EXPORT = ('unread');

my ($NETLINK, $SOCK_DIAG, $BY_FAMILY, $REQUEST, $TCP) = (16, 4, 20, 1, 6);
my $diag;

sub unread {
	my ($client) = @_;
	my ($client_port, $client_address) = sockaddr_in(getsockname $client);
	my ($server_port, $server_address) = sockaddr_in(getpeername($client) // return undef);
	$diag || socket($diag, $NETLINK, SOCK_DGRAM, $SOCK_DIAG) or die "sock_diag: $!\n";
	my $request = pack 'CCCC L nn a16 a16 L L2', AF_INET, $TCP, 0, 0, ~0 & 0xffffffff, $server_port, $client_port,
		$server_address, $client_address, 0, 0xffffffff, 0xffffffff;
	send($diag, pack('LSSLL', 16 + length $request, $BY_FAMILY, $REQUEST, 1, 0) . $request, 0) or die "sock_diag: $!\n";
	recv($diag, my $answer, 8192, 0) // die "sock_diag: $!\n";
	my ($type) = unpack 'x4 S', $answer;
	return undef if $type != $BY_FAMILY;
	my ($state, $bytes) = unpack 'x17 C x54 L', $answer;
	return $state == 1 ? $bytes : undef;
}

1;
