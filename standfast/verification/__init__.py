"""The assertions that ``standfast verify`` makes on live servers, derived from the inventory."""
