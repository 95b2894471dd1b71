"""The sealed form of loose files: what a local store with a key ring writes in sealed domains.

Sealed files have a name of their own, so that nobody's plaintext passes for one. What a domain stored before
it was sealed stays readable as it is; what it stores since is sealed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.forms import Form, Source, StageForm
from registry.dataplane.drivers.plain import PLAIN
from registry.dataplane.drivers.port import LARGEST_PIECE, ObjectKey, OpenObject
from registry.dataplane.sealing import files
from registry.dataplane.sealing.floe import Message
from registry.dataplane.sealing.keyring import KeyRing
from registry.dataplane.sealing.staging import SealedStage, staged_length
from registry.dataplane.workers import Workers


class SealedObject:
    """An open blob: each segment is verified before it is given out. No sendfile: no descriptor."""

    fd: int | None = None

    def __init__(self, fd: int, message: Message, size: int, workers: Workers) -> None:
        self._file = fd
        self._message = message
        self._workers = workers
        self.size = size

    async def read(self, start: int, length: int) -> bytes:
        return await self._workers.run(
            lambda: files.read(self._file, self._message, self.size, start, length)
        )

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class SealedSource:
    """An open sealed file, from begin to end."""

    def __init__(self, fd: int, message: Message, size: int) -> None:
        self._file = fd
        self._message = message
        self._size = size
        self._at = 0

    def read(self, length: int) -> bytes:
        length = min(length, LARGEST_PIECE, self._size - self._at)
        data = files.read(self._file, self._message, self._size, self._at, length)
        self._at += length
        return data


class SealedForm:
    """Implements `Form`."""

    suffix = ".sealed"

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def stored(self, length: int) -> int:
        return files.stored_size(length)

    def length(self, stored: int) -> int:
        return files.content_size(stored)

    def staged(self, fd: int, stored: int) -> int:
        return staged_length(fd, stored)

    def stage(self, domain: DomainId, fd: int, stored: int) -> StageForm:
        return SealedStage(self._ring, domain, fd, stored)

    def object(self, key: ObjectKey, fd: int, stored: int, workers: Workers) -> OpenObject:
        return SealedObject(fd, *self._checked(key, fd, stored), workers)

    def source(self, key: ObjectKey, fd: int, stored: int) -> Source:
        return SealedSource(fd, *self._checked(key, fd, stored))

    def _checked(self, key: ObjectKey, fd: int, stored: int) -> tuple[Message, int]:
        size = files.content_size(stored)
        file = files.opened(self._ring, key.domain, fd)
        files.check_binding(file, bytes.fromhex(key.hex), size)
        return file.message, size


class SealedForms:
    """`Forms` of a store with a key ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._sealed = (SealedForm(ring), PLAIN)

    def of(self, domain: DomainId) -> Sequence[Form]:
        return self._sealed if self._ring.seals(domain) else (PLAIN,)
