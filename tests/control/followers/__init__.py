"""Followers of the ledger, on both engines."""
