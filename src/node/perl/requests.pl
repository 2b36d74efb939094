# ---------------------------------------------------------------- requests about jobs: the words are those of sh/requests.sh

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
    # What a killed session has left there may be what this job has no more, as what it came after.
    if (!((!-e $new || run('rm', '-rf', $new)) && mkdir($new, 0700) && put("$new/how", "$grace $snapshot $timeout $retries .\n") && put("$new/env", decode($env))
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
    # A name of its own: of a session that was killed another may be left, and the last ones may still be on their way out.
    my $gone = join '.', "$STAGED/.gone", $NODE, $$, own_start(), $id, $uuid;
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
  # What is told to be here stays until the job comes that it is asked for, see sweep_work.
  utime undef, undef, "$WORK/$name";
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
