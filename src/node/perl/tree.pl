# ---------------------------------------------------------------- processes of a job

# Notes where the pids of the supervisor's next job begin.
sub mark_forks { ($FIRST_FORKS, $FIRST_PID) = fork_count() }

# The number of forks since the boot and the newest pid; nothing where /proc does not tell.
sub fork_count {
  my ($forks) = read_at_once('/proc/stat') =~ /^processes (\d+)/m or return;
  return ($forks, (words_of('/proc/loadavg'))[4]);
}

# Whether processes of the supervisor's job may be left. A look at all of /proc costs more than all else that ends a
# job; but pids go up, so with few forks since the job began its processes are between the newest of then and of now.
sub left_behind {
  my ($forks, $last) = fork_count();
  return 1 unless defined $FIRST_FORKS && defined $forks;
  return 1 unless $forks - $FIRST_FORKS < 1000 && $last > $FIRST_PID && $last - $FIRST_PID < 1000;
  my ($seen, @pids) = ($FIRST_PID);
  spare_pid() if $SPARE;
  my %helpers = map { $_->{pid} => 1 } grep { $_ && $_->{pid} } $SPARE, $KEEPER, $STARTER;
  # Again for those that came meanwhile: one may have had a child and ended before it was looked at.
  while ($last > $seen) {
    push @pids, grep { !$helpers{$_} && may_be_ours($_) } $seen + 1 .. $last;
    $seen = $last;
    $last = (words_of('/proc/loadavg'))[4];
  }
  return 1 if $last < $seen;
  return @pids && job_pids($JOB, @pids) > 0;
}

# Whether a process is there that is not in the session of another supervisor from before the job began: a process leaves its
# session only for one of its own.
sub may_be_ours {
  # Most have ended. EPERM
  return 0 unless kill(0, $_[0]) || $! == 1;
  my $session = (stat_of($_[0]))[3] // return 0;
  return 1 if $session == $$ || $session > $FIRST_PID;
  our %SUPERVISORS;
  return !($SUPERVISORS{$session} //= read_at_once("/proc/$session/cmdline") =~ /^perl \Q$AGENT\E supervise / ? 1 : 0);
}

# The pids, of those given or of all, of the job in a folder.
sub job_pids {
  my ($job, @among) = @_;
  return @{tree([$job], @among)->{$job}};
}

# The pids of several jobs, by their folders: whoever carries a job's mark in the environment, which children inherit however
# they daemonise; orphans in the supervisor's session; and all their descendants. Never a supervisor and its helpers.
sub tree {
  my ($jobs, @among) = @_;
  my (%of_mark, %of_session, %pids);
  for my $job (@$jobs) {
    $pids{$job} = [];
    $of_mark{($job =~ m{([^/]*)$})[0]} = $job;
    my ($sup, $began, $boot, undef, undef, $mark) = words_of(sup_file($job));
    # Its shell began before it had a job.
    $of_mark{$mark} = $job if defined $mark;
    next if !$sup || $boot ne $BOOT;
    # A supervisor that died may have left its number, and so its session's, to a stranger.
    my $start = start_of($sup);
    $of_session{$sup} = $job if !defined $start || $start eq $began;
  }
  @among = entries('/proc', qr/^\d+$/) unless @among;
  my (%parent, %mine, @members);
  for my $pid (@among) {
    my @stat = stat_of($pid) or next;
    $parent{$pid} = $stat[1];
    my $mark = mark_of($pid);
    $mine{$pid} = $of_mark{$mark} if $of_mark{$mark};
    # What the ~/.bashrc of a shell has left that waits for the next job is not this one's.
    push @members, [$pid, $stat[3]] if $of_session{$stat[3]} && ($of_mark{$mark} || $mark !~ /^next-/);
  }
  # Who descends from the supervisor without the mark is a helper of its.
  for (@members) {
    my ($pid, $sup) = @$_;
    my $up = $pid;
    $up = $parent{$up} while exists $parent{$up} && $up ne $sup;
    $mine{$pid} ||= $of_session{$sup} if $up ne $sup;
  }
  delete @mine{keys %of_session};
  my $grew = 1;
  while ($grew) {
    $grew = 0;
    for my $pid (keys %parent) {
      next if $mine{$pid} || $of_session{$pid} || !$mine{$parent{$pid}};
      $mine{$pid} = $mine{$parent{$pid}};
      $grew = 1;
    }
  }
  # A shell before the commands that it waits for: else it would go on to the next when it hears of one's end before its own.
  push @{$pids{$mine{$_}}}, $_ for sort { $a <=> $b } grep { exists $parent{$_} } keys %mine;
  return \%pids;
}

# The job's mark in the environment of a process, or that of a shell that waited for a job; empty where there is none.
sub mark_of {
  my ($pid) = @_;
  for (1 .. 5) {
    my $environment = read_at_once("/proc/$pid/environ");
    return $environment =~ /(?:^|\0)CLUSTER_QUEUE_JOB=([^\0]*)/ ? $1 : '' if length $environment;
    # One that is just becoming another program has none for a moment; a thread of the kernel has no program.
    last unless defined readlink "/proc/$pid/exe";
    pause(0.001);
  }
  return '';
}

# Ends every process of a job: TERM, up to $2 seconds of grace, then KILL until none is left.
sub kill_tree {
  my ($job, $grace) = @_;
  my @pids = job_pids($job) or return;
  kill 'TERM', @pids;
  kill 'CONT', @pids;
  my ($deadline, $pause) = (clock() + $grace, 0.005);
  while (1) {
    pause($pause);
    @pids = job_pids($job) or return;
    last if clock() > $deadline;
    $pause *= 2 if $pause < 0.3;
  }
  for (my $tries = 0; @pids && $tries < 100; $tries++) {
    kill 'KILL', @pids;
    pause(0.02);
    @pids = job_pids($job);
  }
}

# Cancels jobs (folders) with one look at the processes for all of them: ends what they run until their supervisors have
# told the end, or tells it where there is none.
sub cancel_all {
  my ($grace, @folders) = @_;
  my @jobs = map { { job => $_, tries => 0 } } @folders;
  $0 = "perl $AGENT cancel " . @jobs;
  my ($began, $pause) = (clock(), 0.002);
  while (@jobs) {
    # Until then: a supervisor may have been about to start the job when its tree was empty.
    for my $one (@jobs) { write_to("$one->{job}/$_", 'cancel') for 'go', 'pause' }
    my $pids = tree([map { $_->{job} } @jobs]);
    my $waited = clock() - $began;
    # Gone with the folder: one of the same name is another start, which nobody cancelled.
    @jobs = grep { -e "$_->{job}/cancel" } @jobs;
    for my $one (@jobs) {
      my @pids = @{$pids->{$one->{job}}};
      if (!@pids) {
        my ($sup, $start) = words_of(sup_file($one->{job}));
        # One that has only just been started may not have written its name yet.
        $one->{dead} = 1 if !lives($sup, $start // '') && ++$one->{tries} >= 20;
      } elsif ($waited > $grace) { kill 'KILL', @pids }
      elsif (my @new = grep { !$one->{termed}{$_}++ } @pids) {
        kill 'TERM', @new;
        kill 'CONT', @new;
      }
    }
    by_shell('killed', $_->{job}, $grace) for grep { $_->{dead} && !-e "$_->{job}/exit" } @jobs;
    @jobs = grep { !$_->{dead} && !-e "$_->{job}/exit" } @jobs;
    pause($pause) if @jobs;
    $pause *= 2 if $pause < 0.1;
  }
}
