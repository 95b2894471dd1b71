"""Objects in packs, open for reading: every chunk is verified before its first byte is given out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import Corrupt, Erased, Permanent
from registry.dataplane.index.port import ContentIndex, Place
from registry.dataplane.packs.codec import Records
from registry.dataplane.packs.files import PackFile, PackFiles
from registry.dataplane.packs.recipes import Item, Spans, parse_recipe
from registry.dataplane.packs.records import Record
from registry.dataplane.workers import Workers

#: A record may move to another pack between look-up and opening: so often the look-up is repeated.
_TRIES = 3


class PackReader:
    """Reads records of one store. Blocking, in any thread."""

    def __init__(self, index: ContentIndex, files: PackFiles, records: Records) -> None:
        self.index = index
        self.files = files
        self._records = records

    def open(self, look_up: Callable[[], Place | None]) -> tuple[Place, PackFile] | None:
        """The place that `look_up` finds and its pack, open. None when it finds none.

        Raises Corrupt for a pack that is gone, OSError.
        """
        for attempt in range(1, _TRIES + 1):
            place = look_up()
            if place is None:
                break
            try:
                return place, self.files.take(place.pack)
            except FileNotFoundError:
                if attempt == _TRIES:
                    raise self.files.lost(place.pack) from None
        return None

    def at(self, place: Place, file: PackFile) -> bytes:
        """The content of the record at `place`, verified. Raises Corrupt, Permanent, OSError."""
        record, stored = file.record(place.offset, place.stored)
        return self._records.decode(place.pack.domain, record, stored)

    def stored(self, place: Place) -> tuple[Record, bytes]:
        """The record at `place` as it is stored, of whatever pack.

        Raises Corrupt also for a pack that is gone, Permanent, OSError.
        """
        try:
            file = self.files.take(place.pack)
        except FileNotFoundError:
            raise self.files.lost(place.pack) from None
        with file:
            return file.record(place.offset, place.stored)

    def record(self, place: Place) -> bytes:
        """Its content, verified. Raises as `stored`."""
        return self._records.decode(place.pack.domain, *self.stored(place))

    def uses(self, place: Place) -> Mapping[bytes, int]:
        """What the recipe or list at `place` names, and how often; nothing when it is corrupt or gone."""
        try:
            return parse_recipe(self.record(place)).uses
        except (Corrupt, Erased):
            return {}

    def at_once(self, place: Place, file: PackFile) -> bytes | None:
        """The same when it needs no waiting for the disk."""
        found = file.cached(place.offset, place.stored)
        if found is None or not self._records.at_hand(place.pack.domain, *found):
            return None
        return self._records.decode(place.pack.domain, *found)

    def piece(self, domain: DomainId, digest: bytes) -> bytes:
        """A chunk or list by its digest. Raises Corrupt, also where there is none: something named it."""
        opened = self.open(lambda: self.index.chunk(domain, digest))
        if opened is None:
            raise Corrupt(f"the chunk blake3:{digest.hex()} is not held")
        place, file = opened
        with file:
            data = self.at(place, file)
        if place.raw != len(data):
            raise Corrupt(f"the chunk blake3:{digest.hex()} is not as long as it should be")
        return data


class PackedBlob:
    """An object that is one record."""

    fd: int | None = None

    def __init__(self, reader: PackReader, place: Place, file: PackFile, workers: Workers) -> None:
        self._reader = reader
        self._place = place
        self._file = file
        self._closed = False
        self._workers = workers
        self._data: bytes | None = None

    @property
    def size(self) -> int:
        return self._place.raw

    async def read(self, start: int, length: int) -> bytes:
        if self._data is None:
            data = self._reader.at_once(self._place, self._file)
            if data is None:
                data = await self._workers.run(lambda: self._reader.at(self._place, self._file))
            if len(data) != self.size:
                raise Corrupt("an object is not as long as the index says")
            self._data = data
        return _part(self._data, start, length)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._file.close()


class PackedRecipe:
    """An object in chunks. Keeps the chunk and the list it read last: readers go on where they were."""

    fd: int | None = None

    def __init__(
        self, reader: PackReader, domain: DomainId, size: int, data: bytes, workers: Workers
    ) -> None:
        """`data` is the content of the recipe's record. Raises Corrupt."""
        recipe = parse_recipe(data)
        self._reader = reader
        self._domain = domain
        self._workers = workers
        self._spans = Spans(recipe)
        self._depth = recipe.depth
        self._list: tuple[bytes, Spans] = (b"", self._spans)
        self._last: tuple[bytes, bytes] = (b"", b"")
        self.size = size
        if self._spans.size != size:
            raise Corrupt("a recipe names more or fewer bytes than its object has")

    async def read(self, start: int, length: int) -> bytes:
        return await self._workers.run(lambda: self._read(start, length))

    def _read(self, start: int, length: int) -> bytes:
        if start + length > self.size:
            raise Permanent(f"only {self.size} bytes are held")
        parts = []
        while length:
            item, begin = self._at(start)
            part = memoryview(self._chunk(item))[start - begin :][:length]
            parts.append(part)
            start += len(part)
            length -= len(part)
        return b"".join(parts)

    def _at(self, position: int) -> tuple[Item, int]:
        item, begin = self._spans.at(position)
        if not self._depth:
            return item, begin
        if self._list[0] != item.digest:
            spans = Spans(parse_recipe(self._reader.piece(self._domain, item.digest)))
            if spans.size != item.length:
                raise Corrupt("a list names more or fewer bytes than it should")
            self._list = (item.digest, spans)
        chunk, within = self._list[1].at(position - begin)
        return chunk, begin + within

    def _chunk(self, item: Item) -> bytes:
        if self._last[0] != item.digest:
            data = self._reader.piece(self._domain, item.digest)
            if len(data) != item.length:
                raise Corrupt("a chunk is not as long as its recipe says")
            self._last = (item.digest, data)
        return self._last[1]

    def close(self) -> None:
        """Packs are open only while they are read."""


def _part(data: bytes, start: int, length: int) -> bytes:
    if start == 0 and length == len(data):
        return data
    if start + length > len(data):
        raise Permanent(f"only {len(data)} bytes are held")
    return data[start : start + length]
