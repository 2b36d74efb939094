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
      forestall() if $likely && !length $pending;
      take_notes();
      # What is on its way to the job's follower need not wait for the looks below.
      next if $found == 1;
    }
    mark(values %unwatched) if !$found;
    if (vec($read, fileno $events, 1)) {
      take_lines($events, \$said, \&take_event) or end_session();
    }
    # Copies: perl ends where it goes through an array that is made anew meanwhile.
    my @ready = grep { vec($read, fileno $_->[0], 1) } @asked;
    for my $asked (@ready) {
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
