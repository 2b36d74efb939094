#!perl
# The agent where the node has perl: the same files, locks and lines as in agent.sh, which begins with it, without a fork for
# each step. What is rare is left to agent.sh (`by_shell`, `ask`). `perl -x` finds this at the end of agent.sh.
#   perl -x agent.sh session   one per connection (session.pl, requests.pl, relay.pl), and by forks of it the supervisors of the jobs that
#                              it starts (supervisor.pl, tries.pl, shell.pl, starter.pl, logs.pl)
#   perl -x agent.sh runner    while staged jobs wait for what no end of a job here will tell of (walk.pl)
use strict;
use Config;

our ($AGENT, $HOME, $NODE) = ($0, $ENV{HOME}, $ENV{CLUSTER_QUEUE_NODE});
our $QUEUE = "$HOME/.cluster-queue";
our ($ROOT, $STAGED, $WORK) = ("$QUEUE/$NODE", "$QUEUE/staged", "$QUEUE/work");

# Perl has no names for system calls, whose numbers never change, and the module that has O_EXCL and its like takes longer
# to load than a job to start.
my %CALLS = (
  x86_64      => [294, 254, 255, 112, 319, 231, 24, 56, 3, 46, 47, 228, 38, 257, 0],
  aarch64     => [26, 27, 28, 157, 279, 94, 124, 220, 57, 211, 212, 113, 103, 56, 63],
  riscv64     => [26, 27, 28, 157, 279, 94, 124, 220, 57, 211, 212, 113, 103, 56, 63],
  ppc64le     => [318, 276, 277, 66, 360, 234, 158, 120, 6, 341, 342, 246, 104, 286, 3],
  powerpc64le => [318, 276, 277, 66, 360, 234, 158, 120, 6, 341, 342, 246, 104, 286, 3],
);
my ($machine) = $Config{archname} =~ /^(\w+)-linux/;
my @calls = @{$CALLS{$machine // ''} || by_other_means()};
our ($INOTIFY_INIT, $INOTIFY_ADD, $INOTIFY_REMOVE, $SETSID, $MEMFD, $EXIT, $YIELD) = @calls;
our ($CLONE, $CLOSE, $SENDMSG, $RECVMSG, $GETTIME, $SETTIMER, $OPENAT, $READ) = @calls[7 .. 14];
our ($O_RDWR, $O_NONBLOCK, $O_NEW, $O_APPEND) = (2, 04000, 0301, 02101);
our ($SHARED, $EXCLUSIVE, $AT_ONCE, $UNLOCK) = (1, 2, 4, 8);
our $NOHANG = 1;
our $BOOT = first_line($ENV{CLUSTER_QUEUE_BOOT_ID_FILE} || '/proc/sys/kernel/random/boot_id') // 'none';

# The jobs' environment is the session's own, which perl itself was kept from.
for my $name ('PERL5OPT', 'PERL5LIB') {
  my $kept = delete $ENV{"CQ_$name"};
  if (defined $kept) { $ENV{$name} = $kept } else { delete $ENV{$name} }
}

# Ends this process at once. Perl's own exit first gives back all memory, page after page of which a fork has to copy for that:
# 2 ms, for which whoever waits for it waits too. What was printed is written when its file is closed, which all are.
sub quit {
  my $code = $_[0] // 0;
  syscall($EXIT, $code);
  exit $code;
}

# The first line of a small file, or nothing.
sub first_line {
  my $text = read_at_once($_[0], 1);
  return length $text ? substr $text, 0, (index("$text\n", "\n")) : undef;
}

# All of a small file, or of one of /proc, which gives a page at a time; with $2 at most that much. Not by perl's own files,
# each of which costs three more calls of the system, and memory: a job takes dozens of looks.
sub read_at_once {
  my ($path, $part) = @_;
  # AT_FDCWD, O_CLOEXEC
  my $number = syscall($OPENAT, -100, $path, 02000000);
  return '' if $number < 0;
  my ($text, $count) = ('');
  our $READ_INTO;
  vec($READ_INTO, 16383, 8) = 0 unless defined $READ_INTO;
  do {
    $count = syscall($READ, $number, $READ_INTO, 16384);
    $text .= substr $READ_INTO, 0, $count if $count > 0;
  } while $count > 0 && !$part || $count < 0 && $! == 4;
  syscall($CLOSE, $number);
  return $text;
}

# The words of a file's first line.
sub words_of { return split ' ', first_line($_[0]) // '' }

# Writes a file anew; fails on a full disk.
sub put {
  my ($path, $text, $mode) = @_;
  open(my $file, $mode || '>', $path) or return 0;
  return print({$file} $text) && close $file;
}

# Writes over the beginning of a file, which is made when it is not there, and leaves the rest, or with $3 cuts that off.
sub put_over {
  my ($path, $text, $cut) = @_;
  sysopen(my $file, $path, $O_RDWR | 0100, 0600) or return 0;
  my $written = syswrite($file, $text);
  return defined $written && $written == length $text && (!$cut || truncate($file, $written));
}

# Makes an empty file that nobody else has made.
sub put_new {
  sysopen(my $file, $_[0], $O_NEW, 0600) or return 0;
  return 1;
}

# Seconds on a clock that nobody sets, and whole ones: as /proc/uptime, which takes longer to read and may begin elsewhere (in
# a container).
sub clock {
  our ($AHEAD, $BEGAN);
  vec($BEGAN, 15, 8) = 0;
  # CLOCK_BOOTTIME
  return (words_of('/proc/uptime'))[0] if syscall($GETTIME, 7, $BEGAN) != 0;
  my ($seconds, $nanoseconds) = unpack('q q', $BEGAN);
  my $now = $seconds + $nanoseconds / 1e9;
  $AHEAD //= (words_of('/proc/uptime'))[0] - $now;
  return $now + $AHEAD;
}
sub uptime { return int clock() }

# What follows the name in /proc/PID/stat: state, parent, group, session, …; nothing when it is gone or a zombie.
sub stat_of {
  # A name may have line breaks.
  my $line = read_at_once("/proc/$_[0]/stat");
  my $end = rindex $line, ') ';
  return if $end < 0;
  my @fields = split ' ', substr($line, $end + 2), 21;
  return if $fields[0] eq 'Z' || $fields[0] eq 'X';
  return @fields;
}

# The start time of a process, which is unique with its pid; nothing when it is gone.
sub start_of { return (stat_of($_[0]))[19] }

# That of this process.
sub own_start {
  our %OWN_START;
  return $OWN_START{$$} //= start_of($$);
}

sub lives {
  my ($pid, $began) = @_;
  return 0 unless $pid;
  my $start = start_of($pid);
  return defined $start && $start eq $began;
}

# Whether a session lives; after a reboot its number may be another process's.
sub session_lives {
  my ($pid) = @_;
  my $start = start_of($pid) // return 0;
  # It is about to write it.
  my $began = first_line("$ROOT/sessions/$pid/start") // return 1;
  return $start eq $began;
}

# The file of a job that was staged on this node, where there is one; else the file of that name.
sub of_node {
  my ($path) = @_;
  return -e "$path.$NODE" ? "$path.$NODE" : $path;
}

# The file that says who supervises a job (directory).
sub sup_file { return of_node("$_[0]/sup") }

# The names in a folder that match, in the order of their bytes.
sub entries {
  my ($folder, $pattern) = @_;
  opendir(my $all, $folder) or return;
  my @names = sort grep { $_ =~ $pattern } readdir $all;
  return @names;
}

# Pushes one line to every open session. A client that stopped reading may have a mux that does not read either; it must
# not hold up a job, and asks anew when it is back.
sub push_line {
  my ($line) = @_;
  for my $session (entries("$ROOT/sessions", qr/^[0-9]/)) {
    my $path = "$ROOT/sessions/$session";
    next unless -p "$path/ev" && sysopen(my $fifo, "$path/ev", $O_RDWR | $O_NONBLOCK);
    my $tries = 0;
    until (defined syswrite($fifo, "$line\n")) {
      # EAGAIN, EINTR
      last unless $! == 11 || $! == 4;
      if (++$tries > 500) {
        kill 'TERM', $session if lives($session, first_line("$path/start") // '');
        last;
      }
      pause(0.01);
    }
  }
}

# Waits so many seconds, or until a signal comes.
sub pause { select(undef, undef, undef, $_[0]) }

# What a process that starts others has open and they must not have.
our @PRIVATE;

# Forks a process with a session of its own. Returns its pid, and 0 in it.
sub detach {
  my $pid = fork_off() // return undef;
  return $pid if $pid;
  syscall($SETSID);
  $SIG{$_} = 'DEFAULT' for 'CHLD', 'PIPE', 'HUP', 'TERM', 'INT';
  close $_ for @PRIVATE;
  @PRIVATE = ();
  delete $ENV{CQ_SESSION};
  silence();
  return 0;
}

sub silence {
  open(STDIN, '<', '/dev/null');
  open(STDOUT, '>', '/dev/null');
  open(STDERR, '>', '/dev/null');
}

# Runs a program to its end; whether it succeeded.
sub run { return system({ $_[0] } @_) == 0 }

# Lets agent.sh do what is rare. Returns what it printed.
sub by_shell {
  my $pid = open(my $said, '-|') // return '';
  if (!$pid) {
    forget_leases();
    exec('sh', $AGENT, @_) or exit 127;
  }
  local $/;
  my $text = <$said>;
  close $said;
  return $text // '';
}

# Where the system lacks what this needs, agent.sh does it all.
sub by_other_means {
  $ENV{CLUSTER_QUEUE_RELAY} = 'no';
  exec 'bash', $AGENT, @ARGV;
  exit 1;
}
