# ---------------------------------------------------------------- the shell that a job runs in

# Starts an interactive bash, as SkyPilot runs a task: ~/.bashrc is where `conda activate` comes from. With what a spare one
# has to begin with, it waits, and has no pid before `spare_pid`. Returns { pid, from => what the job writes, said => what
# was printed before it began, text => what it is told to do, and a last line that it has come to that }.
sub start_shell {
  my ($spare) = @_;
  # What bash says about a missing terminal, and what ~/.bashrc prints.
  my $shell = { %{$spare || {}}, said => memory(), text => memory() };
  pipe($shell->{from}, my $output) or return undef;
  my $word;
  pipe($word, $shell->{go}) or return undef if $spare;
  my @files = ($output, @$shell{'text', 'said'}, $word // ());
  my @leases = $spare ? map { $_->{file} } values %{$spare->{leases}} : ();
  return $shell if $spare && ask_starter("$spare->{mark} $TRY", @files, @leases);
  my $pid = $spare ? fork_off() : fork;
  if (defined $pid && !$pid) {
    if ($spare) { drop($_) for splice @LEASES }
    else { forget_helpers() }
    let_go();
    # F_DUPFD, which leaves them open over exec.
    my ($to, $text, $go) = map { defined $_ ? fcntl($_, 0, 5) : undef } @files[0, 1, 3];
    become_shell(bash(), outfit_shell($spare && $spare->{mark}, $to, $text, fileno $shell->{said}, $go));
  }
  $shell->{pid} = $pid;
  return defined $pid ? $shell : undef;
}

# Makes this process, which has nothing else to do, ready to become the shell, which with a mark waits for a job, and without
# one has it. The numbers are those of what it writes to, what it is told, where its words before that go, and what it waits
# for. Returns its arguments.
sub outfit_shell {
  my ($mark, $to, $from, $said, $go) = @_;
  umask oct delete $ENV{CQ_UMASK} if defined $ENV{CQ_UMASK};
  $ENV{CLUSTER_QUEUE_JOB} = $mark // $UUID;
  $ENV{CLUSTER_QUEUE_TRY} = $TRY;
  $ENV{CQ_JOB_DIR} = $JOB unless defined $mark;
  $ENV{CQ_BIN} = $AGENT =~ s/\.sh$/.bin/r;
  open(STDIN, '<', '/dev/null');
  open(STDOUT, '>&', $said);
  open(STDERR, '>&', \*STDOUT);
  my $tools = tools_text();
  return ('bash', '-i', '-c', "CQ_OUTPUT=$to CQ_TEXT=$from\n$tools" . job_text(), 'run') unless defined $mark;
  # It ends by itself, and takes along what ~/.bashrc has left, when nobody is there to give it a job.
  my $seconds = 2 * spare_seconds() + 60;
  return ('bash', '-i', '-c', <<"  WAIT", 'run');
    $tools
    if ! IFS= read -r -t $seconds -u $go CQ_TEXT; then
      for CQ_SIGNAL in TERM KILL; do
        for CQ_PID in \$(command grep -lsF "CLUSTER_QUEUE_JOB=\$CLUSTER_QUEUE_JOB" /proc/[0-9]*/environ); do
          CQ_PID=\${CQ_PID#/proc/}
          CQ_PID=\${CQ_PID%/*}
          [ "\$CQ_PID" != \$\$ ] && kill -\$CQ_SIGNAL "\$CQ_PID" && CQ_LEFT=1
        done
        [ -n "\${CQ_LEFT-}" ] || break
        sleep 1
      done 2>/dev/null
      exit
    fi
    CQ_OUTPUT=$to CQ_TEXT=$from
    exec $go<&-
    . /proc/self/fd/$from
  WAIT
}

# Goes on as a program, in a process group of its own: a task that ends all of its own (`kill 0`) means no supervisor.
sub become_shell {
  my ($program, @words) = @_;
  setpgrp(0, 0);
  exec { $program } @words or quit(127);
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
    # Where ~/.bashrc cannot have sent it elsewhere.
    echo "\$CLUSTER_QUEUE_JOB began" >&\$CQ_TEXT
    eval "exec >&\$CQ_OUTPUT 2>&1 \$CQ_OUTPUT>&- \$CQ_TEXT>&-"
    unset CQ_OUTPUT CQ_TEXT
    trap "exit 143" TERM
    # What came while ~/.bashrc was at work was not heeded.
    [ ! -e "\$CQ_JOB_DIR/cancel" ] && [ ! -e "\$CQ_JOB_DIR/timeout" ] || exit 143
    . "\$CQ_JOB_DIR/env"
    $NODE_ENV
    . "\$CQ_JOB_DIR/run"
  RUN
}

# Has those of our own programs found that stand in for what ~/.bashrc leaves to be found.
sub tools_text {
  return <<'  TOOLS';
    for CQ_NAME in docker podman docker-compose; do
      ! type -P $CQ_NAME >/dev/null || CQ_BIN=${CQ_BIN##*:}/$CQ_NAME:$CQ_BIN
    done
  TOOLS
}

# Whether a shell came to the task.
sub began {
  my ($shell) = @_;
  return $shell->{began} ||= all_of($shell->{text}) =~ /^\Q$UUID\E began$/m;
}

# Starts a shell for the job that comes next, where one waits: it will most likely get what this one has.
sub prepare_next {
  return if $SPARE || !($SOME_LEFT // any_staged());
  # Who has one job after the other is worth one; before there is anything open that it should not have.
  start_starter() if our $SPARES && !defined $STARTER;
  prepare_shell(next_mark(), map { $_->{name} } @LEASES);
}

# A mark that no other shell has.
sub next_mark { return join '-', 'next', $$, own_start(), ++our $SPARES }

# Starts a shell for a job that will have these devices: it reads ~/.bashrc while the rest is made ready.
sub prepare_shell {
  my ($mark, @devices) = @_;
  my %leases;
  for my $name (@devices) {
    $leases{$name} = open_lease($name) or return;
  }
  my @forks = fork_count();
  $SPARE = start_shell({
    mark => $mark, since => clock(), read => rc_files(), forks => \@forks, leases => \%leases,
  });
}

sub spare_seconds { return $ENV{CLUSTER_QUEUE_SPARE_SECONDS} // 60 }

# What tells one state from another of the files that nearly all that is read before a task is in.
sub rc_files { return join ' ', map { join ':', (stat $_)[0, 1, 7, 9, 10] } "$HOME/.bashrc", '/etc/bash.bashrc', '/etc/bashrc' }

# The spare shell, when it is as good as a new one for the job that has just got these leases.
sub ready_shell {
  return undef unless spare_waits();
  return undef unless clock() - $SPARE->{since} < spare_seconds() && $SPARE->{read} eq rc_files();
  return undef if grep { !is_spare($_) } @_;
  return @_ == keys %{$SPARE->{leases}} ? $SPARE : undef;
}

# Makes the spare shell, which was started for this job, its own.
sub take_shell {
  ($NEXT_SHELL, $SPARE) = ($SPARE, undef) if spare_waits();
  # Its leases, which are this process's alone now, stay.
  undef $SPARE;
}

sub spare_waits { return $SPARE && spare_pid() && waitpid($SPARE->{pid}, $NOHANG) == 0 }

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
  my $text = "export CLUSTER_QUEUE_JOB=$UUID CLUSTER_QUEUE_TRY=$TRY CQ_JOB_DIR='$folder'\nSECONDS=0\n" . job_text();
  my $put = syswrite($shell->{text}, $text);
  return defined $put && $put == length $text && syswrite($shell->{go}, "\n");
}

# Has a shell that came to no job end by itself when it has read ~/.bashrc: one that is killed there leaves the locks of what
# that calls (pyenv's).
sub end_spare {
  my $shell = $SPARE or return;
  # Or it would be taken for that of the next.
  spare_pid();
  undef $SPARE;
  drop($_) for values %{$shell->{leases}};
  close_shell($shell);
}

# The same for one whose job did not begin. What it has is free at once: no process of a job has it.
sub end_next_shell {
  my $shell = $NEXT_SHELL;
  undef $NEXT_SHELL;
  return unless $shell;
  flock($_->{file}, $UNLOCK) for values %{$shell->{leases}};
  close_shell($shell);
}

# Locks what is being placed anew, by descriptors that the spare shell, which is none for that job, does not have.
sub lock_apart {
  for my $lease (grep { is_spare($_) } @PLACING) {
    my $own = open_lease($lease->{name}) or return 0;
    flock($lease->{file}, $UNLOCK);
    lock_lease($own) or return 0;
    # In place: an alias of the element.
    $_ = $_ == $lease ? $own : $_ for @PLACING;
  }
  return 1;
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
