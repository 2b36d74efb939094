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
# The process that keeps the log, see `start_keeper`.
our $KEEPER;
# Pipes that end when a fork has let go of this process's leases; and in a fork that has not yet, the end that says so.
our (@HOLDERS, $HOLDING);
# The number of forks since the boot and the newest pid when the job began.
our ($FIRST_FORKS, $FIRST_PID);

# The engine's start, by a process that was forked for it. The words are those of `start` in agent.sh, from the UUID on.
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
    while (defined($busy = lease_all(@leases)) && defined($busy = lease_after_walk(@leases))) {
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

# The same for one who has just failed: who looks for the next staged job may have had a device for a moment, for a job that
# was just taken back.
sub lease_after_walk {
  free_devices();
  my $lock = lock_file('runner', 0);
  return lease_all(@_);
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
  # How many share a device is what the units say.
  $leases =~ s/(^|,)s:/$1/g;
  return put_over($path // "$ROOT/live/$uuid", "$pid $began $BOOT $use $units $leases ." . ' ' x 100 . "\n");
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
  put(newest_part($JOB), "cluster-queue: the workdir could not be copied for this job:\n$said", '>>');
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

# ---------------------------------------------------------------- leases

# Locks device $1 ("s:NAME" shares it: fractions of one GPU): { name, file }, or nothing when somebody else has it. The job
# inherits the descriptor: a lease lasts as long as any process of it, also when the supervisor is killed.
sub lease {
  my ($name) = @_;
  my $lease = $SPARE && $SPARE->{leases}{$name} || open_lease($name) or return undef;
  lock_lease($lease) or return undef;
  # So that others can tell whose it is.
  open(my $mark, '>', leases() . '/' . ($name =~ s/^s://r) . ".by.$>");
  return $lease;
}

# Locks a descriptor for a device, when nobody else has that.
sub lock_lease {
  my ($lease) = @_;
  return flock($lease->{file}, ($lease->{name} =~ /^s:/ ? $SHARED : $EXCLUSIVE) | $AT_ONCE);
}

# A descriptor for device $1, not locked. Of two digits, because those of one are what people's scripts use.
sub open_lease {
  my ($name) = @_;
  my $path = leases() . '/' . ($name =~ s/^s://r);
  if (!-e $path) {
    my $mask = umask 0;
    open(my $made, '>', $path);
    umask $mask;
  }
  # Read-only: another user's lock file can be locked, but (sticky folder) neither changed nor removed.
  open(my $file, '<', $path) or return undef;
  # F_DUPFD; and perl closes over exec what is beyond this.
  my $number = fcntl($file, 0, 20) or return undef;
  local $^F = $number;
  open(my $kept, '<&=', $number) or return undef;
  return { name => $name, file => $kept };
}

# The user whose queue last took a lease, or nothing.
sub lease_user {
  my ($name) = @_;
  my ($newest, $user) = (0, '');
  for my $mark (entries(leases(), qr/^\Q$name\E\.by\./)) {
    my ($uid, $changed) = (stat leases() . "/$mark")[4, 9];
    ($newest, $user) = ($changed, getpwuid($uid) // $uid) if defined $changed && $changed >= $newest;
  }
  return $user;
}

sub leases {
  # /dev/shm is per boot, sticky, and never swept by a cleaner of /tmp.
  our $LEASES;
  return $LEASES if defined $LEASES;
  $LEASES = $ENV{CLUSTER_QUEUE_LEASES} || '/dev/shm/cluster-queue';
  my ($above) = $LEASES =~ m{^(.*)/};
  $LEASES = '/tmp/.cluster-queue-leases' unless -d $above && -w _;
  if (!-d $LEASES && mkdir $LEASES) { chmod 01777, $LEASES }
  return $LEASES;
}

sub drop { close $_[0]{file} }

# For a fork that must not have this process's leases, nor hold its helpers.
sub forget_leases {
  drop($_) for splice(@LEASES), splice(@PLACING);
  forget_helpers();
}

sub forget_helpers {
  @HOLDERS = ();
  let_go();
  forget_shells();
  close $_ for $KEEPER ? @$KEEPER{'orders', 'said'} : ();
  undef $KEEPER;
}

sub free_devices { give_back(splice @LEASES) }

# Gives back what the job that is being placed has locked so far.
sub unlock_new { give_back(splice @PLACING) }

sub give_back {
  for my $lease (@_) {
    # By the lock and not by its descriptor, which the shell that waits has too.
    if (is_spare($lease)) { flock($lease->{file}, $UNLOCK) } else { drop($lease) }
  }
}

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
  # Before the job can end for want of memory.
  my $kills = oom_kills();
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
    put(newest_part($JOB), "cluster-queue: ~/.bashrc ended the shell (exit code $CODE) before the task began. It said:\n$words", '>>');
  }
  elsif ($CODE == 137 && defined $kills && (oom_kills() // 0) > $kills) { $HOW = 'oom' }
}

# Waits until a job's shell has ended, whose exit code is then in $CODE; meanwhile keeps its log, and makes ready for the next
# job.
sub attend {
  my ($shell) = @_;
  $CODE = 126;
  return unless $shell;
  open_log($shell->{from});
  log_opened($shell->{from});
  prepare_next();
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

# Brings what the job writes into its log. That is a pipe, because a file it could empty by `echo >/dev/stderr`, which opens
# that anew; and it is brought by a process of its own, one for all jobs of this supervisor, which goes on when that is killed.
# Until `log_opened` the pipe must stay open here.
sub open_log {
  my ($from) = @_;
  local $SIG{PIPE} = 'IGNORE';
  if ($KEEPER && syswrite($KEEPER->{orders}, fileno($from) . " $UUID\n")) { $KEEPER->{busy} = 1 } else { start_keeper($from) }
}

sub log_opened {
  my ($from) = @_;
  until ($KEEPER && keeper_says() eq 'o') { start_keeper($from) or return }
}

# Starts a process that keeps logs, with that of this job first: { pid, orders, said }.
sub start_keeper {
  my ($from) = @_;
  end_keeper();
  pipe(my $heard, my $orders) or return;
  pipe(my $said, my $saying) or return;
  my $supervisor = $$;
  my $pid = fork;
  if (defined $pid && !$pid) {
    forget_leases();
    close $_ for $orders, $said;
    silence();
    while (1) {
      $0 = "perl $AGENT log $JOB";
      syswrite($saying, 'o');
      keep_log($from);
      # All is in the log.
      syswrite($saying, 'a');
      my $order = <$heard> // last;
      (my $number, $UUID) = split ' ', $order;
      $JOB = "$ROOT/jobs/$UUID";
      sysopen($from, "/proc/$supervisor/fd/$number", 0) or last;
    }
    quit();
  }
  $KEEPER = { pid => $pid, orders => $orders, said => $said, busy => 1 } if defined $pid;
  return defined $pid;
}

# The next letter from who keeps the log, within so many seconds where those are given; empty when none came.
sub keeper_says {
  my ($seconds) = @_;
  my ($letter, $found);
  do {
    vec(my $read = '', fileno $KEEPER->{said}, 1) = 1;
    $found = select($read, undef, undef, $seconds);
  } while $found < 0 && $! == 4;
  return $found > 0 && sysread($KEEPER->{said}, $letter, 1) ? $letter : '';
}

sub end_keeper {
  return unless $KEEPER;
  kill 'TERM', $KEEPER->{pid};
  waitpid($KEEPER->{pid}, 0);
  undef $KEEPER;
}

# Appends all that comes to the log, part after part (logs.sh), and goes on while the disk is full.
sub keep_log {
  my ($from) = @_;
  my ($limit, $dot) = words_of("$ROOT/limit");
  $limit = 10_000_000_000 unless defined $dot && $dot eq '.';
  my $part = int $limit / 16;
  my ($log, $at, $size) = open_part(newest_part($JOB));
  while (1) {
    my $count = sysread($from, my $bytes, 1 << 18);
    next if !defined $count && $! == 4;
    return unless $count;
    if ($part && $size >= $part) {
      $at += $size;
      # For which the oldest makes room: never the beginning, which tells what it was about.
      for my $old (parts_of($JOB)) { unlink "$JOB/run.log.$old" if $at - $old + 4 * $part > $limit }
      ($log, $at, $size) = open_part("$JOB/run.log.$at");
      push_line("P $UUID");
    }
    my $done = 0;
    while ($done < $count) {
      my $written = syswrite($log, $bytes, $count - $done, $done);
      if (defined $written) { $done += $written } elsif ($! != 4) { pause(1) }
    }
    $size += $count;
  }
}

# A part of the log to append to: its file, where it begins, and how long it is.
sub open_part {
  my ($path) = @_;
  my $log;
  pause(1) until sysopen($log, $path, $O_APPEND, 0600);
  return ($log, $path =~ /\.(\d+)$/ ? $1 : 0, -s $log);
}

# Where the later parts of a job's log begin, ascending.
sub parts_of { return sort { $a <=> $b } map { /^run\.log\.(\d+)$/ ? $1 : () } entries($_[0], qr/^run\.log\./) }

sub newest_part {
  my ($job) = @_;
  my $newest = (parts_of($job))[-1];
  return "$job/run.log" . (defined $newest ? ".$newest" : '');
}

# All that the job wrote is in its log. A stranger who inherited the pipe and cannot be ended (`sudo`) is not waited for.
sub close_log {
  return unless $KEEPER && delete $KEEPER->{busy};
  end_keeper() if keeper_says(3) ne 'a';
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
  my $line = "cluster-queue: $why; try " . ($TRY + 1) . ' of ' . ($RETRIES + 1) . " in $pause s\n";
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
