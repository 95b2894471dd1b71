"""Hashing what is on disk, off the event loop and in slices, so that an interruption is heeded soon."""

from __future__ import annotations

import asyncio
import os

from registry.contract.digest import MultiHasher

#: Bytes read at a time, and bytes between two looks at the event loop.
_PIECE = 1024 * 1024
_SLICE = 64 * 1024 * 1024


async def hash_file(descriptor: int, size: int, hasher: MultiHasher) -> int:
    """Update `hasher` with the first `size` bytes; returns how many there were. Raises OSError."""
    position = 0
    while position < size:
        end = min(position + _SLICE, size)
        reached = await asyncio.to_thread(_hash_slice, descriptor, position, end, hasher)
        if reached == position:
            break
        position = reached
    return position


def _hash_slice(descriptor: int, position: int, end: int, hasher: MultiHasher) -> int:
    while position < end:
        piece = os.pread(descriptor, min(_PIECE, end - position), position)
        if not piece:
            break
        hasher.update(piece)
        position += len(piece)
    return position
