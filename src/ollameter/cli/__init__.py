"""What can be done from a terminal, with public names only."""
