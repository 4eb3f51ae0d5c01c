#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# shutdown.pl KIND PORT PROCESS: sends SIGTERM to the server while clients are in the state KIND, and
# prints how often each outcome was seen, sorted, such as "200:40". The outcome of a client is the status
# of its last response, or "end", "cut" and "reset" if the server closed before, within, or by a reset.
#   new      the requests are in the listening queue; the server does not run meanwhile
#   close    the same, with "Connection: close"
#   kept     the requests arrived on connections that were kept alive; the server does not run meanwhile
#   row      two hundred requests in a row arrived on each of these; counts responses, not clients
#   idle     connections that were kept alive; no request follows
#   half     half a request arrived; the rest never comes
#   rest     half a request arrived; the rest comes after the signal
#   large    half of a long request arrived while the server does not run, and the rest after the signal
#   load     sixteen processes connect and ask as often as they can; refused connections do not count
use strict;
use warnings;
use IO::Socket::INET;
use Time::HiRes qw(sleep);
use lib $0 =~ s{[^/]+$}{}r;
use ServerEnd;

$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { print "too late\n"; exit 1 };
alarm 60;
my ($kind, $port, $server) = @ARGV;
my $request = "GET /digest?bytes=1000 HTTP/1.1\r\nHost: x\r\n\r\n";
my %seen;

sub client {
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
}

# Reads up to the end of one response and returns the outcome.
sub outcome {
	my ($client) = @_;
	my $all = '';
	while ($all !~ /\r\n\r\n/ || length($') < ($all =~ /^Content-Length: (\d+)/m)[0]) {
		my $length = sysread($client, $all, 65536, length $all);
		return 'reset' if !defined $length;
		return $all eq '' ? 'end' : 'cut' if $length == 0;
	}
	return ($all =~ m{^HTTP/1.1 (\d+)})[0];
}

sub note {
	my ($outcome) = @_;
	$seen{$outcome}++;
}

sub stop {
	kill 'STOP', $server;
	my $state = '';
	until ($state =~ /\) T/) {
		open(my $file, '<', "/proc/$server/stat") or die;
		$state = <$file>;
	}
}

# Waits until the server has seen the signal: then the next one would end it at once.
sub wait_until_stopping {
	my $status = '';
	until ($status =~ /^SigBlk:\s*0+$/m) {
		sleep 0.01;
		open(my $file, '<', "/proc/$server/status") or die;
		$status = join '', <$file>;
	}
}

if ($kind eq 'load') {
	my @ends;
	pipe(my $answers, my $answered);
	for (1 .. 16) {
		pipe(my $read, my $write);
		push @ends, $read;
		next if fork;
		while (my $client = client()) {
			syswrite($client, $request);
			my $outcome = outcome($client);
			note($outcome);
			syswrite($answered, '.') if $outcome eq '200' && $seen{200} <= 5;
		}
		print $write join(' ', map { "$_:$seen{$_}" } keys %seen), "\n";
		exit 0;
	}
	close $answered;
	read($answers, my $dots, 16 * 5);
	kill 'TERM', $server;
	for my $end (@ends) {
		my $line = <$end> // 'nothing:1';
		$seen{$1} += $2 while $line =~ /(\w+):(\d+)/g;
	}
	$seen{200} = 'many' if ($seen{200} // 0) >= 16 * 5;
} else {
	my @clients;
	if ($kind ne 'new' && $kind ne 'close') {
		@clients = map { client() } 1 .. 40;
		syswrite($_, $request), outcome($_) for @clients;
	}
	$request =~ s/\r\n\r\n$/\r\nConnection: close\r\n\r\n/ if $kind eq 'close';
	$request =~ s/\r\n\r\n$/"\r\nA: " . 'a' x 12000 . "\r\n\r\n"/e if $kind eq 'large';
	my $half = substr($request, 0, length($request) / 2);
	my $rest = substr($request, length($half));
	if ($kind eq 'half' || $kind eq 'rest') {
		syswrite($_, $half) for @clients;
		for my $client (@clients) {
			sleep 0.01 while unread($client);
		}
	}
	stop() if $kind =~ /^(new|close|kept|row|large)$/;
	@clients = map { client() } 1 .. 40 if $kind eq 'new' || $kind eq 'close';
	my $arrives = $kind eq 'large' ? $half : $kind eq 'row' ? $request x 200 : $request;
	syswrite($_, $arrives) for $kind =~ /^(new|close|kept|row|large)$/ ? @clients : ();
	kill 'TERM', $server;
	kill 'CONT', $server;
	if ($kind eq 'rest' || $kind eq 'large') {
		wait_until_stopping();
		syswrite($_, $rest) for @clients;
	}
	if ($kind eq 'row') {
		for my $client (@clients) {
			while (my $line = <$client>) {
				note($1) if $line =~ m{^HTTP/1.1 (\d+)};
			}
		}
	} else {
		note(outcome($_)) for @clients;
	}
}
print join(' ', map { "$_:$seen{$_}" } sort keys %seen), "\n";
