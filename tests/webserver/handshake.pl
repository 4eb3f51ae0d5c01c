#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# handshake.pl PROGRAM OPTION...: a far client, whose SYN arrives before SIGTERM and whose ACK and request
# arrive 0.3 s after it. The client is this script, at the other end of a TUN device in a network
# namespace of its own: run it by "unshare --net". Prints the status of the response, "refused" if the
# server has reset the connection, or "skip" if there is no TUN device. Without PROGRAM it says only that.
use strict;
use warnings;
use Socket;
use Time::HiRes qw(sleep);

my ($TUNSETIFF, $TUN_WITHOUT_HEADER) = (0x400454ca, 0x1001);
my ($SET_ADDRESS, $SET_MASK, $SET_FLAGS, $UP_AND_RUNNING) = (0x8916, 0x891c, 0x8914, 0x41);
my ($FIN, $SYN, $RST, $PUSH, $ACK) = (1, 2, 4, 8, 16);
my ($server_host, $client_host, $port, $client_port) = ('10.9.9.1', '10.9.9.2', 8080, 40000);

$SIG{ALRM} = sub { print "too late\n"; exit 1 };
alarm 60;

my $tun;
unless (open($tun, '+<', '/dev/net/tun') && ioctl($tun, $TUNSETIFF, pack('a16 S x22', 'far', $TUN_WITHOUT_HEADER))) {
	print "skip\n";
	exit 0;
}
exit 0 if !@ARGV;
socket(my $any, PF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
for ([$SET_ADDRESS, pack_sockaddr_in(0, inet_aton($server_host))], [$SET_MASK, pack_sockaddr_in(0, inet_aton('255.255.255.0'))],
	[$SET_FLAGS, pack('S x14', $UP_AND_RUNNING)])
{
	ioctl($any, $$_[0], pack('a16 a16 x8', 'far', $$_[1])) or die "ioctl: $!\n";
}

sub checksum {
	my $sum = 0;
	$sum += $_ for unpack 'n*', $_[0] . "\0" x (length($_[0]) % 2);
	$sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
	return ~$sum & 0xffff;
}

my ($sent, $received) = (1000, 0);

sub transmit {
	my ($flags, $bytes) = @_;
	my @ends = map { inet_aton($_) } $client_host, $server_host;
	my $segment = pack 'n n N N C C n n n a*', $client_port, $port, $sent, $received, 5 << 4, $flags, 65535, 0, 0, $bytes;
	my $sum = checksum(pack('a4 a4 x C n a*', @ends, 6, length $segment, $segment));
	substr($segment, 16, 2) = pack 'n', $sum;
	my $head = pack 'C C n n n C C n a4 a4', 0x45, 0, 20 + length $segment, 0, 0, 64, 6, 0, @ends;
	substr($head, 10, 2) = pack 'n', checksum($head);
	syswrite($tun, $head . $segment) or die "write: $!\n";
	$sent += length $bytes;
}

# Returns the flags and the bytes of the next segment to the client.
sub receive {
	while (sysread($tun, my $packet, 65536)) {
		my ($version, $protocol) = unpack 'C x8 C', $packet;
		next if $version != 0x45 || $protocol != 6;
		my ($to, $number, $offset, $flags) = unpack 'x20 x2 n N x4 C C', $packet;
		next if $to != $client_port;
		my $bytes = substr $packet, 20 + ($offset >> 4) * 4;
		$received = $number + length($bytes) + ($flags & $SYN ? 1 : 0);
		return ($flags, $bytes);
	}
	die "read: $!\n";
}

pipe(my $lines, my $stdout);
my $server = fork;
if ($server == 0) {
	open(STDOUT, '>&', $stdout);
	exec @ARGV, '--bind', $server_host, '--port', $port;
}
close $stdout;
readline $lines; # it listens

transmit($SYN, '');
$sent++;
my ($flags) = receive();
die "no SYN and ACK\n" if ($flags & ($SYN | $ACK)) != ($SYN | $ACK);
kill 'TERM', $server;
for (my $status = ''; $status !~ /^SigBlk:\s*0+$/m; sleep 0.01) {
	open(my $file, '<', "/proc/$server/status") or die;
	$status = join '', <$file>;
}
sleep 0.3; # the distance of the client: a server that does not wait for it is gone then
transmit($ACK, '');
transmit($ACK | $PUSH, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
my $all = '';
while ($all !~ /\r\n\r\nok\n/) {
	my ($flags, $bytes) = receive();
	print("refused\n"), exit 0 if $flags & $RST;
	$all .= $bytes;
}
transmit($ACK | $FIN, '');
waitpid $server, 0;
print +($all =~ m{^HTTP/1.1 (\d+)})[0], " $?\n";
