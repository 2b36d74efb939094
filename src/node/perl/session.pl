# ---------------------------------------------------------------- the session: one per connection

our ($SESSION, $events);
# Whether the client said that it removes the node from its clusters.
our $leaving;
# What agent.sh was asked for in the background: [its output, what of that is no whole line yet].
our @asked;

our %VERBS = (
  start => \&do_start, stage => \&do_stage, recall => \&do_recall, rekey => \&do_rekey, staged => \&do_staged,
  go => \&do_go, again => \&do_again, cancel => \&do_cancel, query => \&do_query, told => \&do_told, forget => \&do_forget,
  has => \&do_has, own => \&do_own,
  kick => sub { kick(); ok($_[0]) },
  follow => sub { my ($id, @what) = @_; follow(@what); ok($id) },
  unfollow => sub { my ($id, $number) = @_; unfollow($number); ok($id) },
  place => sub { ask('place', @_) },
  probe => sub { ask('probe', @_) },
  at_boot => sub { ask('at_boot', @_) },
  sweep => sub { my ($id, $days) = @_; aside(sub { exec 'sh', $AGENT, 'sweep', $days }); ok($id) },
  limit => sub { my ($id, $bytes) = @_; put_over("$ROOT/limit", "$bytes ." . ' ' x 30 . "\n"); ok($id) },
  leave => sub { $leaving = 1; ok($_[0]) },
  ping => sub { heard(); ok($_[0]) },
);

sub ok { reply(join ' ', '=', shift, 'ok', @_) }

sub session {
  $SESSION = $ENV{CQ_SESSION} = "$ROOT/sessions/$$";
  open_relay() or by_other_means();
  if (!make_folders() || !run('mkfifo', "$SESSION/ev")) {
    chomp(my $words = by_shell('folders'));
    syswrite(STDOUT, "CQ1 fail cannot write to $ROOT: $words\n");
    exit 1;
  }
  put("$SESSION/start", own_start() . "\n");
  sysopen($events, "$SESSION/ev", $O_RDWR);
  $own = watch($SESSION, $DELETE_SELF) // by_other_means();
  heard();
  sweep_sessions();
  by_shell('shims') unless -e $AGENT =~ s/\.sh$/.bin/r . '/podman/podman';
  @PRIVATE = ($notes, $out, $events);
  # Not ignored: what is started by exec would inherit that.
  $SIG{PIPE} = sub { };
  my $reap = 1;
  $SIG{CHLD} = sub { $reap = 1 };
  $SIG{$_} = \&end_session for 'HUP', 'TERM', 'INT';
  reply("CQ1 ready $BOOT $NODE " . home_id());
  # After a reboot nobody else would.
  kick();
  my ($requests, $said, $always) = ('', '', '');
  vec($always, $_, 1) = 1 for 0, $inotify, fileno $events;
  while (1) {
    fill();
    send_pending();
    if ($reap) {
      $reap = 0;
      1 while waitpid(-1, $NOHANG) > 0;
    }
    my ($read, $write) = ($always, undef);
    vec($read, fileno $_->[0], 1) = 1 for @asked;
    vec($write = '', fileno $out, 1) = 1 if length $pending;
    my $timeout = @dirty && !length $pending ? 0 : %unwatched ? $POLL : undef;
    my $found = select($read, $write, undef, $timeout);
    next if $found < 0;
    if (vec($read, $inotify, 1)) {
      take_notes();
      # What is on its way to the job's follower need not wait for the looks below.
      next if $found == 1;
    }
    mark(values %unwatched) if !$found;
    if (vec($read, fileno $events, 1)) {
      take_lines($events, \$said, \&take_event) or end_session();
    }
    for my $asked (grep { vec($read, fileno $_->[0], 1) } @asked) {
      next if take_lines($asked->[0], \$asked->[1], \&reply);
      @asked = grep { $_ != $asked } @asked;
    }
    if (vec($read, 0, 1)) { take_lines(\*STDIN, \$requests, \&take_request) or end_session() }
    end_session() if length $lines > $MOST_WAITING;
  }
}

sub take_event {
  my ($line) = @_;
  my ($tag, $uuid) = split / /, $line;
  return map { went_on($_) } of_job($uuid) if $tag eq 'P';
  reply($line);
  over($uuid) if $tag eq 'X';
}

# Hands every whole line that came to $take; fails at the end.
sub take_lines {
  my ($from, $kept, $take) = @_;
  my $before = length $$kept;
  sysread($from, $$kept, 1 << 20, $before) or return $! == 4;
  my $end = rindex $$kept, "\n";
  return 1 if $end < $before;
  my @lines = split /\n/, substr($$kept, 0, $end + 1, ''), -1;
  pop @lines;
  $take->($_) for @lines;
  return 1;
}

sub take_request {
  my ($id, $verb, @words) = split / /, $_[0];
  my $do = $VERBS{$verb // ''};
  if ($do) { $do->($id, @words) } else { reply("= $id err protocol unknown request " . ($verb // '')) }
}

sub make_folders {
  for my $folder ($QUEUE, $ROOT, $STAGED, "$ROOT/jobs", "$ROOT/live", "$ROOT/sessions", $SESSION) {
    return 0 unless -d $folder || mkdir($folder, 0700) || -d $folder;
  }
  return 1;
}

# Has agent.sh answer a request while the session goes on.
sub ask {
  my ($verb, $id, @words) = @_;
  pipe(my $from, my $to) or return reply("= $id err fork $!");
  my $pid = fork;
  if (defined $pid && !$pid) {
    open(STDIN, '<', '/dev/null');
    open(STDOUT, '>&', $to);
    exec 'sh', $AGENT, $verb, $id, @words;
    exit 127;
  }
  return reply("= $id err fork $!") unless defined $pid;
  push @asked, [$from, ''];
}

# Does something in a process of its own that outlives this one.
sub aside {
  my ($what) = @_;
  my $pid = detach();
  if (defined $pid && !$pid) {
    # A log that is removed is gone when nobody has it open.
    shut($_) for values %slots;
    $what->();
    quit();
  }
  return defined $pid;
}

# The client lives: what it decides is left to it, see client_here.
sub heard { put("$SESSION/heard", uptime() . "\n") }

sub sweep_sessions {
  for my $pid (entries("$ROOT/sessions", qr/^\d+$/)) {
    run('rm', '-rf', "$ROOT/sessions/$pid") unless session_lives($pid);
  }
}

# What nodes with this home have in common.
sub home_id {
  my $id = first_line("$WORK/id");
  if (!defined $id || !length $id) {
    mkdir $WORK, 0700;
    # In one step: another node of this home may be at it too, and must not read half of it.
    my $new = "$WORK/id.$NODE.$$";
    put($new, "$BOOT-$$\n") && (link($new, "$WORK/id") || -e "$WORK/id" || rename($new, "$WORK/id"));
    unlink $new;
    $id = first_line("$WORK/id");
  }
  return defined $id && length $id ? $id : $NODE;
}

sub end_session {
  $SIG{$_} = 'IGNORE' for 'HUP', 'TERM', 'INT';
  # In one step: a push finds no FIFO, or one that is read.
  my $gone = "$ROOT/gone.$$";
  rename $SESSION, $gone;
  run('rm', '-rf', $gone);
  # What waited for this client's word need not any more.
  if ($leaving) { by_shell('clear_out') } else { kick() }
  exit 0;
}

# ---------------------------------------------------------------- requests: the words are those of agent.sh

# start ID UUID GRACE HOLD LEASES SNAPSHOT ENV RUN TIMEOUT RETRIES USE DEVS ALT UNITS
sub do_start {
  my ($id, $uuid, @words) = @_;
  my $job = "$ROOT/jobs/$uuid";
  # Nobody has looked into a new folder yet; in one that was there files appear whole.
  my $put = \&put;
  if (!mkdir $job, 0700) {
    return reply("= $id err write " . why_not($job)) unless -d $job;
    # A launch whose answer was lost is simply sent again.
    my $state = state_of($uuid);
    return ok($id, $state) if $state ne 'new';
    $put = \&put_whole;
  }
  if (!$put->("$job/env", decode($words[4])) || !$put->("$job/run", decode($words[5])) || !book_start($uuid, @words)) {
    my $why = why_not("$job/try");
    run('rm', '-rf', $job);
    unlink "$ROOT/live/$uuid";
    return reply("= $id err write $why");
  }
  return ok($id, 'started') if aside(sub { supervise($uuid, @words) });
  unlink "$ROOT/live/$uuid";
  reply("= $id err fork $!");
}

# Enters a job into the books before its supervisor does: what is staged from now on comes after it. In the name of this
# session, and what it was entered by already stays.
sub book_start {
  my ($uuid, $leases, $use, $units) = @_[0, 3, 9, 12];
  return 1 if -e "$ROOT/live/$uuid";
  return enter_books($uuid, $$, own_start(), $use, $units, $leases);
}

# Writes a file that nobody sees before it is whole.
sub put_whole {
  my ($path, $text) = @_;
  return put("$path.$$", $text) && rename "$path.$$", $path;
}

# What is wrong with a path that could not be written: a program's words say more than a number.
sub why_not {
  my ($path) = @_;
  my $words = by_shell('why_not', $path);
  chomp $words;
  return length $words ? $words : "cannot write to $path";
}

# stage ID NAME GRACE SNAPSHOT TIMEOUT RETRIES ENV RUN WANT AFTER
sub do_stage {
  my ($id, $name, $grace, $snapshot, $timeout, $retries, $env, $run, $want, $after) = @_;
  my ($uuid) = $name =~ /([^.]*)$/;
  if (-d "$ROOT/jobs/$uuid") {
    my $state = state_of($uuid);
    return ok($id, $state) if $state ne 'unknown';
  }
  if (!-d "$STAGED/$name") {
    my $new = "$STAGED/.new.$uuid";
    if (!((-d $new || mkdir $new, 0700) && put("$new/how", "$grace $snapshot $timeout $retries .\n") && put("$new/env", decode($env))
      && put("$new/run", decode($run)) && put("$new/want", decode($want)) && ($after eq '-' || put("$new/after", decode($after)))
      && rename $new, "$STAGED/$name")) {
      my $why = why_not("$new/try");
      run('rm', '-rf', $new);
      return reply("= $id err write $why");
    }
  }
  ok($id, 'staged');
}

# recall ID NAME…: takes staged jobs back, each whole or not at all; of one that has been started its state is told
sub do_recall {
  my ($id, @names) = @_;
  my @gone;
  for my $name (@names) {
    my ($uuid) = $name =~ /([^.]*)$/;
    my $gone = "$STAGED/.gone.$uuid";
    # It may have got another place in the queue, of which the client has not heard.
    my $back = rename "$STAGED/$name", $gone;
    $back = grep { rename "$STAGED/$_", $gone } places_of($uuid) unless $back;
    if ($back) {
      push @gone, $gone;
      reply("+ $id $uuid recalled");
    } elsif (!places_of($uuid)) {
      # Of one that is still staged, and not to be had, not a word, so that it is asked for again.
      reply("+ $id $uuid " . state_of($uuid));
    }
  }
  ok($id);
  aside(sub { exec 'rm', '-rf', @gone }) if @gone;
}

# The names under which a job is staged: one, or none.
sub places_of { return entries($STAGED, qr/^[^.].*\.\Q$_[0]\E$/) }

# rekey ID OLD NEW …: other places in the queue; one that is not staged any more keeps silent
sub do_rekey {
  my ($id, @names) = @_;
  while (@names >= 2) {
    my ($old, $new) = splice @names, 0, 2;
    rename "$STAGED/$old", "$STAGED/$new";
  }
  ok($id);
}

# staged ID: the names of all that are
sub do_staged {
  my ($id) = @_;
  reply("+ $id $_") for staged_names();
  ok($id);
}

sub do_go {
  my ($id, $uuid, $try) = @_;
  write_to("$ROOT/jobs/$uuid/go", "go $try");
  ok($id);
}

# again ID UUID TRY: another rank of the gang failed, so this one goes on to that try too
sub do_again {
  my ($id, $uuid, $try) = @_;
  my $job = "$ROOT/jobs/$uuid";
  if (-d $job) {
    put("$job/again", "$try\n");
    write_to("$job/$_", 'again') for 'go', 'poke';
  }
  ok($id);
}

# Writes a line to a FIFO whose reader has it open, if it is there.
sub write_to {
  my ($path, $line) = @_;
  return unless -p $path && sysopen(my $fifo, $path, $O_RDWR | $O_NONBLOCK);
  syswrite($fifo, "$line\n");
}

# cancel ID GRACE UUID…: begins to end these; says of each that, or what became of it
sub do_cancel {
  my ($id, $grace, @uuids) = @_;
  my @jobs;
  for my $uuid (@uuids) {
    my $job = "$ROOT/jobs/$uuid";
    my $state = state_of($uuid);
    if ($state !~ /^(unknown|ended)/) {
      put("$job/cancel", '');
      push @jobs, $job;
      $state = 'cancelling';
    }
    reply("+ $id $uuid $state");
  }
  ok($id);
  aside(sub { cancel_all($grace, @jobs) }) if @jobs;
}

sub do_query {
  my ($id, @uuids) = @_;
  reply("+ $id $_ " . state_of($_)) for @uuids;
  ok($id);
}

# told ID UUID…: a client has all of them, so that their folders may go after a while
sub do_told {
  my ($id, @uuids) = @_;
  for my $uuid (@uuids) {
    my $job = "$ROOT/jobs/$uuid";
    next unless -d $job && !-e "$job/told" && state_of($uuid) =~ /^(ended|dead)/;
    # What ran becomes the mark, which tells by its time since when it is one: to make a new file is what takes long.
    utime(undef, undef, "$job/run") && rename("$job/run", "$job/told") or put("$job/told", '');
  }
  ok($id);
}

sub do_forget {
  my ($id, @uuids) = @_;
  for my $uuid (grep { length } @uuids) {
    next unless state_of($uuid) =~ /^(ended|dead|new)/;
    run('rm', '-rf', "$ROOT/jobs/$uuid");
    unlink "$ROOT/live/$uuid";
  }
  ok($id);
}

# has ID SNAPSHOT OTHER…: whether it is here; if not, whose home this is, whether a part of it is here, and which others are
sub do_has {
  my ($id, $name, @others) = @_;
  # On NFS, reading the folder shows what another node has just put there.
  entries($WORK, qr/^./) unless -d "$WORK/$name";
  return ok($id, 'yes') if -d "$WORK/$name";
  my $part = -d "$WORK/$name.$BOOT.part" ? 'part' : 'whole';
  ok($id, 'no', home_id(), $part, grep { -d "$WORK/$_" } @others);
}

# own ID OWNER: this client's earlier sessions end here first: what a broken connection still brings of a request must not
# come after what the client has learned since.
sub do_own {
  my ($id, $owner) = @_;
  put("$SESSION/owner", "$owner\n");
  for my $pid (entries("$ROOT/sessions", qr/^\d+$/)) {
    my $other = "$ROOT/sessions/$pid";
    next if $pid == $$ || (first_line("$other/owner") // '') ne $owner;
    my $began = first_line("$other/start") // '';
    my $waits = 0;
    # It renames its folder away when it reads no more.
    while (-d $other && lives($pid, $began) && kill('TERM', $pid) && $waits++ < 50) { pause(0.02) }
    kill 'KILL', $pid if $waits > 50;
  }
  ok($id);
}

# What a word of the wire says, see encodeWord in wire.ts.
sub decode {
  my ($word) = @_;
  my %means = ('n' => "\n", 't' => "\t", 'r' => "\r", 'c' => '', '\\' => '\\', '0040' => ' ');
  return $word =~ s/\\(0040|[\\ntrc])/$means{$1}/gr;
}

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
    return "waiting $age $try$took" if $age eq '-' || -p "$job/go";
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
