"""Throwaway servers on this machine: real Debian, reached as a rented server is."""
