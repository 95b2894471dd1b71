"""Behaviour of registry.control."""
