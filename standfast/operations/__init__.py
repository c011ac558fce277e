"""CHANGE a server: read facts, compare, and either say no-op or yield commands that name their changes."""
