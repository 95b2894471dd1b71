"""The big files that are pushed: random bytes, made once a run."""

import os
from dataclasses import dataclass
from pathlib import Path

_PIECE = 1 << 20


@dataclass(frozen=True)
class Material:
    """One big file, and several smaller ones."""

    big: Path
    parts: tuple[Path, ...]


def material(folder: Path, big_mib: int, part_mib: int, parts: int) -> Material:
    """Make the files in `folder`, or take them as they are there."""
    return Material(
        _random(folder / "big", big_mib),
        tuple(_random(folder / f"part-{number}", part_mib) for number in range(parts)),
    )


def _random(path: Path, mib: int) -> Path:
    if not path.exists() or path.stat().st_size != mib * _PIECE:
        with path.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(_PIECE))
    return path
