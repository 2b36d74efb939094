# ---------------------------------------------------------------- the shell that a job runs in

# Starts an interactive bash, as SkyPilot runs a task: ~/.bashrc is where `conda activate` comes from. With what a spare one
# has to begin with, it waits. Returns { pid, from => what the job writes, said => what was printed before it began }.
sub start_shell {
  my ($spare) = @_;
  # What bash says about a missing terminal, and what ~/.bashrc prints; and a last line when that was all.
  my $shell = { %{$spare || {}}, said => memory() };
  pipe($shell->{from}, my $output) or return undef;
  my $word;
  pipe($word, $shell->{go}) or return undef if $spare;
  my $pid = $spare ? fork_off() : fork;
  if (defined $pid && !$pid) {
    if ($spare) { drop($_) for splice @LEASES }
    else { forget_helpers() }
    let_go();
    $SIG{$_} = 'IGNORE' for 'INT', 'QUIT';
    $ENV{CLUSTER_QUEUE_JOB} = $spare ? $spare->{mark} : $UUID;
    $ENV{CLUSTER_QUEUE_TRY} = $TRY;
    $ENV{CQ_JOB_DIR} = $JOB unless $spare;
    $ENV{CQ_BIN} = $AGENT =~ s/\.sh$/.bin/r;
    open(STDIN, '<', '/dev/null');
    open(STDOUT, '>&', $shell->{said});
    open(STDERR, '>&', \*STDOUT);
    # F_DUPFD, which leaves them open over exec.
    my ($to, $go, $text) = map { defined $_ ? fcntl($_, 0, 5) : undef } $output, $word, $spare && $spare->{text};
    exec { bash() } 'bash', '-i', '-c', "CQ_OUTPUT=$to\n" . job_text(), 'run' or exit 127 unless $spare;
    # It ends by itself when nobody is left who could give it a job.
    my $seconds = 2 * spare_seconds() + 60;
    exec { bash() } 'bash', '-i', '-c', <<"    WAIT", 'run' or exit 127;
      IFS= read -r -t $seconds -u $go CQ_TEXT || exit
      CQ_OUTPUT=$to CQ_TEXT=$text
      exec $go<&-
      . /proc/self/fd/$text
    WAIT
  }
  $shell->{pid} = $pid;
  return defined $pid ? $shell : undef;
}

# Where bash is: to try each folder of a long PATH anew takes its time.
sub bash {
  our $BASH;
  ($BASH) = grep { -f && -x _ } map { "$_/bash" } split /:/, $ENV{PATH} // '' unless defined $BASH && -x $BASH;
  return $BASH // 'bash';
}

# What a job's shell does after ~/.bashrc. An interactive bash ignores TERM: the trap ends it after the command that TERM has
# just ended.
sub job_text {
  return <<"  RUN";
    echo "\$CLUSTER_QUEUE_JOB began"
    eval "exec >&\$CQ_OUTPUT 2>&1 \$CQ_OUTPUT>&-"
    unset CQ_OUTPUT
    trap "exit 143" TERM
    # What came while ~/.bashrc was at work was not heeded.
    [ ! -e "\$CQ_JOB_DIR/cancel" ] && [ ! -e "\$CQ_JOB_DIR/timeout" ] || exit 143
    for CQ_NAME in docker podman docker-compose; do
      ! type -P \$CQ_NAME >/dev/null || CQ_BIN=\${CQ_BIN##*:}/\$CQ_NAME:\$CQ_BIN
    done
    . "\$CQ_JOB_DIR/env"
    $NODE_ENV
    . "\$CQ_JOB_DIR/run"
  RUN
}

# Whether a shell came to the task.
sub began {
  my ($shell) = @_;
  return all_of($shell->{said}) =~ /^\Q$UUID\E began$/m;
}

# Starts a shell for the job that comes next, where one waits: it will most likely get what this one has.
sub prepare_shell {
  return if $SPARE || !($SOME_LEFT // any_staged());
  my %leases;
  for my $name (map { $_->{name} } @LEASES) {
    $leases{$name} = open_lease($name) or return;
  }
  my $mark = join '-', 'next', $$, start_of($$), ++our $SPARES;
  my @forks = fork_count();
  $SPARE = start_shell({
    mark => $mark, since => clock(), read => rc_files(), forks => \@forks, text => memory(), leases => \%leases,
  });
}

sub spare_seconds { return $ENV{CLUSTER_QUEUE_SPARE_SECONDS} // 60 }

# What tells one state from another of the files that nearly all that is read before a task is in.
sub rc_files { return join ' ', map { join ':', (stat $_)[0, 1, 7, 9, 10] } "$HOME/.bashrc", '/etc/bash.bashrc', '/etc/bashrc' }

# The spare shell, when it is as good as a new one for the job that is being placed.
sub ready_shell {
  return undef unless $SPARE && waitpid($SPARE->{pid}, $NOHANG) == 0;
  return undef unless clock() - $SPARE->{since} < spare_seconds() && $SPARE->{read} eq rc_files();
  return undef if grep { !is_spare($_) } @PLACING;
  return @PLACING == keys %{$SPARE->{leases}} ? $SPARE : undef;
}

# Whether a lease is the spare shell's too.
sub is_spare {
  my ($lease) = @_;
  return $SPARE && ($SPARE->{leases}{$lease->{name}} // 0) == $lease;
}

# Gives a shell that waits its job; it may be gone by now.
sub begin_in {
  my ($shell) = @_;
  local $SIG{PIPE} = 'IGNORE';
  my $folder = $JOB =~ s/'/'\\''/gr;
  my $text = "eval \"exec \$CQ_TEXT<&-\"\nunset CQ_TEXT\n"
    . "export CLUSTER_QUEUE_JOB=$UUID CLUSTER_QUEUE_TRY=$TRY CQ_JOB_DIR='$folder'\nSECONDS=0\n" . job_text();
  my $put = syswrite($shell->{text}, $text);
  return defined $put && $put == length $text && syswrite($shell->{go}, "\n");
}

# Ends a shell that has come to no job, and what ~/.bashrc has left.
sub end_shell {
  my ($shell) = @_;
  return unless $shell;
  # No longer than that: where the home folder hangs it cannot be ended. One that was waited for may have left its number.
  for (1 .. 1000) {
    last if waitpid($shell->{pid}, $NOHANG);
    kill 'KILL', $shell->{pid};
    pause(0.001);
  }
  # Again for what one of them has started meanwhile.
  for (1 .. 50) {
    my @left = marked($shell->{mark}, $shell->{forks}) or last;
    kill 'KILL', @left;
  }
  close_shell($shell);
}

sub end_spare {
  my $shell = $SPARE;
  undef $SPARE;
  return unless $shell;
  # Those that are being placed go on without it.
  delete $shell->{leases}{$_->{name}} for @PLACING;
  end_shell($shell);
  drop($_) for values %{$shell->{leases}};
}

sub end_next_shell {
  my $shell = $NEXT_SHELL;
  undef $NEXT_SHELL;
  end_shell($shell);
}

sub close_shell {
  my ($shell) = @_;
  close $_ for grep { defined } @$shell{'go', 'text', 'from', 'said'};
}

# For a fork that must not have them.
sub forget_shells {
  for my $shell (grep { $_ } $SPARE, $NEXT_SHELL) {
    drop($_) for values %{$shell->{leases}};
    close_shell($shell);
  }
  undef $SPARE;
  undef $NEXT_SHELL;
}
