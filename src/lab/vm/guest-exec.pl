# Runs commands in a machine for `lab exec`: one worker a virtio-serial port, one session a port at a time.
# Sent into the machine's /run over the debug shell (console.ts); the image does not have it. Frames: channel.ts.
use strict;
use warnings;
use Fcntl;
use IO::Handle;
use POSIX qw(:sys_wait_h :errno_h setsid);
use Socket;

my $LIMIT = 65536;    # of a frame's payload towards us (channel.ts: MAX_PAYLOAD_BYTES)
my $BEAT_S = 5;       # between signs of life
my ($port, $in, $beat_at, $last_id) = (undef, '', 0, '');

# To the host, all of it. While nobody is there it waits: who comes next skips what is not theirs.
sub put {
  my ($data) = @_;
  while (length $data) {
    my $n = syswrite $port, $data;
    if (defined $n) { substr($data, 0, $n) = '' }
    elsif ($! != EINTR && $! != EAGAIN) { exit 1 }
  }
}

sub frame {
  my ($type, $payload) = @_;
  put(pack('aN', $type, length $payload) . $payload);
  $beat_at = time + $BEAT_S;
}

# The next whole frame of what came in, or nothing. Zeros between frames mean nothing: a client sends as many of them
# as a frame can be long, which ends what one before it left unfinished.
sub next_frame {
  $in =~ s/^\0+//;
  return if length $in < 5;
  my ($type, $size) = unpack 'aN', $in;
  if ($size > $LIMIT) { $in = ''; return }
  return if length $in < 5 + $size;
  my $payload = substr $in, 5, $size;
  substr($in, 0, 5 + $size) = '';
  return ($type, $payload);
}

# A session: where its input goes, where its outputs come from, its process if it is a command.
sub begin {
  my ($id, $kind, @words) = split /\0/, $_[0], -1;
  $last_id = $id;
  put("\0BBS" . pack 'H*', $id);
  $beat_at = time + $BEAT_S;
  return $kind eq 'connect' ? begin_connection(@words) : begin_command(@words);
}

sub begin_connection {
  my ($path) = @_;
  socket my $peer, AF_UNIX, SOCK_STREAM, 0 or return refuse("socket: $!", 126);
  connect $peer, pack_sockaddr_un($path) or return refuse("$path: $!", 111);
  return { to => $peer, from => { 1 => $peer }, buffer => '', ended => 0 };
}

sub begin_command {
  my ($environment, @words) = @_;
  my (%read, %write);
  pipe $read{$_}, $write{$_} or return refuse("pipe: $!", 126) for 0 .. 2;
  my $pid = fork;
  return refuse("fork: $!", 126) if !defined $pid;
  if (!$pid) {
    setsid;
    POSIX::dup2(fileno $read{0}, 0);
    POSIX::dup2(fileno $write{$_}, $_) for 1, 2;
    POSIX::close($_) for 3 .. 63;
    $SIG{$_} = 'DEFAULT' for qw(PIPE CHLD IO);
    %ENV = map { split /=/, $_, 2 } grep { /=/ } split /\n/, $environment;
    chdir '/root' or chdir '/';
    no warnings 'exec';
    exec { $words[0] } @words;
    my $code = $! == ENOENT ? 127 : 126;
    syswrite STDERR, "$words[0]: $!\n";
    POSIX::_exit($code);
  }
  close $read{0};
  close $write{$_} for 1, 2;
  return { pid => $pid, to => $write{0}, from => { 1 => $read{1}, 2 => $read{2} }, buffer => '', ended => 0 };
}

sub refuse {
  my ($why, $code) = @_;
  frame('2', "$why\n");
  frame('X', $code);
  return;
}

sub finish {
  my ($session) = @_;
  return if !$session || !$session->{pid};
  kill 'KILL', -$session->{pid};
  waitpid $session->{pid}, 0;
}

# What fits of the input into the session; its end after the last of it.
sub feed {
  my ($session) = @_;
  if (length $session->{buffer}) {
    my $n = syswrite $session->{to}, $session->{buffer};
    return if !defined $n && $! == EAGAIN;
    # Who does not read its input is judged by its exit code.
    $n = length $session->{buffer} if !defined $n;
    substr($session->{buffer}, 0, $n) = '';
    frame('A', $n);
  }
  return if length $session->{buffer} || !$session->{ended};
  if ($session->{pid}) { close $session->{to} }
  else { shutdown $session->{to}, 1 }
  delete $session->{to};
}

sub drain {
  my ($session, $ready) = @_;
  for my $name (sort keys %{ $session->{from} }) {
    my $from = $session->{from}{$name};
    next if defined $ready && !vec($ready, fileno $from, 1);
    my $n = sysread $from, my $data, 32768;
    if ($n) { frame($name, $data); redo if !defined $ready }
    elsif (defined $n || $! != EAGAIN) { delete $session->{from}{$name} }
  }
}

# Its exit code, once it has ended; a daemon that it left behind may go on holding its outputs.
sub exit_code_of {
  my ($session) = @_;
  if (!$session->{pid}) { return %{ $session->{from} } ? undef : 0 }
  return if waitpid($session->{pid}, WNOHANG) != $session->{pid};
  my $status = $?;
  drain($session);
  return $status & 127 ? 128 + ($status & 127) : $status >> 8;
}

sub take {
  my ($session, $type, $payload) = @_;
  if ($type eq 'R') {
    # Said twice by a client that did not know whether anybody listened yet.
    return $session if length $last_id && index($payload, $last_id) == 0;
    finish($session);
    my $begun = begin($payload);
    fcntl $_, F_SETFL, O_NONBLOCK for $begun ? ($begun->{to}, values %{ $begun->{from} }) : ();
    return $begun;
  }
  return if !$session;
  if ($type eq 'I') { length $payload ? ($session->{buffer} .= $payload) : ($session->{ended} = 1) }
  elsif ($type eq 'K' && $session->{pid}) { kill int($payload), -$session->{pid} }
  return $session;
}

sub serve {
  my $session;
  for (;;) {
    while (my ($type, $payload) = next_frame()) { $session = take($session, $type, $payload) }
    my ($readable, $writable, $wait_s) = ('', '', undef);
    vec($readable, fileno $port, 1) = 1;
    if ($session) {
      vec($readable, fileno $_, 1) = 1 for values %{ $session->{from} };
      vec($writable, fileno $session->{to}, 1) = 1
        if $session->{to} && (length $session->{buffer} || $session->{ended});
      # Ended with its outputs still held is seen at the next look; with them closed, at once.
      $wait_s = %{ $session->{from} } ? 0.5 : 0.02;
    }
    if (select($readable, $writable, undef, $wait_s) < 0) { ($readable, $writable) = ('', '') }
    if (length $readable && vec($readable, fileno $port, 1)) {
      my $n = sysread $port, $in, 65536, length $in;
      if (defined $n && !$n) {
        # Nobody is at the other end: what runs, runs for nobody. The kernel says by SIGIO when somebody comes.
        finish($session);
        ($session, $in) = (undef, '');
        select undef, undef, undef, 2;
        next;
      }
    }
    next if !$session;
    feed($session) if $session->{to} && length $writable && vec($writable, fileno $session->{to}, 1);
    drain($session, $readable);
    my $code = exit_code_of($session);
    if (defined $code) {
      frame('X', $code);
      undef $session;
    }
    elsif (time >= $beat_at) { frame('N', '') }
  }
}

sub is_port {
  my ($path) = @_;
  open my $file, '<', "$path/name" or return 0;
  return (<$file> // '') =~ /^branchbox\.exec\./;
}

$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { } for qw(CHLD IO);
for my $path (grep { is_port($_) } glob '/sys/class/virtio-ports/*') {
  next if fork;
  setsid;
  # By the kernel's name: udev may not have linked the other yet.
  my ($device) = $path =~ m{([^/]+)$};
  sysopen $port, "/dev/$device", O_RDWR or exit 1;
  fcntl $port, F_SETOWN, $$;
  fcntl $port, F_SETFL, O_ASYNC;
  open STDIN, '<', '/dev/null';
  open STDOUT, '>', '/dev/null';
  open STDERR, '>', '/dev/null';
  serve();
}
