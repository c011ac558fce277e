"""Declare servers in one YAML inventory; plan, apply, verify and restore them without losing a row."""

__version__ = "0.1.0"
