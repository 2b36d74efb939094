# ---------------------------------------------------------------- the supervisor

# The job that this process supervises.
our ($UUID, $JOB, $GRACE, $GANG, $SNAPSHOT, $TIMEOUT, $RETRIES, $TRY, $CODE, $HOW);
# The next job to supervise, what it was staged with, and what its environment says of this node; and that of this job.
our ($NEXT, @NEXT_HOW, $NEXT_ENV, $NODE_ENV);
# Descriptors of the leases of this process's own job, and of the one that is being placed.
our (@LEASES, @PLACING);
# A shell that has read ~/.bashrc and waits for the job that comes next here, so that the devices are not idle while that is
# read; and the one that the next job gets. { pid, mark, since, read, forks, go, text, from, said, leases }: `mark` stands in
# its environment until it has a job; `leases` are descriptors for the devices of the job before, not locked but shared with
# it: what is locked by them is its own.
our ($SPARE, $NEXT_SHELL);
# Whether something went on waiting when this process last started something.
our $SOME_LEFT;
# A file of the job that has ended here which nobody needs any more, until it becomes one of the next job's: to make a new one
# is what takes long.
our $SPENT;
# The walk after the last job's end, with the line that tells of both, until that is told.
our $UNTOLD;
# The processes that keep the log (`start_keeper`) and fork the shells which wait (`start_starter`): { pid, socket }.
our ($KEEPER, $STARTER);
# Pipes that end when a fork has let go of this process's leases; and in a fork that has not yet, the end that says so.
our (@HOLDERS, $HOLDING);
# The number of forks since the boot and the newest pid when the job began.
our ($FIRST_FORKS, $FIRST_PID);

# The engine's start, by a process that was forked for it. The words are those of do_start in requests.pl, from the UUID on.
sub supervise {
  my ($uuid, $grace, $hold, $leases, $snapshot, undef, undef, $timeout, $retries, $use, $devices, $alternative, $units) = @_;
  ($UUID, $JOB) = ($uuid, "$ROOT/jobs/$uuid");
  my ($began, $name, $mark) = (own_start(), "$JOB/.sup.$$", next_mark());
  # On a full disk nobody could tell that it runs: it is not known here, and the engine sends it again.
  if (!name_supervisor($name, $$, $began, "$devices $alternative", $mark)) {
    unlink $name;
    return -e "$JOB/sup" ? undef : undo('dead');
  }
  # One of two starts of the same UUID gets past here; whoever sees the file finds the name in it, where there are hard links.
  my $mine = link($name, "$JOB/sup") || !-e "$JOB/sup" && put_new("$JOB/sup") && rename $name, "$JOB/sup";
  unlink $name;
  return unless $mine;
  $0 = "perl $AGENT supervise $JOB";
  $NODE_ENV = '';
  ($GRACE, $GANG, $SNAPSHOT, $TIMEOUT, $RETRIES, $TRY) = ($grace, $hold eq 'hold', $snapshot, $timeout, $retries, 1);
  my @leases = $leases eq '-' ? () : split /,/, $leases;
  chdir $HOME or chdir '/';
  prepare_shell($mark, @leases);
  # Its devices are in the books from here on: nothing that comes after it in the queue may get them while its workdir is
  # copied.
  if (!enter_books($UUID, $$, $began, $use, $units, $leases)) {
    end_spare();
    return undo('dead');
  }
  ($CODE, $HOW) = ('', 'exit');
  if (!copy_workdir()) { $CODE = 1 }
  else {
    my $busy;
    while (defined($busy = lease_mine($began, $use, $units, $leases))) {
      free_devices();
      if (is_heard()) {
        # Not known here any more: the engine plans again, perhaps for this very node.
        end_spare();
        undo('busy');
        push_line("B $UUID $busy " . lease_user($busy));
        # What was passed over for it may start.
        return kick();
      }
      # Nobody would plan again. The next session's client does, or this goes on without one.
      pause(1);
      last if -e "$JOB/cancel";
    }
    take_shell();
    if (defined $busy) { ($CODE, $HOW) = (143, 'cancelled') }
    elsif (wait_for_go()) { run_job() }
  }
  finish();
  supervise_next();
}

# Locks these devices; when another has one, its name.
sub lease_all {
  for my $device (@_) {
    my $lease = lease($device) or return $device =~ s/^s://r;
    push @LEASES, $lease;
  }
  return undef;
}

# Locks the devices of this job, which is in the books; when another has one, its name.
sub lease_mine {
  my ($began, $use, $units, $leases) = @_;
  my @devices = $leases eq '-' ? () : split /,/, $leases;
  my @shared = map { s/^s://r } grep { /^s:/ } @devices;
  return undef unless @shared || defined lease_all(@devices);
  free_devices();
  # Also because who looks for the next staged job may have had a device for a moment, for a job that was just taken back.
  my $lock = lock_file('runner', 0);
  my $busy = full_device($units, @shared) // lease_all(@devices);
  enter_books($UUID, $$, $began, $use, $units, $leases =~ s/(^|,)s:/$1/gr) if @shared && !defined $busy;
  return $busy;
}

# Whether a session is open.
sub is_heard {
  return grep { -p "$ROOT/sessions/$_/ev" && session_lives($_) } entries("$ROOT/sessions", qr/^\d+$/);
}

# One job after the other, as long as the end of one lets a staged one start.
sub supervise_next {
  while (defined $NEXT) {
    ($UUID, $JOB, $NODE_ENV, $GANG, $CODE, $HOW, $TRY) = ($NEXT, "$ROOT/jobs/$NEXT", $NEXT_ENV, 0, '', 'exit', 1);
    $0 = "perl $AGENT supervise $JOB";
    ($GRACE, $SNAPSHOT, $TIMEOUT, $RETRIES) = @NEXT_HOW;
    if (copy_workdir()) { run_job() if wait_for_go() } else { $CODE = 1 }
    finish();
  }
}

# Writes the job's end, frees its devices, and starts what is staged and fits. Returns that walk; `announce` may have to
# follow, which ends it.
sub finish {
  my $book = "$ROOT/live/$UUID";
  # Of the job before, when this one did not come to its beginning.
  announce();
  # It has the leases too.
  end_next_shell();
  # What this job had is for whom this process starts next, before another that has just ended its own job looks around.
  my $lock = lock_soon('runner');
  wait_for_holders();
  # Without a workdir it came to no lock.
  our %JUST_FREED = map { $_ => 1 } @LEASES ? split /,/, (words_of($book))[5] // '' : ();
  # Before they leave the books, or another walk here would take them for somebody else's; and before anybody hears of the
  # end, because the next start may come within a millisecond.
  free_devices();
  my $text = join(' ', $CODE, uptime(), $BOOT, $HOW, $TRY) . " .\n";
  put_over($book, $text);
  rename $book, "$JOB/exit";
  $SPENT = "$JOB/env";
  my $ended = "X $UUID $CODE 0 $HOW $TRY";
  my $walk = walk(1, $lock);
  # Secrets may be in there.
  put($SPENT, '') if defined $SPENT;
  undef $SPENT;
  $SOME_LEFT = $walk->{left} // 0;
  undef $lock;
  end_spare();
  $walk->{line} = join ' ', $ended, @{$walk->{started}};
  $UNTOLD = $walk;
  # Who hears of it has much to do, for which the next job's shell should not wait; but no other supervisor may wait for that.
  my ($snapshot, $timeout) = @NEXT_HOW[1, 2];
  announce() unless $NEXT_SHELL && @{$walk->{started}} == 1 && $snapshot eq '-' && $timeout eq '-';
  1 while waitpid(-1, $NOHANG) > 0;
  return $walk;
}

# Pushes what is untold, and these lines, and ends the walk that is told of.
sub announce {
  my $walk = $UNTOLD;
  undef $UNTOLD;
  my @lines = ($walk ? $walk->{line} : (), @_);
  push_line(join "\n", @lines) if @lines;
  return unless $walk;
  end_walk($walk);
  kick() if defined $walk->{again};
}

# Takes the job's folder away as if it had never been sent.
sub undo {
  my $name = "$JOB.$_[0].$$";
  unlink "$ROOT/live/$UUID";
  run('rm', '-rf', $name) if rename $JOB, $name;
}

# Enters a job, which process $pid supervises, into the node's books. Padded: the end of the job is written over it, and must
# find room when the job has filled the disk.
sub enter_books {
  my ($uuid, $pid, $began, $use, $units, $leases, $path) = @_;
  # How many share a device is what the units say; as long as it is "s:…" the job does not have its share yet.
  my $mark = $leases =~ s/(^|,)s:/$1/g ? '?' : '.';
  return put_over($path // "$ROOT/live/$uuid", "$pid $began $BOOT $use $units $leases $mark" . ' ' x 100 . "\n");
}

# Forks, where the other goes on beside this process, and does not keep its leases: it says so by `let_go`.
sub fork_off {
  return fork unless @LEASES && pipe(my $gone, my $holding);
  my $pid = fork;
  if (defined $pid && !$pid) { $HOLDING = $holding }
  elsif (defined $pid) { push @HOLDERS, $gone }
  return $pid;
}

sub let_go { undef $HOLDING }

# Until then what this process gives back may not be free.
sub wait_for_holders {
  for my $gone (splice @HOLDERS) {
    vec(my $read = '', fileno $gone, 1) = 1;
    select($read, undef, undef, 1);
  }
}

# Names a supervisor, and what the job was given; in place and padded, so that a second name finds room on a full disk. `mark`:
# that of the shell which has waited for the job.
sub name_supervisor {
  my ($path, $pid, $began, $took, $mark) = @_;
  my $text = sprintf "%-159s\n%s .\n", join(' ', $pid, $began, $BOOT, uptime(), '.', $mark // ()), $took;
  if (defined $SPENT && put_over($SPENT, $text, 1) && rename $SPENT, $path) {
    undef $SPENT;
    return 1;
  }
  return put_over($path, $text);
}

# The job's own copy of its workdir, made before it holds any device unless it was staged.
sub copy_workdir {
  return 1 if $SNAPSHOT eq '-';
  my $tree = "$WORK/$SNAPSHOT";
  utime undef, undef, $tree;
  return 1 if quietly('cp', '-a', '--reflink=auto', $tree, "$JOB/workdir");
  run('rm', '-rf', "$JOB/workdir");
  return 1 if quietly('cp', '-Rp', $tree, "$JOB/workdir");
  my $said = first_lines("$JOB/rc.log", 5);
  put(newest_part($JOB), "[cluster-queue] the workdir could not be copied for this job:\n$said", '>>');
  return 0;
}

# Runs a program whose words go to rc.log.
sub quietly {
  my $pid = fork // return 0;
  if (!$pid) {
    forget_leases();
    open(STDERR, '>', "$JOB/rc.log");
    exec { $_[0] } @_ or exit 127;
  }
  waitpid($pid, 0);
  return $? == 0;
}

sub first_lines {
  my ($path, $count) = @_;
  open(my $file, '<', $path) or return '';
  my @lines = <$file>;
  return join '', grep { defined } @lines[0 .. $count - 1];
}
