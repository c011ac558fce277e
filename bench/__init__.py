"""How fast standfast is beside others: the same state for each, and a clock. docs/performance.md tells."""
