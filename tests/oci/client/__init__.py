"""The client: its pure parts, and its authorization against a token service."""
