"""Sealed stages through appends, failed writes and kills, beside a model that holds plain bytes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from registry.contract.dataplane import DEFAULT_DOMAIN
from registry.contract.digest import blake3_of
from registry.dataplane.drivers.port import Area, ObjectKey, Piece, StageKey
from registry.dataplane.drivers.staging import StageFile
from registry.dataplane.drivers.tree import Tree
from registry.dataplane.format import ensure_format
from registry.dataplane.sealing.files import CONTENT, offset_of
from registry.dataplane.sealing.form import SealedForm
from tests.dataplane.sealed import sealing

KEY = StageKey(DEFAULT_DOMAIN, "01234567-89ab-cdef-0123-456789abcdef")
_SIZES = (0, 1, 100, CONTENT - 1, CONTENT, CONTENT + 1, 2 * CONTENT + 7)


class History:
    """One stage and the bytes that it must hold."""

    def __init__(self, root: Path, chance: Random) -> None:
        ensure_format(root)
        self._tree = Tree(root)
        self._form = SealedForm(sealing(root))
        self._root = root
        self._chance = chance
        self._model = b""
        self._file = self._open()

    def _open(self) -> StageFile:
        return StageFile(self._tree, "boot", KEY, self._form)

    @property
    def _path(self) -> Path:
        return self._root / "staging" / "boot" / KEY.domain / f"{KEY.id}.sealed"

    def run(self) -> None:
        for _ in range(self._chance.randrange(1, 12)):
            pieces = [
                self._chance.randbytes(self._chance.choice(_SIZES)) for _ in range(self._chance.randrange(3))
            ]
            step = self._chance.choice((self._append, self._append, self._fail, self._kill, self._reopen))
            step(pieces)
            assert self._file.length == len(self._model)
            if self._model:
                start = self._chance.randrange(len(self._model))
                length = min(self._chance.randrange(1, 2 * CONTENT), len(self._model) - start)
                assert self._file.read(start, length) == self._model[start : start + length]
        self._commit()

    def _append(self, pieces: list[bytes]) -> None:
        self._file.write(pieces)
        self._model += b"".join(pieces)

    def _reopen(self, _: list[bytes]) -> None:
        self._file.close()
        self._file = self._open()

    def _fail(self, pieces: list[bytes]) -> None:
        """A full disk, which may have no room to put back what a failed write overwrote."""
        if any(pieces):
            with _failing(self._chance), pytest.raises(OSError):
                self._file.write(pieces)
            self._keep(self._file.length)

    def _kill(self, pieces: list[bytes]) -> None:
        """The process is killed within a write: of what it wrote a beginning is there."""
        before = self._path.read_bytes()
        begin = offset_of(len(self._model) // CONTENT) if self._model else 0
        self._file.write(pieces)
        self._file.close()
        after = self._path.read_bytes()
        done = begin + self._chance.randrange(len(after) - begin + 1)
        self._path.write_bytes(after[:done] + before[done:])
        self._file = self._open()
        whole = self._model + b"".join(pieces)
        if self._file.length > len(self._model):
            assert self._file.length == len(whole) or self._file.length % CONTENT == 0
            self._model = whole[: self._file.length]
        else:
            self._keep(self._file.length)

    def _keep(self, length: int) -> None:
        """Nothing is lost but, at worst, what was behind the last full segment."""
        assert length in (len(self._model), len(self._model) // CONTENT * CONTENT)
        self._model = self._model[:length]

    def _commit(self) -> None:
        address = blake3_of(self._model).hex()
        key = ObjectKey(Area.CONTENT, KEY.domain, address)
        self._file.commit(key)
        self._file.close()
        path = self._root / "content" / KEY.domain / address[:2] / f"{address}.sealed"
        with path.open("rb") as file:
            source = self._form.source(key, file.fileno(), path.stat().st_size)
            content = b""
            while part := source.read(1 << 20):
                content += part
        assert content == self._model
        self._tree.close()


@contextmanager
def _failing(chance: Random) -> Iterator[None]:
    """The disk takes the beginning of a write, fails the next one or more, and then has room again."""
    real, short, failures = os.pwritev, chance.random() < 0.6, chance.randrange(1, 4)

    def write(fd: int, buffers: Sequence[Piece], offset: int) -> int:
        nonlocal short, failures
        data = b"".join(bytes(buffer) for buffer in buffers)
        part = chance.randrange(len(data)) if short else 0
        short = False
        if part:
            return real(fd, [data[:part]], offset)
        if failures:
            failures -= 1
            raise OSError(errno.ENOSPC, "injected")
        return real(fd, [data], offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwritev", write)
        yield


@pytest.mark.parametrize("seed", range(60))
def test_a_stage_holds_what_it_was_given(tmp_path: Path, seed: int) -> None:
    History(tmp_path, Random(seed)).run()
