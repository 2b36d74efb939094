# ---------------------------------------------------------------- helpers, and messages to them that bring open files

# So many files a message has room for.
our $MOST_FILES = 60;

# Starts a process of this supervisor that has neither its leases nor its other helpers, and does this with its socket, each
# read of which is one message. Returns { pid, socket }; nothing when there can be none.
sub start_helper {
  my ($work) = @_;
  # AF_UNIX, SOCK_SEQPACKET
  socketpair(my $mine, my $its, 1, 5, 0) or return undef;
  my $pid = fork_off() // return undef;
  return { pid => $pid, socket => $mine } if $pid;
  forget_leases();
  close $mine;
  silence();
  $work->($its);
  quit();
}

# Sends a message with open files along, see unix(7) and cmsg(3); whether it was sent.
sub send_files {
  my ($socket, $words, @files) = @_;
  # A cmsghdr: SOL_SOCKET, SCM_RIGHTS.
  my $files = pack('Q i i i*', 16 + 4 * @files, 1, 1, map { fileno $_ } @files);
  $files .= "\0" x (-length($files) % 8);
  my $parts = pack('P Q', $words, length $words);
  my $message = pack('Q Q P Q P Q Q', 0, 0, $parts, 1, $files, length $files, 0);
  # MSG_NOSIGNAL
  return syscall($SENDMSG, fileno $socket, $message, 0x4000) == length $words;
}

# Receives such a message: its words and the numbers of its files, which stay open over exec; nothing when none will come any
# more.
sub receive_files {
  my ($socket) = @_;
  my ($words, $files) = ('', '');
  # Memory that no other string shares: the kernel writes to it.
  vec($words, 255, 8) = 0;
  vec($files, 15 + 4 * $MOST_FILES, 8) = 0;
  my $parts = pack('P Q', $words, length $words);
  my $message = pack('Q Q P Q P Q Q', 0, 0, $parts, 1, $files, length $files, 0);
  my $count = syscall($RECVMSG, fileno $socket, $message, 0);
  return if $count <= 0;
  return (substr($words, 0, $count), unpack('x16 i' . (unpack('Q', $files) - 16) / 4, $files));
}

# What a helper ({ pid, socket }) says, within so many seconds where those are given; empty when it says nothing.
sub answer_of {
  my ($helper, $seconds) = @_;
  my ($answer, $found);
  do {
    vec(my $read = '', fileno $helper->{socket}, 1) = 1;
    $found = select($read, undef, undef, $seconds);
  } while $found < 0 && $! == 4;
  return $found > 0 && sysread($helper->{socket}, $answer, 20) ? $answer : '';
}

# Ends a helper, also one that is stopped.
sub end_helper {
  my ($helper) = @_;
  # One that has ended may have been waited for, and its number be another's.
  kill 'KILL', $helper->{pid} if waitpid($helper->{pid}, $NOHANG) == 0;
  waitpid($helper->{pid}, 0);
}
