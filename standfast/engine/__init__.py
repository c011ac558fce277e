"""WHEN: connect, plan, apply. gevent must patch the standard library before anything else runs."""

from gevent import monkey

# ssl is left alone: nothing here uses it, and other modules may have imported it already.
monkey.patch_all(ssl=False)
