"""A lost database rebuilt from storage alone: the exported ledger, its views, and a look at every content."""

from registry.control.recovery.recovering import recover
from registry.control.recovery.report import Orphan, Recovered

__all__ = ["Orphan", "Recovered", "recover"]
