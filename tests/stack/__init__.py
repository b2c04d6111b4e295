"""Real servers for tests: built from source, run on loopback."""
