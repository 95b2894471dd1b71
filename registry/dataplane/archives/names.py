"""Which names an archive takes: only these become paths and keys."""

from __future__ import annotations

import re

from registry.contract.errors import ErrorKind, StoreError

#: Where archives are, below the root of a local store and the prefix of a bucket.
AREA = "ledger"
_SEGMENT = r"[a-z0-9_-][a-z0-9._-]{0,99}"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


def checked(name: str) -> str:
    """`name` itself; raises NAME_INVALID."""
    if len(name) > 500 or not _NAME.fullmatch(name):
        raise StoreError(
            ErrorKind.NAME_INVALID, "an archive's names are segments of a-z, 0-9, '.', '_' and '-'"
        )
    return name


def checked_prefix(prefix: str) -> str:
    """`prefix` itself, empty or a name with a slash behind; raises NAME_INVALID."""
    if prefix:
        checked(prefix[:-1] if prefix.endswith("/") else "")
    return prefix
