"""The control plane: what bytes mean. One ledger, its views, and the use cases of both faces.

`open_store` gives a store without any server: the registry is a library first.
"""

from registry.control.background import Care
from registry.control.core import Limits, RepositoryPolicy, SystemClock, UuidIdentifiers
from registry.control.pack_policy import PackPolicy
from registry.control.store import Store, open_store

__all__ = [
    "Care",
    "Limits",
    "PackPolicy",
    "RepositoryPolicy",
    "Store",
    "SystemClock",
    "UuidIdentifiers",
    "open_store",
]
