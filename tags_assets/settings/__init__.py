"""What the user sets: homes, pools, target files, limits."""
