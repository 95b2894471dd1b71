"""Tiers: which location content lies at, when it moves, and how what is away comes back (decision 65)."""
