# ---------------------------------------------------------------- tries

# A gang's rank holds its devices and waits, at most a minute, for word that all others have theirs.
sub wait_for_go {
  if (!$GANG) {
    return 1 unless -e "$JOB/cancel";
    ($CODE, $HOW) = (143, 'cancelled');
    return 0;
  }
  # Open before anybody is told: what is written to a FIFO that nobody has open is lost.
  my $go = fifo("$JOB/go");
  # Before another try the others may have to be ended first.
  my $seconds = ($ENV{CLUSTER_QUEUE_GO_TIMEOUT} || 60) + ($TRY == 1 ? 0 : $GRACE);
  my $deadline = clock() + $seconds;
  push_line("R $UUID $TRY");
  # A cancel may have come before the FIFO was there, and so may word of a try that others are at.
  my $word = -e "$JOB/cancel" ? 'cancel' : '';
  begin_next() if !$word && gone_on();
  until ($word eq "go $TRY" || $word eq 'cancel' || $word eq 'timeout') {
    $word = line_of($go, $deadline - clock()) // 'timeout';
    next if $word eq "go $TRY" || $word eq 'cancel' || $word eq 'timeout';
    $word = '';
    begin_next() if gone_on();
  }
  close $go;
  unlink "$JOB/go";
  return 1 if $word eq "go $TRY";
  # Of a rank that failed and was not let try again, its own code says more.
  $CODE = 143 if $CODE eq '';
  $HOW = $word eq 'cancel' ? 'cancelled' : 'no-go';
  return 0;
}

# Goes on to the try that the others are at.
sub begin_next {
  set_try(later_try());
  push_line("R $UUID $TRY");
}

# Appended, so that whoever reads it meanwhile finds one or the other.
sub set_try {
  $TRY = $_[0];
  put("$JOB/try", "$TRY .\n", '>>');
}

sub later_try { return (words_of("$JOB/again"))[0] // 0 }

# Whether other ranks of the gang are at a later try.
sub gone_on { return later_try() > $TRY }

sub fifo {
  my ($path) = @_;
  run('mkfifo', $path) unless -p $path;
  sysopen(my $file, $path, $O_RDWR);
  return $file;
}

# The next line of a FIFO that this process has open, within so many seconds; nothing when none came.
sub line_of {
  my ($file, $seconds) = @_;
  my $line = '';
  my $end = clock() + $seconds;
  while (1) {
    my $left = $end - clock();
    return undef if $left <= 0;
    vec(my $read = '', fileno $file, 1) = 1;
    next unless select($read, undef, undef, $left) > 0;
    # By the byte: what comes after the line is for the next to read.
    sysread($file, my $byte, 1) or next;
    return $line if $byte eq "\n";
    $line .= $byte;
  }
}

sub run_job {
  # Of a shell that has waited, some of what it left began before.
  if ($NEXT_SHELL) { ($FIRST_FORKS, $FIRST_PID) = @{$NEXT_SHELL->{forks}} } else { mark_forks() }
  # What is not needed any more becomes the new file, where there is something: to make one is what takes long here.
  my $now = uptime() . " .\n";
  put("$JOB/started", $now) unless put_over("$JOB/want", $now) && rename "$JOB/want", "$JOB/started";
  do { run_try() } while next_try();
}

sub run_try {
  my $watch = watch_try();
  # Word of the others' next try may have come before anybody watched for it.
  if (gone_on()) {
    ($CODE, $HOW) = (143, 'exit');
    end_watch($watch);
    return announce();
  }
  # Up to here it says that no try is under way.
  unlink "$JOB/pause" if $TRY != 1;
  # Before the job can end for want of memory; what that was a second ago will do, for it takes long to tell.
  our ($KILLS, $COUNTED);
  ($KILLS, $COUNTED) = (oom_kills(), clock()) unless defined $COUNTED && clock() - $COUNTED < 1;
  begin_in($NEXT_SHELL) if $NEXT_SHELL;
  # Before a new shell is forked, which would keep what the walk has locked.
  announce("S $UUID 0 $TRY");
  my $waited = $NEXT_SHELL;
  undef $NEXT_SHELL;
  # What is left to do here must not keep the job from its core.
  syscall($YIELD) if $waited;
  my $shell = $waited || start_shell();
  attend($shell);
  if ($waited && !began($waited) && !-e "$JOB/cancel" && !-e "$JOB/timeout") {
    # It ended, or was ended, before it came to the task.
    close_log();
    $shell = start_shell();
    attend($shell);
  }
  $HOW = 'exit';
  end_watch($watch);
  kill_tree($JOB, $GRACE) if left_behind();
  by_shell('containers', $JOB, $GRACE) if -s "$JOB/containers";
  close_log();
  if (-e "$JOB/cancel") { $HOW = 'cancelled' }
  elsif (-e "$JOB/timeout") { $HOW = 'timeout' }
  elsif (!$shell || !began($shell)) {
    $HOW = 'rc';
    my $words = $shell ? all_of($shell->{said}) : '';
    put(newest_part($JOB), "[cluster-queue] ~/.bashrc ended the shell (exit code $CODE) before the task began. It said:\n$words", '>>');
    # What `exec zsh` made of it may have ended well, but no line of the task has run.
    $CODE ||= 1;
  }
  elsif ($CODE == 137 && defined $KILLS && (oom_kills() // 0) > $KILLS) {
    $HOW = 'oom';
    undef $COUNTED;
  }
}

# Waits until a job's shell has ended, whose exit code is then in $CODE; meanwhile keeps its log, and makes ready for the next
# job.
sub attend {
  my ($shell) = @_;
  $CODE = 126;
  return unless $shell;
  open_log($shell->{from});
  prepare_next();
  log_opened($shell->{from});
  close $shell->{from};
  $? = 126 << 8;
  1 while waitpid($shell->{pid}, 0) < 0 && $! == 4;
  $CODE = $? & 127 ? 128 + ($? & 127) : $? >> 8;
}

# How often the kernel has ended a process for want of memory since the boot; nothing where it does not count that.
sub oom_kills {
  return read_at_once($ENV{CLUSTER_QUEUE_VMSTAT_FILE} || '/proc/vmstat') =~ /^oom_kill (\d+)/m ? $1 : undef;
}

# A file that is nowhere but in memory.
sub memory {
  my $name = 'said';
  my $number = syscall($MEMFD, $name, 1);
  my $file;
  # An older kernel has none of this: then one that has no name.
  $number >= 0 ? open($file, '+<&=', $number) : open($file, '+>', undef);
  return $file;
}

sub all_of {
  my ($file) = @_;
  seek($file, 0, 0);
  local $/;
  return <$file> // '';
}

# Begins to watch over a try that has a limit of time, or whose gang may begin anew, by a process that ends with the try.
sub watch_try {
  return if $TIMEOUT eq '-' && !($GANG && $RETRIES > 0);
  # Open before the try begins: what is written to a FIFO that nobody has open is lost.
  my $poke = fifo("$JOB/poke");
  my $pid = fork;
  if (defined $pid && !$pid) {
    forget_leases();
    silence();
    end_in_time($poke);
  }
  return [$pid, $poke];
}

sub end_watch {
  my ($watch) = @_;
  return unless $watch;
  kill 'KILL', $watch->[0];
  waitpid($watch->[0], 0);
}

# Ends the job's processes when the try's time is over, or when word comes that another rank of the gang failed.
sub end_in_time {
  my ($poke) = @_;
  my $end = $TIMEOUT eq '-' ? undef : clock() + $TIMEOUT;
  until (gone_on()) {
    my $left = defined $end ? $end - clock() : 1e9;
    if ($left <= 0) { put("$JOB/timeout", ''); last }
    line_of($poke, $left);
  }
  # The job may have been about to start when its tree was empty. The end of the try ends this process.
  while (1) {
    kill_tree($JOB, $GRACE);
    pause(0.05);
  }
}

# After a try: fails when it was the last, and else holds the devices until the next one may begin.
sub next_try {
  return 0 unless $HOW eq 'exit' || $HOW eq 'oom';
  my $why;
  if (gone_on()) { $why = 'another rank failed' }
  else {
    return 0 unless $CODE != 0 && $TRY <= $RETRIES;
    $why = "exit code $CODE" . ($HOW eq 'oom' ? ' for want of memory' : '');
  }
  # 10 s, doubled from try to try, and never more than 5 minutes.
  my $pause = $ENV{CLUSTER_QUEUE_RETRY_PAUSE} // 10;
  for (my $n = 1; $n < $TRY && $pause < 300; $n++) { $pause *= 2 }
  $pause = 300 if $pause > 300;
  my $poke = fifo("$JOB/pause");
  my $line = "[cluster-queue] $why; try " . ($TRY + 1) . ' of ' . ($RETRIES + 1) . " in $pause s\n";
  # What the task wrote last may have no line break.
  my $log = newest_part($JOB);
  $line = "\n$line" if unfinished_line($log);
  put($log, $line, '>>');
  set_try($TRY + 1);
  push_line("T $UUID $TRY $CODE $pause");
  line_of($poke, $pause) unless -e "$JOB/cancel" || !$pause;
  close $poke;
  if (-e "$JOB/cancel") { $HOW = 'cancelled'; return 0 }
  return wait_for_go();
}

sub unfinished_line {
  open(my $log, '<', $_[0]) or return 0;
  seek($log, -1, 2) or return 0;
  return getc($log) ne "\n";
}
