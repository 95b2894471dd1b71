"""zstd, and a cheap guess whether it is worth the while."""

from __future__ import annotations

import threading

import zstandard

from registry.dataplane.drivers.port import Corrupt

#: Data shorter than this (bytes) is compressed without a guess.
_WORTH_GUESSING = 16 << 10
_SAMPLE = 2 << 10
#: What compression must save at least, as a part of the whole, to be worth the decompression.
_LEAST_GAIN = 1 / 32


class _Contexts(threading.local):
    """zstd contexts are large and serve one thread at a time: each thread keeps one of a level."""

    def __init__(self) -> None:
        self.compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressor = zstandard.ZstdDecompressor()

    def compressor(self, level: int) -> zstandard.ZstdCompressor:
        if level not in self.compressors:
            self.compressors[level] = zstandard.ZstdCompressor(level, write_content_size=True)
        return self.compressors[level]


_contexts = _Contexts()


def compress(data: bytes | memoryview, level: int) -> bytes | None:
    """One zstd frame of `data`; None when that would save too little."""
    if len(data) >= _WORTH_GUESSING and not _promising(data):
        return None
    squeezed = _contexts.compressor(level).compress(data)
    return squeezed if len(squeezed) <= len(data) * (1 - _LEAST_GAIN) else None


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes of one frame. Raises Corrupt, whatever is wrong with it."""
    try:
        found = _contexts.decompressor.decompress(data, max_output_size=size)
    except zstandard.ZstdError as error:
        raise Corrupt(f"the bytes held cannot be decompressed ({error})") from None
    if len(found) != size:
        raise Corrupt(f"the bytes held decompress to {len(found)} bytes instead of {size}")
    return found


def _promising(data: bytes | memoryview) -> bool:
    """Whether any of four samples shrinks: 8 KiB at zstd's quickest cost a tenth of trying in earnest."""
    quick = _contexts.compressor(-1)
    step = (len(data) - _SAMPLE) // 3
    return any(
        len(quick.compress(data[at : at + _SAMPLE])) < _SAMPLE * (1 - _LEAST_GAIN)
        for at in range(0, len(data) - _SAMPLE + 1, step)
    )
