"""What is wrong with packs beside the content they hold: head, footer, trailer, tombstones, and the index.

None of it loses content, since packs are read by their records and the index is made again from them. But a
second fault might, so `fsck` tells. Damage to content is told where content is read; records that nothing
needs any more may be as they like. Blocking.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

from registry.dataplane.drivers.port import Corrupt, Permanent
from registry.dataplane.index.port import ContentIndex, PackState
from registry.dataplane.packs.files import PackFile
from registry.dataplane.packs.layout import TRAILER, parse_trailer
from registry.dataplane.packs.reading import PackReader
from registry.dataplane.packs.records import Kind
from registry.dataplane.packs.recovery import place_of
from registry.dataplane.packs.scanning import footer_entries, read_head

_MADE_ANEW = "stop the store and delete its folder `index`: the next start makes it anew"
_MENDED = "its content is whole; `artifact-store gc --pack-dead 0 --pack-grace 0` writes it anew"


def inspect(index: ContentIndex, reader: PackReader) -> Generator[list[str], None, None]:
    """Faults, each a sentence, in steps. Packs that are being written or deleted are passed over.

    Raises Transient, OSError.
    """
    try:
        yield [f"the content index is damaged ({fault}); {_MADE_ANEW}" for fault in index.faults()]
    except Permanent as error:
        yield [f"{error}; {_MADE_ANEW}"]
        return
    for row in index.packs(PackState.CLOSED):
        try:
            with reader.files.take(row.key) as file:
                faults = [f"pack {row.key.id.hex()}: {fault}; {_MENDED}" for fault in _faults(reader, file)]
        except FileNotFoundError:
            now = index.pack(row.key)  # replaced meanwhile?
            faults = [f"pack {row.key.id.hex()} is gone"] if now == row else []
        yield faults


def _faults(reader: PackReader, file: PackFile) -> Iterator[str]:
    head = read_head(file.fd)
    if head is None or (head.id, head.domain) != (file.key.id, file.key.domain):
        yield "its head is damaged"
    size = os.fstat(file.fd).st_size
    if parse_trailer(file.key.id, os.pread(file.fd, TRAILER, max(0, size - TRAILER)), size) is None:
        yield "its trailer is damaged"
        return
    entries = footer_entries(file.key.id, file.fd)
    if entries is None:
        yield "its footer is damaged"
        return
    for entry in entries:
        if entry.kind is Kind.TOMBSTONES:
            try:
                reader.at(place_of(file.key, entry), file)
            except Corrupt:
                yield f"the tombstones at offset {entry.offset} are damaged"
