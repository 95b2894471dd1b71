"""Behaviour of registry.server, mostly of the real program in a process of its own."""
