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
  undef $_ for $KEEPER, $STARTER, our $LISTED;
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
