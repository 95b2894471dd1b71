"""The ledger's export: all of it written to storage again and again, so that a lost database is rebuilt.

A follower of the ledger like those in `registry.control.followers`; its place is a checkpoint in an archive.
RECOVERY.md says what is safe when; decision 67 says why it is so.
"""

from registry.control.export.settings import Export

__all__ = ["Export"]
