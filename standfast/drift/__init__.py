"""Comparing what was found on a server with what is declared; reads nothing and changes nothing."""
