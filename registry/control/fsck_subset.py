"""Which content an fsck reads: all of it, one of several equal parts, or a share by chance.

Addresses are hashes, so that their first digits part content evenly: the parts 1/7 to 7/7 are disjoint, read
everything once in seven runs, and stay the same parts from run to run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.contract.digest import Digest
from registry.contract.errors import ErrorKind, StoreError

_DIGITS = 12
_WHOLE = 16**_DIGITS
_PART = re.compile(r"(\d{1,6})/(\d{1,6})")
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%")


@dataclass(frozen=True, slots=True)
class Subset:
    """Content whose address lies in `[start, start + length)` of the circle of addresses, 0 to 1."""

    start: float = 0.0
    length: float = 1.0

    def has(self, address: Digest) -> bool:
        """Whether the content is to be read."""
        place = int(address.hex[:_DIGITS], 16) / _WHOLE
        offset: float = (place - self.start) % 1.0
        return offset < self.length


EVERYTHING = Subset()


def parse_subset(text: str, chance: float) -> Subset:
    """`n/t` or `x%`; `chance` (0 to 1) is where a share begins. Raises StoreError BAD_REQUEST."""
    part = _PART.fullmatch(text)
    if part and 1 <= int(part[1]) <= int(part[2]):
        return Subset((int(part[1]) - 1) / int(part[2]), 1 / int(part[2]))
    share = _SHARE.fullmatch(text)
    if share and 0 < float(share[1]) <= 100:
        return Subset(chance, float(share[1]) / 100)
    raise StoreError(
        ErrorKind.BAD_REQUEST, f"{text!r} is no subset: write 2/7 for the second of seven parts, or 2.5%"
    )
