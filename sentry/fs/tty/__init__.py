"""Terminals: the line discipline, pseudo-terminals, devpts and the console of a container."""
