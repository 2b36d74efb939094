# ---------------------------------------------------------------- logs: a job's output on its way into files, see sh/logs.sh

# Brings what the job writes into its log. That is a pipe, because a file it could empty by `echo >/dev/stderr`, which opens
# that anew; and it is brought by a process of its own, one for all jobs of this supervisor, which goes on when that is killed.
# Until `log_opened` the pipe must stay open here.
sub open_log {
  my ($from) = @_;
  if ($KEEPER && send_files($KEEPER->{socket}, $UUID, $from)) { $KEEPER->{busy} = 1 } else { start_keeper($from) }
}

sub log_opened {
  my ($from) = @_;
  until ($KEEPER && answer_of($KEEPER) eq 'o') { start_keeper($from) or return }
}

# Starts a process that keeps logs, with that of this job first.
sub start_keeper {
  my ($from) = @_;
  end_keeper();
  $KEEPER = start_helper(sub { keep_logs($_[0], $from) });
  $KEEPER->{busy} = 1 if $KEEPER;
  return $KEEPER;
}

# Keeps one log after the other, until the supervisor is gone; says of each that it has it, and that all is in it.
sub keep_logs {
  my ($its, $from) = @_;
  my $number = fileno $from;
  while (defined $number && open(my $file, '<&=', $number)) {
    $0 = "perl $AGENT log $JOB";
    syswrite($its, 'o');
    keep_log($file);
    syswrite($its, 'a');
    close $from;
    ($UUID, $number) = receive_files($its);
    $JOB = "$ROOT/jobs/$UUID" if defined $number;
  }
}

sub end_keeper {
  end_helper($KEEPER) if $KEEPER;
  undef $KEEPER;
}

# Appends all that comes to the log, part after part (sh/logs.sh). While the disk is full it waits, and says so every minute.
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
    my ($done, $waits) = (0, 0);
    while ($done < $count) {
      my $written = syswrite($log, $bytes, $count - $done, $done);
      if (defined $written) { $done += $written }
      elsif ($! != 4) {
        push_line("W $UUID 1") unless $waits++ % 60;
        pause(1);
      }
    }
    push_line("W $UUID 0") if $waits;
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
  end_keeper() if answer_of($KEEPER, 3) ne 'a';
}
