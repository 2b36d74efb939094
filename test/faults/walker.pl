# Put behind the agent's perl for walker.ts, as walker.sh is behind its shell: plays `walk` and `finish` on nodes of which
# nothing but the jobs' processes is missing. Each line of stdin is a command; the answer is one line.

# Locks of jobs that run, by job.
our %ASIDE;

sub push_line { }
sub kick { }
sub by_shell {
  open(my $strangers, '<', "$ROOT/strangers") or return '';
  return join '', <$strangers>;
}

sub spawn {
  my ($walk, $uuid) = @_;
  $ASIDE{$uuid} = [splice @PLACING];
  return $$;
}

sub said { return join(' ', '', @{$_[0]{started}}) . ' |' . (defined $_[0]{again} ? int $_[0]{again} : '') . "\n" }

our %COMMANDS = (
  # From so many staged jobs on it keeps the list of them.
  many => sub {
    ($MANY_STAGED) = @_;
    return '';
  },
  home => sub {
    my ($home) = @_;
    %ASIDE = %DOOMED = ();
    undef $LISTED;
    ($HOME, $QUEUE, $STAGED) = ($home, "$home/.cluster-queue", "$home/.cluster-queue/staged");
    our $LEASES = "$home/leases";
    return '';
  },
  # What nvidia-smi has said is forgotten, as after two seconds.
  at => sub {
    ($NODE) = @_;
    $ROOT = "$QUEUE/$NODE";
    unlink "$ROOT/foreign";
    return '';
  },
  look => sub {
    our %JUST_FREED = ();
    my $walk = walk(0);
    end_walk($walk);
    return said($walk);
  },
  end => sub {
    ($UUID, $CODE, $HOW) = @_;
    ($JOB, $TRY) = ("$ROOT/jobs/$UUID", 1);
    @LEASES = @{delete $ASIDE{$UUID} || []};
    my $said = said(finish());
    $ASIDE{$NEXT} = [splice @LEASES] if defined $NEXT;
    return $said;
  },
  # UUID CPUS:KIB UNITS LEASE,…|- true|false: a job that a client has started, with its locks or not yet
  book => sub {
    my ($uuid, $use, $units, $leases, $locked) = @_;
    mkdir "$ROOT/jobs/$uuid";
    my $shared = $units == $WHOLE ? '' : 's:';
    my @names = $leases ne '-' && $locked eq 'true' ? split /,/, $leases : ();
    $ASIDE{$uuid} = [map { lease("$shared$_") or return "cannot lock $_\n" } @names];
    enter_books($uuid, $$, start_of($$), $use, $units, $leases);
    return '';
  },
  drop => sub {
    delete $ASIDE{$_[0]};
    return '';
  },
  colleague => sub {
    my ($name) = @_;
    my $lease = lease($name) or return "cannot lock $name\n";
    $ASIDE{"colleague:$name"} = [$lease];
    return '';
  },
);

$| = 1;
while (my $line = <STDIN>) {
  my ($command, @words) = split ' ', $line;
  print $COMMANDS{$command}->(@words), ".\n";
}
