"""What a call costs on this machine: ours against bare clients and other instrumentations."""
