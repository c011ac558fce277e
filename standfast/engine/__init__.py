"""WHEN: connect, plan, apply. Modules that work with pyinfra import `patched` before it."""
