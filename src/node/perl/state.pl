# ---------------------------------------------------------------- what became of a job

# Which devices a job (directory) was given, and for which of its alternatives: the second line of who supervises it. From
# agent.sh it has a file of its own.
sub took {
  my ($job) = @_;
  if (open(my $sup, '<', sup_file($job))) {
    my ($first, $second) = (scalar <$sup>, scalar <$sup>);
    return split ' ', $second if defined $second && $second =~ /\.\n/;
  }
  return words_of(of_node("$job/took"));
}

# The number of the try that a job (directory) is at.
sub try_of {
  open(my $file, '<', "$_[0]/try") or return 1;
  my ($last) = (1);
  while (my $line = <$file>) { $last = $1 if $line =~ /^(\d+) \.$/ }
  return $last;
}

# Who supervises a job (directory): pid, its start time, the boot; nothing while that is only being written.
sub supervisor_of {
  my ($sup, $began, $boot, undef, $dot) = words_of(sup_file($_[0]));
  return defined $dot && $dot eq '.' ? ($sup, $began, $boot) : ();
}

# Says what became of a job, and which devices it has or had: "state" lines of wire.ts.
sub state_of {
  my ($uuid) = @_;
  my $job = "$ROOT/jobs/$uuid";
  return 'unknown' unless -d $job;
  my ($devices, $alternative, $dot) = took($job);
  my $took = defined $dot && $dot eq '.' ? " @ $devices $alternative" : '';
  my $end = end_of($job, $took);
  return $end if defined $end;
  return 'new' unless -e sup_file($job);
  # Who has just made the file is about to write his name.
  my ($sup, $began, $boot) = supervisor_of($job);
  # By the clock: a child's end cuts a pause short.
  for (my $end = clock() + 0.1; !defined $sup && clock() <= $end;) {
    pause(0.01);
    ($sup, $began, $boot) = supervisor_of($job);
  }
  if (defined $sup && $boot eq $BOOT && lives($sup, $began)) {
    my $try = try_of($job);
    my ($since) = words_of("$job/started");
    my $age = defined $since ? uptime() - $since : '-';
    # It is made when all devices are held.
    return "waiting $age $try ready$took" if -p "$job/go";
    return "waiting $age $try$took" if $age eq '-';
    return (-p "$job/pause" ? 'pausing' : 'running') . " $age $try$took";
  }
  # Between the two looks.
  $end = end_of($job, $took);
  return $end if defined $end;
  if (!-e "$job/started" && !-e "$job/cancel") {
    # Not a line of the task has run (a rank that still waited for its gang): it may be started afresh.
    kill_tree($job, 0);
    unlink "$ROOT/live/$uuid";
    run('rm', '-rf', "$job.dead.$$") if rename $job, "$job.dead.$$";
    return 'unknown';
  }
  # Its secrets are nobody's any more.
  put("$job/env", '') if defined $sup && -s "$job/env";
  return !defined $boot || $boot eq $BOOT ? 'dead supervisor' : 'dead reboot';
}

sub end_of {
  my ($job, $took) = @_;
  my ($code, $ended, $boot, $how, $try, $dot) = words_of("$job/exit");
  return undef unless defined $dot && $dot eq '.';
  my $age = $boot eq $BOOT ? uptime() - $ended : time - (stat "$job/exit")[9];
  my ($began, $whole) = words_of("$job/started");
  my $ran = defined $whole && $whole eq '.' ? $ended - $began : '-';
  return "ended $code $age $how $ran $try$took";
}
