"""What the bucket said of an object a moment ago: who opens one has most often just asked for its size.

It saves the second question and decides nothing: a read says for itself when the object is gone.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from registry.dataplane.drivers.s3.values import Head

#: How long an answer is worth something, in seconds, and how many are kept.
_FRESH = 10.0
_MOST = 1024


class Seen:
    """The last answers by key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heads: OrderedDict[str, tuple[float, Head]] = OrderedDict()

    def keep(self, key: str, head: Head) -> None:
        self._heads[key] = (self._clock(), head)
        self._heads.move_to_end(key)
        if len(self._heads) > _MOST:
            self._heads.popitem(last=False)

    def get(self, key: str) -> Head | None:
        found = self._heads.get(key)
        return found[1] if found is not None and self._clock() - found[0] <= _FRESH else None

    def forget(self, key: str) -> None:
        self._heads.pop(key, None)
