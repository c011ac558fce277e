"""Guards on the machine of whoever types: what a destructive command would hit, and a copy before it runs."""
