"""Whether an object in packs is sound, and which of its records are not.

For quarantine, which must leave nothing bad to build on. Blocking.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from registry.contract.digest import Algorithm, new_hasher
from registry.dataplane.drivers.port import Corrupt
from registry.dataplane.index.port import Place
from registry.dataplane.packs.reading import PackReader
from registry.dataplane.packs.recipes import Recipe, parse_recipe
from registry.dataplane.packs.records import HEADER, Grave, Kind

#: Bytes of bad records kept for a person to look at, of one object at most.
_MOST = 16 << 20


def examine(reader: PackReader, address: bytes, place: Place) -> list[tuple[Grave, bytes]] | None:
    """Corrupt records of the object at `place`, each with its stored bytes as they are now.

    None when the object is sound, and nothing when it is not for other reasons: a chunk that no pack holds.
    """
    if fault_of(reader, address, place) is None:
        return None
    found = []
    room = _MOST
    for digest, part in _parts(reader, address, place):
        try:
            reader.record(part)
        except Corrupt:
            stored = _as_it_is(reader, part) if part.stored <= room else b""
            room -= len(stored)
            found.append((Grave(part.pack.id, part.offset, part.kind, digest), stored))
    return found


def fault_of(reader: PackReader, address: bytes, place: Place) -> str | None:
    """Read the whole object at `place` and say what is wrong with it, if anything."""
    try:
        hasher = new_hasher(Algorithm.BLAKE3)
        for data in _content(reader, place):
            hasher.update(data)
    except Corrupt as error:
        return str(error)
    found = hasher.hexdigest()
    return None if found == address.hex() else f"the bytes held are blake3:{found}"


def _content(reader: PackReader, place: Place) -> Iterator[bytes]:
    data = reader.record(place)
    if place.kind is Kind.BLOB:
        yield data
        return
    recipe = parse_recipe(data)
    for item in recipe:
        data = reader.piece(place.pack.domain, item.digest)
        if not recipe.depth:
            yield data
            continue
        for chunk in parse_recipe(data):
            yield reader.piece(place.pack.domain, chunk.digest)


def _parts(reader: PackReader, address: bytes, place: Place) -> Iterator[tuple[bytes, Place]]:
    yield address, place
    if place.kind is not Kind.BLOB:
        yield from _named(reader, place)


def _named(reader: PackReader, place: Place) -> Iterator[tuple[bytes, Place]]:
    for digest in _recipe(reader, place).uses:
        piece = reader.index.chunk(place.pack.domain, digest)
        if piece is not None:
            yield digest, piece
            if piece.kind is Kind.LIST:
                yield from _named(reader, piece)


def _recipe(reader: PackReader, place: Place) -> Recipe:
    try:
        return parse_recipe(reader.record(place))
    except Corrupt:
        return Recipe(0, b"")


def _as_it_is(reader: PackReader, place: Place) -> bytes:
    try:
        with reader.files.take(place.pack) as file:
            return os.pread(file.fd, place.stored, place.offset + HEADER)
    except OSError:
        return b""
