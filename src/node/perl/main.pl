# ---------------------------------------------------------------- what is asked for

if ($ARGV[0] eq 'session') { session() }
elsif ($ARGV[0] eq 'runner') { runner() }
