"""Sinks against the real thing: nats-server, and HTTP endpoints on loopback."""
