# ---------------------------------------------------------------- the starter: forks the shells of a supervisor

# Most of what a fork costs is paid later: each page of memory that this process then writes to is a fault, a thousand of
# them between two jobs. So the shells that wait for a job are forked by a process that does nothing else, on this one's
# behalf: they are this one's children (CLONE_PARENT), and get their files over a socket.
our ($CLONE_PARENT, $SIGCHLD) = (0x8000, 17);

# Asks for a new shell that waits (its mark and try, and what it is to have open, see `fork_shells`), whose pid `spare_pid`
# tells; fails when there is no starter, and this process has to fork.
sub ask_starter {
  my ($words, @files) = @_;
  return 0 unless $STARTER && @files <= $MOST_FILES;
  return 1 if send_files($STARTER->{socket}, "$words " . @files, @files);
  end_starter();
  return 0;
}

# The pid of the spare shell; nothing when its starter does not tell, and it will end by itself.
sub spare_pid {
  return $SPARE->{pid} if $SPARE->{pid};
  my $pid = $STARTER ? answer_of($STARTER, 3) : '';
  return $SPARE->{pid} = $pid if $pid =~ /^\d+$/;
  end_starter();
  return undef;
}

# Whoever ended or stopped it may do so again: there is no other.
sub end_starter {
  end_helper($STARTER) if $STARTER;
  $STARTER = 0;
}

sub start_starter { $STARTER = start_helper(\&fork_shells) // 0 }

# Forks shells until the supervisor is gone: each message names mark and try, and brings the files of `outfit_shell` and others
# that are to be open in the shell.
sub fork_shells {
  my ($its) = @_;
  # Also what has no name any more: an end of the job's pipe that is open here would keep that from ending.
  for my $number (entries('/proc/self/fd', qr/^\d+$/)) {
    syscall($CLOSE, 0 + $number) if $number > 2 && $number != fileno $its;
  }
  $0 = "perl $AGENT starter";
  # So that what comes has two digits, as `open_lease`: those of one are what people's scripts use.
  my @low;
  do { open(my $file, '<', '/dev/null'); push @low, $file } while fileno $low[-1] < 19;
  while (my ($words, @numbers) = receive_files($its)) {
    (my $mark, $TRY, my $count) = split ' ', $words;
    # There was no room for all of them.
    last if $count != @numbers;
    my @shell = outfit_shell($mark, @numbers[0 .. 3]);
    # It is its stdout now.
    syscall($CLOSE, splice @numbers, 2, 1);
    my $bash = bash();
    my $child = syscall($CLONE, $CLONE_PARENT | $SIGCHLD, 0, 0, 0, 0);
    become_shell($bash, @shell) if $child == 0;
    syscall($CLOSE, $_) for @numbers;
    syswrite($its, $child);
  }
}
