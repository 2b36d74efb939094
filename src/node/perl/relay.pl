# ---------------------------------------------------------------- what goes to the client: lines first, and logs as they grow

# Bytes of a log in one frame: as long as one frame takes, events wait.
our $SLICE = 262144;
# A client that has not read so many bytes of events is gone; it asks anew when it comes back.
our $MOST_WAITING = $ENV{CLUSTER_QUEUE_MOST_WAITING} || 8388608;
# Seconds between looks at a log that inotify has no room for (fs.inotify.max_user_watches).
our $POLL = 0.1;
# Files of logs that are kept open from one line to the next: to open one takes longer than to read what came.
our $MOST_OPEN = $ENV{CLUSTER_QUEUE_MOST_OPEN} || 128;
our ($MODIFY, $DELETE_SELF, $IGNORED, $Q_OVERFLOW) = (0x2, 0x400, 0x8000, 0x4000);

our ($inotify, $notes, $out, $is_socket, $own);
# number => slot: { number, uuid, log, parts, offset, watch, over, gone, dirty, file, next }; parts: where they begin, see
# sh/logs.sh; file: that of the part at the offset, read up to there, while it is open, and next: where the part after it begins;
# gone: followed no more
our %slots;
our @opened;     # slots in the order in which their files were opened
our %watched;    # inotify's number => { slot number => slot }
our %unwatched;  # slot number => slot whose log has to be looked at
our @dirty;    # slots whose logs may have grown, in turn
our ($last, $likely);  # the slot of the last frame; and where it sent the one before too, and little
our $note;       # what inotify said last
our ($lines, $pending) = ('', '');

# Opens what this needs; fails where the system has none of it.
sub open_relay {
  $inotify = syscall($INOTIFY_INIT, 0);
  return 0 if $inotify < 0 || !open($notes, '<&=', $inotify);
  # Another description of a pipe, so that not waiting for it concerns nobody else; of a socket there is only the one,
  # which sshd also reads requests into.
  $is_socket = -S STDOUT;
  if ($is_socket) { $out = \*STDOUT }
  else {
    sysopen($out, '/proc/self/fd/1', 1 | $O_NONBLOCK) or return 0;
    # F_SETPIPE_SZ: a slice goes in by one call, instead of one for each packet that sshd takes out. Where the system gives
    # no more, the pipe stays as it is.
    fcntl($out, 1031, $SLICE);
  }
  return 1;
}

sub reply { $lines .= "$_[0]\n" }

# Makes the next bytes to send: lines first, then a frame of each log that has grown, as many as make up a slice.
sub fill {
  return if length $pending;
  ($pending, $lines) = ($lines, '') if length $lines;
  while (@dirty && length $pending < $SLICE) {
    my $slot = shift @dirty;
    next if $slot->{gone};
    $slot->{dirty} = 0;
    my $count = read_log($slot, my $bytes);
    if ($count) {
      add_frame($slot, $count, $bytes);
    } elsif ($slot->{over}) {
      $pending .= "E $slot->{number} $slot->{offset}\n";
      unfollow($slot->{number});
    }
  }
}

# Sends what one log has grown by before it is known which of them has: where only one job writes, and now and then, the way to
# a line's frame is half as long.
sub forestall {
  my $slot = $likely;
  undef $likely;
  my $count = $slot->{file} && sysread($slot->{file}, my $bytes, $SLICE) or return;
  add_frame($slot, $count, $bytes);
  send_pending();
}

sub add_frame {
  my ($slot, $count) = @_;
  $likely = $count < 4096 && $last && $last == $slot ? $slot : undef;
  $last = $slot;
  $pending .= "D $slot->{number} $slot->{offset} $count\n$_[2]";
  $slot->{offset} += $count;
  # There may be more, also in the next part; of a log that is over there is more until nothing is read.
  mark($slot) if $count == $SLICE || $slot->{over} || @{$slot->{parts}};
}

# Returns how many bytes there were from where the slot stands, which is moved on where parts of the log were dropped.
sub read_log {
  my ($slot) = @_;
  while ($slot->{file} || open_log_at($slot)) {
    # The file system failed (a home over NFS): the client asks again, and never takes a part for the whole.
    my $count = sysread($slot->{file}, $_[1], $SLICE) // end_session();
    # Where another follows, this one had ended before it was read.
    return $count if $count || !defined $slot->{next};
    shut($slot);
    $slot->{offset} = $slot->{next};
  }
  return 0;
}

# Opens the part of a log that has the slot's offset, which is moved on where that was dropped; fails when there is none.
sub open_log_at {
  my ($slot) = @_;
  for (my $looked = 0;;) {
    (my $start, $slot->{next}) = find_part($slot);
    if (sysopen(my $log, part_file($slot, $start), 0)) {
      sysseek($log, $slot->{offset} - $start, 0);
      # Before this one is open: it may have been opened before, and then it is itself who comes first.
      shut(shift @opened) if @opened >= $MOST_OPEN;
      $slot->{file} = $log;
      push @opened, $slot;
      return 1;
    } elsif ($start) {
      # Dropped since they were listed.
      end_session() if $looked++ > 100;
      list_parts($slot);
    } elsif (defined $slot->{next}) {
      $slot->{offset} = $slot->{next};
    } else {
      return 0;
    }
  }
}

# Closes what is open of a log: what comes next is looked for anew.
sub shut {
  my ($slot) = @_;
  close $slot->{file} if $slot->{file};
  undef $slot->{file};
}

# Where the part begins that has the slot's offset, or would, and the one after it.
sub find_part {
  my ($slot) = @_;
  my $start = 0;
  for (@{$slot->{parts}}) {
    return ($start, $_) if $_ > $slot->{offset};
    $start = $_;
  }
  return ($start, undef);
}

sub part_file {
  my ($slot, $start) = @_;
  return $start ? "$slot->{log}.$start" : $slot->{log};
}

sub list_parts {
  my ($slot) = @_;
  shut($slot);
  my ($folder) = $slot->{log} =~ m{(.*)/}s;
  opendir(my $entries, $folder);
  $slot->{parts} = [sort { $a <=> $b } map { /^run\.log\.(\d+)$/ ? $1 : () } $entries ? readdir $entries : ()];
}

sub send_pending {
  while (length $pending) {
    # 0x40: MSG_DONTWAIT
    my $sent = $is_socket ? send($out, $pending, 0x40) : syswrite($out, $pending);
    if (defined $sent) { substr($pending, 0, $sent, ''); next }
    # EAGAIN, EINTR; the module that has their names takes a millisecond.
    return if $! == 11 || $! == 4;
    end_session();
  }
}

sub take_notes {
  sysread($notes, $note, 65536) or return;
  while (length $note) {
    my ($watch, $mask, undef, $name) = unpack('lLLL', $note);
    substr($note, 0, 16 + $name, '');
    if (my $grown = $watched{$watch}) { mark(values %$grown) }
    elsif ($mask & $Q_OVERFLOW) { mark(values %slots) }
    # The session died without a word, and the next one has tidied up after it.
    elsif ($watch == $own && $mask & ($DELETE_SELF | $IGNORED)) { exit 0 }
  }
}

sub mark {
  for (@_) { push @dirty, $_ unless $_->{dirty}++ }
}

# The job's last byte is in its log: its followers get the rest, and the end.
sub over {
  my ($uuid) = @_;
  for my $slot (of_job($uuid)) {
    $slot->{over} = 1;
    shut($slot);
    mark($slot);
  }
}

sub of_job {
  my ($uuid) = @_;
  return grep { $_->{uuid} eq $uuid } values %slots;
}

sub follow {
  my ($number, $uuid, $offset) = @_;
  my $job = "$ROOT/jobs/$uuid";
  my $slot = $slots{$number} = { number => $number, uuid => $uuid, log => "$job/run.log", offset => $offset };
  if (-e "$job/exit" || !-d $job) {
    $slot->{over} = 1;
    $slot->{watch} = -1;
    list_parts($slot);
  } else {
    # 02001: made when the job has not begun
    sysopen(my $log, $slot->{log}, 02101, 0600);
    watch_log($slot);
  }
  mark($slot);
}

# The log goes on in a new part, the only one that grows.
sub went_on {
  my ($slot) = @_;
  unwatch_log($slot);
  watch_log($slot);
  mark($slot);
}

sub watch_log {
  my ($slot) = @_;
  list_parts($slot);
  my $watch = $slot->{watch} = watch(part_file($slot, $slot->{parts}[-1]), $MODIFY);
  if (defined $watch) { $watched{$watch}{$slot->{number}} = $slot } else { $unwatched{$slot->{number}} = $slot }
}

sub unwatch_log {
  my ($slot) = @_;
  delete $unwatched{$slot->{number}};
  my $watch = $slot->{watch};
  my $sharing = $watched{$watch // -1} or return;
  delete $sharing->{$slot->{number}};
  return if %$sharing;
  delete $watched{$watch};
  syscall($INOTIFY_REMOVE, $inotify, $watch);
}

sub unfollow {
  my ($number) = @_;
  my $slot = delete $slots{$number} or return;
  $slot->{gone} = 1;
  unwatch_log($slot);
  shut($slot);
}

sub watch {
  my ($path, $mask) = @_;
  my $watch = syscall($INOTIFY_ADD, $inotify, $path, $mask);
  return $watch < 0 ? undef : $watch;
}
