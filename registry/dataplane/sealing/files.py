"""Sealed files: loose objects and stages of sealed domains. FORMAT.md, "Sealed file", has their bytes.

A file is a head, which names the data key and binds the file to its address, and a FLOE message. Every
segment but the last is full, and the last, maybe empty, never is: so a file's size tells its content's.
"""

from __future__ import annotations

import hmac
import os
import struct
import zlib
from typing import NamedTuple

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import Corrupt, Permanent
from registry.dataplane.sealing.datakey import DataKey, expand
from registry.dataplane.sealing.floe import HEADER, OVERHEAD, Floe, Message
from registry.dataplane.sealing.keyring import KeyRing
from registry.dataplane.sealing.providers import KeyName
from registry.dataplane.sealing.xaes import Unauthentic

#: 64 KiB of content a segment: a range read opens at most two segments that it does not fill.
CONTENT = 64 << 10
SEGMENT = CONTENT + OVERHEAD

_FLOE = Floe(SEGMENT)
_MAGIC = b"artseal\n"
_HEAD = struct.Struct(f"<8s16sI32s{HEADER}s")
#: Bytes before the first segment.
HEAD = _HEAD.size
#: Where in the head the binding to the address lies.
BINDING = 28
_UNBOUND = bytes(32)


def stored_size(length: int) -> int:
    """Bytes of the file for `length` bytes of content."""
    return HEAD + length + (length // CONTENT + 1) * OVERHEAD


def content_size(stored: int) -> int:
    """The opposite. Raises Corrupt for sizes that no whole file has."""
    full, rest = divmod(stored - HEAD, SEGMENT)
    if rest < OVERHEAD or full < 0:
        raise Corrupt("a sealed file was cut off")
    return full * CONTENT + rest - OVERHEAD


def offset_of(segment: int) -> int:
    """Where a segment begins in the file."""
    return HEAD + segment * SEGMENT


class Begun(NamedTuple):
    """A new file: its message, its data key, and the head to write."""

    message: Message
    key: DataKey
    head: bytes


def begin(ring: KeyRing, domain: DomainId) -> Begun:
    """Raises Erased, Transient, Permanent, OSError."""
    key = ring.current(domain)
    message, header = _FLOE.begin(key.files, domain.encode("ascii"))
    return Begun(message, key, _HEAD.pack(_MAGIC, key.name.id, _sum(key.name.id), _UNBOUND, header))


class Opened(NamedTuple):
    """A file that is there: its message, its data key, and the binding as it stands in the head."""

    message: Message
    key: DataKey
    bound: bytes


def opened(ring: KeyRing, domain: DomainId, fd: int) -> Opened:
    """Read the head. Raises Corrupt, Erased, Transient, Permanent, OSError."""
    head = os.pread(fd, HEAD, 0)
    if len(head) != HEAD:
        raise Corrupt("a sealed file was cut off")
    magic, key_id, checksum, bound, header = _HEAD.unpack(head)
    if magic != _MAGIC or checksum != _sum(key_id):  # else a flipped bit would pass for a lost key
        raise Corrupt("the head of a sealed file is not the one that was written")
    key = ring.find(KeyName(domain, key_id))
    try:
        return Opened(_FLOE.open(key.files, domain.encode("ascii"), header), key, bound)
    except Unauthentic:
        raise Corrupt("the head of a sealed file is not the one that was written") from None


def binding(key: DataKey, message: Message, address: bytes, length: int) -> bytes:
    """What binds a file to the address and length of its content: no file passes for another."""
    return expand(key.addresses, message.iv + address + length.to_bytes(8, "little"))


def check_binding(file: Opened, address: bytes, length: int) -> None:
    """Raises Corrupt."""
    if not hmac.compare_digest(file.bound, binding(file.key, file.message, address, length)):
        raise Corrupt("a sealed file was cut off, or lies where another should be")


def read(fd: int, message: Message, size: int, start: int, length: int) -> bytes:
    """`length` bytes of the `size` bytes of content from `start`; opens only the segments that have them.

    Raises Corrupt, and Permanent when fewer are held.
    """
    if start + length > size:
        raise Permanent(f"only {size} bytes are held")
    if not length:
        return b""
    first, last = start // CONTENT, (start + length - 1) // CONTENT
    begin = offset_of(first)
    end = min(offset_of(last + 1), stored_size(size))
    data = memoryview(_pread(fd, begin, end - begin))
    final = size // CONTENT
    parts: list[bytes | memoryview] = []
    for number in range(first, last + 1):
        at = (number - first) * SEGMENT
        try:
            content = message.open(number, data[at : at + SEGMENT], number == final)
        except Unauthentic:
            raise Corrupt(f"segment {number} of a sealed file is not the one that was stored") from None
        skip = start - number * CONTENT if number == first else 0
        parts.append(memoryview(content)[skip : skip + length] if skip or len(content) > length else content)
        length -= len(parts[-1])
    return b"".join(parts)


def _sum(key_id: bytes) -> int:
    return zlib.crc32(_MAGIC + key_id)


def _pread(fd: int, start: int, length: int) -> bytes:
    data = os.pread(fd, length, start)
    while len(data) < length:
        more = os.pread(fd, length - len(data), start + len(data))
        if not more:
            raise Corrupt("a sealed file was cut off")
        data += more
    return data
