"""What a call costs on this machine, against the bare HTTP library."""
