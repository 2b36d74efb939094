# ---------------------------------------------------------------- staged jobs: what starts next, see sh/walk.sh

our $WHOLE = 1000000000;
# Staged jobs, and their classes, that will never start because one that they come after did not succeed: known for as long
# as this process lives.
our %DOOMED;
# So many that are staged take longer to list than all else that a walk does.
our $MANY_STAGED = 50;
# What is staged, as this process knows it: `list_again`.
our $LISTED;
# How often one walk lists what is staged: on a home of many nodes some job is always just gone to another.
our $MOST_LISTS = 10;

# Starts staged jobs in order, each that fits; `end_walk` must follow. With $1 the first becomes NEXT, for this process to
# supervise; all others get supervisors of their own. $2 is the lock, where it is held already. Returns { started => what was
# started, as X and G lines have it; again => when to look again, on `clock`, when something waits that no end of a job here
# will tell of; left => whether something did not fit; lock }.
sub walk {
  my ($mine, $lock) = @_;
  $NEXT = undef;
  my $walk = { started => [], lock => $lock };
  return $walk unless $lock || any_staged();
  $walk->{lock} ||= lock_file('runner', 0);
  # Not before the lock, which another walk may have had for long: meanwhile jobs may have got other places. What comes from
  # now on is followed by a kick.
  my $list = staged_list();
  my $names = $list->{names};
  return $walk unless @$names;
  @$walk{'mine', 'books', 'busy'} = ($mine, read_books(), {});
  my ($at, $lists, $doomed, %failed) = (0, 1);
  # So many are of classes that have not failed, where that is known.
  my $others = @$names;
  # Takes the name that was looked at last out of the list.
  my $take_out = sub {
    my ($class) = @_;
    splice @$names, --$at, 1;
    return unless $list->{classes};
    $list->{classes}{$class}--;
    $others-- unless $failed{$class};
  };
  # A job that is gone may only have got another place, before those that are still to come.
  my $is_gone = sub {
    $take_out->(@_);
    return if $lists >= $MOST_LISTS || !list_again($list);
    ($at, $names, $others) = (0, $list->{names}, scalar @{$list->{names}});
    $lists++;
    $others -= $list->{classes}{$_} // 0 for keys %failed;
  };
  while ($at < @$names) {
    my $name = $names->[$at++];
    my ($class, $uuid) = class_and_uuid($name) or next;
    if ($failed{$class}) {
      $DOOMED{$uuid} = 1 if $DOOMED{$class};
      next;
    }
    my $entry = "$STAGED/$name";
    if (!-e "$entry/want") {
      $is_gone->($class) unless -e $entry;
      next;
    }
    if (substr($name, index($name, '.') - 1, 1) eq 'a' && ($walk->{client} //= client_here())) {
      look_again($walk, clock() + 15);
      next;
    }
    my $start = fits($walk, $entry, $class, $uuid);
    if ($start && claim($walk, $entry, $uuid, $start)) {
      $take_out->($class);
      next;
    }
    unlock_new() if $start;
    if (!-e $entry) {
      $is_gone->($class);
      next;
    }
    # Not its class did not fit.
    next if $start;
    $failed{$class} = $walk->{left} = 1;
    if ($DOOMED{$class}) {
      $doomed = 1;
      next;
    }
    # Mostly there is one class, or a few of which each comes many times in a row.
    last if $list->{classes} && ($others -= $list->{classes}{$class}) <= 0 && !$doomed;
    $at++ while $at < @$names && index($names->[$at], ".$class.") >= 0;
  }
  return $walk;
}

# Ends a walk, when what it started has been told: a supervisor that it spawned says nothing before.
sub end_walk { my ($walk) = @_; close(delete $walk->{lock}) if $walk->{lock} }

# What is staged now.
sub staged_list {
  $LISTED = {} if !$LISTED || $LISTED->{news} && !is_only_node();
  list_again($LISTED);
  return $LISTED;
}

# Brings a list up to date: { names => in the queue's order }, some of which may be gone; whether anything may have come. Where
# there are many, and only this node's processes put them there, the list is kept, and the kernel tells what comes: { names,
# classes => how many of each, news }.
sub list_again {
  my ($list) = @_;
  my $came = $list->{news} ? take_news($list) : undef;
  return $came if defined $came;
  %$list = (names => [staged_names()]);
  return 1 unless @{$list->{names}} >= $MANY_STAGED && is_only_node() && ($list->{news} = watch_staged());
  # Once more, for what came before it was watched.
  $list->{names} = [staged_names()];
  $list->{classes}{(class_and_uuid($_))[0] // ''}++ for @{$list->{names}};
  return 1;
}

# Whether this home has been no other node's: nothing here is told of what others put there.
sub is_only_node { return !grep { $_ ne $NODE && -d "$QUEUE/$_/live" } entries($QUEUE, qr/^[^.]/) }

sub watch_staged {
  # IN_NONBLOCK, IN_CLOEXEC
  my $number = syscall($INOTIFY_INIT, 04000 | 02000000);
  return undef if $number < 0 || !open(my $news, '<&=', $number);
  # IN_MOVED_TO (what is staged comes whole), IN_DELETE_SELF, IN_MOVE_SELF
  return syscall($INOTIFY_ADD, $number, $STAGED, 0x80 | 0x400 | 0x800) < 0 ? undef : $news;
}

# Takes in what came since the last time; how much that was, or nothing when it is not known. An event of inotify(7) is
# { int wd; uint32 mask, cookie, len; char name[len] }.
sub take_news {
  my ($list) = @_;
  my ($came, $names, $classes) = (0, @$list{'names', 'classes'});
  while (sysread($list->{news}, my $events, 1 << 16)) {
    for (my $at = 0; $at < length $events;) {
      my ($mask, $length) = unpack('x4 L x4 L', substr $events, $at, 16);
      # Beside that, and that it is a folder (IN_ISDIR): it is gone itself, or too much came.
      return undef if $mask & ~(0x80 | 0x40000000);
      my $name = unpack('Z*', substr $events, $at + 16, $length);
      $at += 16 + $length;
      next if is_on_its_way($name);
      push @$names, $name;
      $classes->{(class_and_uuid($name))[0] // ''}++;
      $came++;
    }
  }
  @$names = sort @$names if $came;
  return $came;
}

# Of a name KEY.CLASS.UUID; nothing of any other. Without a pattern, which a thousand of them would take a millisecond for.
sub class_and_uuid {
  my ($name) = @_;
  my ($dot, $last) = (index($name, '.'), rindex($name, '.'));
  return if $dot == $last;
  return (substr($name, $dot + 1, $last - $dot - 1), substr $name, $last + 1);
}

# Whether a name in the folder is what is being written, or on its way out.
sub is_on_its_way { return $_[0] lt '0' || $_[0] ge ':' }

# The names of all that is staged, in the queue's order.
sub staged_names {
  opendir(my $all, $STAGED) or return;
  my @names = sort readdir $all;
  shift @names while @names && is_on_its_way($names[0]);
  pop @names while @names && is_on_its_way($names[-1]);
  return @names;
}

sub any_staged {
  opendir(my $all, $STAGED) or return 0;
  while (defined(my $name = readdir $all)) { return 1 if $name =~ /^[0-9]/ }
  return 0;
}

sub look_again {
  my ($walk, $when) = @_;
  $walk->{again} = $when unless defined $walk->{again} && $walk->{again} <= $when;
}

# A lock of this node's agents, or nothing when it is held and $2 says not to wait.
sub lock_file {
  my ($name, $at_once) = @_;
  open(my $lock, '>>', "$ROOT/$name.lock") or return undef;
  # EINTR
  until (flock($lock, $EXCLUSIVE | ($at_once ? $AT_ONCE : 0))) { return undef if $! != 4 }
  return $lock;
}

# The same, or nothing when it cannot be had in a tenth of a second.
sub lock_soon {
  my ($name) = @_;
  my $lock = lock_file($name, 1);
  return $lock if $lock;
  open($lock, '>>', "$ROOT/$name.lock") or return undef;
  # Every now and then, because one alone may come before anybody waits, and because NFS asks its server again only after a
  # second.
  local $SIG{ALRM} = sub { };
  set_timer(0.005);
  my ($end, $locked) = clock() + 0.1;
  until ($locked = flock($lock, $EXCLUSIVE)) { last if $! != 4 || clock() > $end }
  set_timer(0);
  return $locked ? $lock : undef;
}

# Has SIGALRM come whenever so many seconds have passed; never with 0.
sub set_timer {
  my $every = int $_[0] * 1e6;
  # ITIMER_REAL
  syscall($SETTIMER, 0, pack('q4', 0, $every, 0, $every), 0);
}

# What the node's live jobs have or are to have: cpus (thousandths), kib, and share units by lease. For job $1 only what the
# others have.
sub read_books {
  my ($for) = @_;
  my $books = { cpus => 0, kib => 0, used => {} };
  for my $uuid (entries("$ROOT/live", qr/^[^.]/)) {
    my ($pid, $began, $boot, $use, $units, $leases, $mark) = words_of("$ROOT/live/$uuid");
    next unless defined $leases && $boot eq $BOOT && lives($pid, $began);
    next if defined $for && ($uuid eq $for || ($mark // '') eq '?');
    book_in($books, $use, $units, $leases);
  }
  return $books;
}

# The first of these devices that have no room for a share of this job, which is to have one of each: any number could have the
# lock of a shared device. Of those that come at once the first gets it.
sub full_device {
  my ($units, @shared) = @_;
  my $used = @shared ? read_books($UUID)->{used} : {};
  return (grep { ($used->{$_} || 0) + $units > $WHOLE } @shared)[0];
}

sub book_in {
  my ($books, $use, $units, $leases) = @_;
  my ($cpus, $kib) = split /:/, $use;
  $books->{cpus} += $cpus;
  $books->{kib} += $kib;
  return if $leases eq '-';
  $books->{used}{$_} += $units for split /,/, $leases;
}

# What the staged job in a folder would take of this node, its devices locked; nothing when it does not fit.
sub fits {
  my ($walk, $entry, $class, $uuid) = @_;
  my ($ip, $cpus, $kib, @alternatives);
  open(my $want, '<', "$entry/want") or return undef;
  while (my $line = <$want>) {
    (my $node, $ip, $cpus, $kib, @alternatives) = split ' ', $line;
    last if defined $node && $node eq $NODE;
    @alternatives = ();
  }
  # Also for what this node cannot run, because others may come after that.
  my $after = after("$entry/after");
  @DOOMED{$class, $uuid} = (1, 1) if $after eq 'never';
  return undef unless @alternatives;
  # Nobody here is told of an end elsewhere.
  look_again($walk, clock() + 2) if $after eq 'elsewhere';
  return undef if $after ne 'now';
  my $books = $walk->{books};
  for my $number (0 .. $#alternatives) {
    my ($need_cpus, $need_kib, $units, $count, $devices) = split /:/, $alternatives[$number], 5;
    next if $cpus - $books->{cpus} < $need_cpus || $kib - $books->{kib} < $need_kib;
    my $taken = take_devices($walk, $units, $count, split /,/, $devices // '') or next;
    my $start = { ip => $ip, alternative => $number, use => "$need_cpus:$need_kib", units => $units, count => $count };
    $start->{devices} = join ',', sort { $a <=> $b } map { $_->[0] } @$taken;
    $start->{visible} = join ',', map { visible(@$_) } sort { $a->[0] <=> $b->[0] } @$taken;
    $start->{leases} = join(',', map { $_->[1] } @$taken) || '-';
    return $start;
  }
  return undef;
}

# Whether all jobs in a file have succeeded, on any node of this home: `now`, `never`, `later`, or `elsewhere` when one may
# end on another node.
sub after {
  my ($path) = @_;
  open(my $after, '<', $path) or return 'now';
  my $all = 'now';
  while (my $before = <$after>) {
    chomp $before;
    my ($code, $how) = ('', '');
    for my $node (entries($QUEUE, qr/^[^.]/)) {
      my $job = "$QUEUE/$node/jobs/$before";
      ($code, undef, undef, $how) = words_of("$job/exit") if -e "$job/exit";
      $how = 'cancelled' if -e "$job/cancel";
    }
    # One that its time limit ended may have taken that calmly, with exit code 0.
    next if ($how // '') eq 'exit' && $code eq '0';
    return 'never' if length($how // '') || $DOOMED{$before};
    $all = 'elsewhere' if !ends_here($before);
    $all = 'later' if $all eq 'now';
  }
  return $all;
}

# Whether a job that has not ended can end on no other node of this home: nobody here would be told.
sub ends_here {
  my ($uuid) = @_;
  return 1 if -e "$ROOT/jobs/$uuid";
  return 0 if grep { -e "$QUEUE/$_/jobs/$uuid" } entries($QUEUE, qr/^[^.]/);
  for my $name (entries($STAGED, qr/\.\Q$uuid\E$/)) {
    open(my $want, '<', "$STAGED/$name/want") or next;
    while (my $line = <$want>) { return 0 if (split ' ', $line)[0] ne $NODE }
  }
  return 1;
}

# The same choice as the scheduler's (nodeTable.ts): [INDEX, LEASE] of each device, now locked; nothing when there are not
# enough.
sub take_devices {
  my ($walk, $units, $count, @devices) = @_;
  return [] if $units == 0;
  my $used = $walk->{books}{used};
  @devices = map { [split /=/, $_, 2] } @devices;
  if ($units < $WHOLE) {
    # A shared device that it fills the most, else a free one.
    while (1) {
      my ($best, $least) = (undef, $WHOLE);
      for my $device (@devices) {
        my $room = $WHOLE - ($used->{$device->[1]} || 0);
        next if $walk->{busy}{$device->[1]};
        ($best, $least) = ($device, $room) if $room < $least && $room >= $units;
      }
      last unless $best;
      return [$best] if lock_device($walk, $best->[1], 's:');
    }
  }
  my @free = grep { !$used->{$_->[1]} } @devices;
  my @taken;
  while (@free && @free >= $count - @taken && @taken < $count) {
    my $device = shift @free;
    push @taken, $device if lock_device($walk, $device->[1], $units < $WHOLE ? 's:' : '');
  }
  return \@taken if @taken >= $count;
  unlock_new();
  return undef;
}

# What CUDA_VISIBLE_DEVICES calls a device: a MIG slice by its uuid (devices.ts).
sub visible {
  my ($index, $lease) = @_;
  return $index < 1000 ? $index : $lease =~ tr{+}{/}r;
}

# Locks one more device for the job that is being placed, unless it was seen busy in this walk.
sub lock_device {
  my ($walk, $name, $shared) = @_;
  our %JUST_FREED;
  return 0 if $walk->{busy}{$name};
  if ($name !~ /^virtual-/ && !$JUST_FREED{$name}) {
    # The device that this process's own job has just left was not to be had by anybody.
    $walk->{strangers} ||= strangers();
    return busy($walk, $name, $walk->{strangers}{at} + 2) if $walk->{strangers}{$name};
  }
  # To try a lock again costs next to nothing.
  my $lease = lease("$shared$name") or return busy($walk, $name, clock() + 1);
  push @PLACING, $lease;
  return 1;
}

# Somebody else has it.
sub busy {
  my ($walk, $name, $again) = @_;
  $walk->{busy}{$name} = 1;
  look_again($walk, $again);
  return 0;
}

# Devices with a process of nobody's queue on them, looked for once in two seconds at most; `at`: when that was.
sub strangers {
  my ($boot, $tick, @found) = words_of("$ROOT/foreign");
  my $now = clock();
  # The clock of another boot means nothing.
  if (!defined $tick || $boot ne $BOOT || $now - $tick / 100 >= 2) {
    $tick = int $now * 100;
    @found = split ' ', by_shell('strangers');
    put("$ROOT/foreign", "$BOOT $tick @found\n");
  }
  return { at => $tick / 100, map { $_ => 1 } @found };
}

# Whether a client is on: it then decides what goes before a job that needs several nodes.
sub client_here {
  my $now = uptime();
  for my $session (entries("$ROOT/sessions", qr/^[0-9]/)) {
    my ($heard, $began) = map { first_line("$ROOT/sessions/$session/$_") } 'heard', 'start';
    # One from before a reboot may have left its number to another process.
    return 1 if defined $heard && defined $began && $now - $heard < 45 && lives($session, $began);
  }
  return 0;
}

# Makes the staged job in a folder one of this node's and starts it; fails when its engine has just taken it back, or when
# the disk is full. What needs room is written before the rename: there is no way back from it, and whoever finds the job here
# finds who supervises it.
sub claim {
  my ($walk, $entry, $uuid, $start) = @_;
  my $job = "$ROOT/jobs/$uuid";
  return 0 if -e $job;
  my ($pid, $began) = ($$, own_start());
  my $shell = $walk->{mine} && !defined $NEXT ? ready_shell(@PLACING) : undef;
  return 0 unless $shell || lock_apart();
  my ($devices, @books) = ($start->{devices}, $start->{use}, $start->{units}, $start->{leases});
  my ($took, $visible) = ((length $devices ? $devices : '-') . " $start->{alternative}", $start->{visible});
  my $env = "export CUDA_VISIBLE_DEVICES=$visible CQ_DEVICES=$visible SKYPILOT_NUM_GPUS_PER_NODE=$start->{count} SKYPILOT_NODE_IPS=$start->{ip}\n";
  $env .= 'export HIP_VISIBLE_DEVICES=' . (length $visible ? $visible : -1) . "\n" if -e "$ROOT/amd";
  my @how = words_of("$entry/how");
  if (!name_supervisor("$entry/sup.$NODE", $pid, $began, $took, $shell && $shell->{mark})) {
    unlink "$entry/sup.$NODE";
    # No end of a job tells that there is room again; but mostly another node of the home was faster.
    look_again($walk, clock() + 15) if -d $entry;
    return 0;
  }
  return 0 unless rename $entry, $job;
  ($NEXT_SHELL, $SPARE) = ($shell, undef) if $shell;
  if ($walk->{mine} && !defined $NEXT) {
    ($NEXT, @NEXT_HOW) = ($uuid, @how);
    $NEXT_ENV = $env;
    @LEASES = splice @PLACING;
  } else {
    $pid = spawn($walk, $uuid, \@how, $env);
    $began = start_of($pid);
  }
  # Nobody reads the books before the walk is over. What has been read becomes them, and then the job's end: a new file is what
  # takes long, and what there may be no room for.
  enter_books($uuid, $pid, $began, @books, "$job/how") && rename "$job/how", "$ROOT/live/$uuid"
    or enter_books($uuid, $pid, $began, @books);
  # Not before it is in the books: once it is named it runs, also when this process is killed here.
  name_supervisor("$job/sup.$NODE", $pid, $began, $took) if $pid != $$;
  book_in($walk->{books}, @books);
  push @{$walk->{started}}, join ':', $uuid, length $devices ? $devices : '-', $start->{alternative};
  return 1;
}

# A supervisor of its own for a job that was claimed; it has the locks, and nobody else keeps them. Returns its pid.
sub spawn {
  my ($walk, $uuid, $how, $env) = @_;
  my $pid = detach();
  if (defined $pid && !$pid) {
    free_devices();
    @LEASES = splice @PLACING;
    forget_helpers();
    end_walk($walk);
    our $WAITER;
    undef $WAITER;
    # Not before the walk has written it into the books and told of it.
    $walk->{lock} = lock_file('runner', 0);
    end_walk($walk);
    # One that was killed before may not have come to name this process: then nobody counts on it.
    my ($sup, $began) = words_of(sup_file("$ROOT/jobs/$uuid"));
    quit() unless defined $began && $sup eq $$ && lives($sup, $began);
    ($NEXT, @NEXT_HOW) = ($uuid, @$how);
    ($NEXT_ENV, $SOME_LEFT, our $SPARES) = ($env, undef, 0);
    supervise_next();
    quit();
  }
  unlock_new();
  return $pid;
}

# Starts what is staged when no job ends here to do it, and looks again while others hold what is needed.
sub runner {
  our $WAITER;
  $0 = "perl $AGENT runner";
  chdir $HOME or chdir '/';
  our %JUST_FREED = ();
  # Open before the lock is taken: what is written to a FIFO that nobody has open is lost.
  my $wake;
  while (1) {
    my $walk = walk(0);
    push_line("G $_") for @{$walk->{started}};
    end_walk($walk);
    1 while waitpid(-1, $NOHANG) > 0;
    if (!defined $walk->{again}) {
      return unless $WAITER;
      # And once more: who has looked meanwhile, and found something to wait for, has left that to this process.
      close $WAITER;
      undef $WAITER;
      next;
    }
    $wake ||= fifo("$ROOT/wake");
    $WAITER ||= lock_file('waiter', 1);
    # The one that waits already may do so for something that comes later.
    return syswrite($wake, "\n") unless $WAITER;
    my $left = $walk->{again} - clock();
    line_of($wake, $left > 0.01 ? $left : 0.01);
  }
}

# Lets a runner look, when anything is staged.
sub kick {
  return unless any_staged();
  aside(sub {
    forget_leases();
    runner();
  });
}
