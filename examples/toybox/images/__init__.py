"""How toybox's images are built: from Debian packages and PyPI wheels, without a registry."""
