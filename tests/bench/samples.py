"""Content of three kinds, from what every machine that runs this has: text, machine code, random bytes."""

from __future__ import annotations

import random
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

_SEED = 22


def text(size: int) -> bytes:
    """Python source of the standard library and of what is installed beside it."""
    return _gather(size, lambda path: path.suffix == ".py")


def machine_code(size: int) -> bytes:
    """Shared objects, of the same places and of the system."""
    return _gather(size, lambda path: ".so" in path.suffixes)


def noise(size: int) -> bytes:
    """Random bytes."""
    return random.Random(_SEED).randbytes(size)


KINDS: dict[str, Callable[[int], bytes]] = {"text": text, "ELF": machine_code, "random": noise}


def _gather(size: int, wanted: Callable[[Path], bool]) -> bytes:
    """Files one after the other until there are `size` bytes, or there are no more. None comes twice."""
    parts: list[bytes] = []
    gathered = 0
    seen: set[tuple[int, int]] = set()
    for path in _files():
        if not wanted(path) or path.is_symlink() or not path.is_file():
            continue
        status = path.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        parts.append(path.read_bytes())
        gathered += len(parts[-1])
        if gathered >= size:
            break
    return b"".join(parts)[:size]


def _files() -> Iterator[Path]:
    places = [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")]
    for place in dict.fromkeys([*places, f"{sys.base_prefix}/lib", "/usr/lib"]):
        yield from sorted(Path(place).rglob("*"))
