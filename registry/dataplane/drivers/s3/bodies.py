"""Request bodies with their checksum."""

from __future__ import annotations

import base64
import zlib
from io import BytesIO

from registry.dataplane.drivers.port import Pieces
from registry.dataplane.drivers.s3.values import Body


class Gathered:
    """A body that grows. Its checksum grows with it, so that it is never read twice."""

    def __init__(self) -> None:
        self._data = BytesIO()
        self._crc = 0
        self.size = 0

    def add(self, pieces: Pieces) -> None:
        """Append. May be called in any thread, by one at a time."""
        for piece in pieces:
            self._crc = zlib.crc32(piece, self._crc)
            self.size += self._data.write(piece)

    def body(self) -> Body:
        return Body(self._data, base64.b64encode(self._crc.to_bytes(4, "big")).decode())


def body_of(pieces: Pieces) -> Body:
    """A body that is whole already."""
    gathered = Gathered()
    gathered.add(pieces)
    return gathered.body()
