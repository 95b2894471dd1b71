"""Inputs in successive versions: what a store that deduplicates is for."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

MIB = 1 << 20

#: Ten patch releases in a row, nearly all of it text.
RELEASES = ("django", ("5.1", *(f"5.1.{number}" for number in range(1, 10))))


def releases(folder: Path, package: str = RELEASES[0], versions: Sequence[str] = RELEASES[1]) -> list[Path]:
    """The trees of a package's releases as tars, names sorted and without times. Needs the network once.

    Raises CalledProcessError when pip cannot have one.
    """
    found = []
    for version in versions:
        tar = folder / f"{package}-{version}.tar"
        if not tar.exists():
            _tar(_wheel(folder / "wheels", package, version), tar)
        found.append(tar)
    return found


def _wheel(folder: Path, package: str, version: str) -> Path:
    where = folder / version
    if not where.exists():
        words = ("download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(where))
        subprocess.run([sys.executable, "-m", "pip", *words, f"{package}=={version}"], check=True)
    (wheel,) = where.glob("*.whl")
    return wheel


def _tar(wheel: Path, tar: Path) -> None:
    part = tar.with_suffix(".part")
    with zipfile.ZipFile(wheel) as source, tarfile.open(part, "w") as target:
        for name in sorted(source.namelist()):
            member = tarfile.TarInfo(name)
            member.size = source.getinfo(name).file_size
            with source.open(name) as stream:
                target.addfile(member, stream)
    part.rename(tar)


def inserts(folder: Path, size: int = 64 * MIB, count: int = 64) -> list[Path]:
    """Random bytes, and the same with `count` single bytes put in at places by chance."""
    chance = random.Random(20)
    base = chance.randbytes(size)
    places = sorted(chance.randrange(size) for _ in range(count))
    edges = [0, *places, size]
    pieces = [base[start:end] for start, end in pairwise(edges)]
    versions = (base, b"\x00".join(pieces))
    return [_write(folder / f"inserts-{number}", [data]) for number, data in enumerate(versions)]


def tensors(folder: Path, blocks: int = 16, scale: int = 1, part: float = 0.05) -> list[Path]:
    """Two files in the form of safetensors, of which `part` of the tensors differ.

    Each block has the nine tensors of a transformer's: seven matrices of 1 to 2.75 MiB at `scale` 1, and two
    norms of 4 KiB. The values are random bytes, which nothing compresses.
    """
    shapes = [MIB] * 4 + [11 * MIB // 4] * 3 + [4096] * 2
    sizes = [size * scale for _ in range(blocks) for size in shapes]
    changed = set(random.Random(21).sample(range(len(sizes)), round(len(sizes) * part)))
    return [
        _write(folder / f"tensors-{version}", _safetensors(sizes, changed if version else set()))
        for version in range(2)
    ]


def changed_tensor_bytes(first: Path, second: Path) -> int:
    """Bytes of the tensors that differ: what the second version cannot do without."""
    return sum(len(a) for a, b in zip(_tensors_of(first), _tensors_of(second), strict=True) if a != b)


def _safetensors(sizes: Sequence[int], changed: set[int]) -> Iterator[bytes]:
    header: dict[str, object] = {}
    at = 0
    for number, size in enumerate(sizes):
        place = [at, at + size]
        header[f"tensor.{number}"] = {"dtype": "BF16", "shape": [size // 2], "data_offsets": place}
        at += size
    text = json.dumps(header).encode()
    yield len(text).to_bytes(8, "little") + text
    for number, size in enumerate(sizes):
        yield random.Random(1000 + number + (10**6 if number in changed else 0)).randbytes(size)


def _tensors_of(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        for tensor in header.values():
            start, end = tensor["data_offsets"]
            yield stream.read(end - start)


def _write(path: Path, pieces: Sequence[bytes] | Iterator[bytes]) -> Path:
    if not path.exists():
        with path.open("wb") as sink:
            sink.writelines(pieces)
    return path
