"""`ollameter bench`: many calls, what they cost, and whether two sets of them differ."""
