"""Pages by key: one row more than asked for tells whether another page follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from registry.contract.model import Page

T = TypeVar("T")


def page_by_key(items: Sequence[T], limit: int, key: Callable[[T], str] = str) -> Page[T]:
    """`items` were fetched with `limit + 1`; `key` says what the next page comes after."""
    kept = tuple(items[:limit])
    return Page(kept, key(kept[-1]) if kept and len(items) > limit else None)
