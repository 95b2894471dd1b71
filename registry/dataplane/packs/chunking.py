"""Content-defined chunks: FastCDC 2020, so that an insertion moves the cuts near it and no others.

The cuts depend on sizes, normalisation level and gear table. All of them stand in the head of each pack, and
the golden cut points in the tests tell when a library begins to cut elsewhere: what is stored would still
read, but nothing new would be found in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from pyfastcdc import FastCDC

from registry.dataplane.packs.layout import Chunker
from registry.dataplane.settings import DataPlaneSettings

FASTCDC_2020 = 1
#: The higher, the closer chunk sizes gather about the average (FastCDC, section 3.4).
NORMALISATION: Final = 2
#: Names pyfastcdc's gear table, which is that of the Rust crate `fastcdc`: see `Chunker.gear`.
GEAR = bytes.fromhex("9af822d1e10df25d")

#: Bytes read at a time.
_WINDOW = 4 << 20


class Chunking:
    """Cuts streams."""

    def __init__(self, settings: DataPlaneSettings) -> None:
        """Raises ValueError for sizes that FastCDC cannot cut."""
        self._most = settings.chunk_most
        self._cdc = FastCDC(
            settings.chunk_average,
            min_size=settings.chunk_least,
            max_size=settings.chunk_most,
            normalized_chunking=NORMALISATION,
        )
        self.parameters = Chunker(
            FASTCDC_2020,
            settings.chunk_least,
            settings.chunk_average,
            settings.chunk_most,
            NORMALISATION,
            GEAR,
        )

    def cut(self, read: Callable[[int], bytes]) -> Iterator[memoryview]:
        """The chunks of what `read(length)` gives, until it gives nothing. Each is good until the next."""
        rest = b""
        while data := read(_WINDOW):
            whole = memoryview(rest + data)
            start = 0
            # A cut is certain once the longest chunk would fit; what is left is cut again with what follows.
            while len(whole) - start >= self._most:
                for chunk in self._cdc.cut_buf(whole[start:]):
                    yield whole[start : start + chunk.length]
                    start += chunk.length
                    if len(whole) - start < self._most:
                        break
            rest = bytes(whole[start:])
        whole = memoryview(rest)
        for chunk in self._cdc.cut_buf(whole) if rest else ():
            yield whole[chunk.offset : chunk.offset + chunk.length]
