"""The server's own part in keeping its firewall and its SSH server from locking anybody out."""
