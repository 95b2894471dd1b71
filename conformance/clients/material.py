"""What is pushed: a folder of a hundred files, one big file, a small image. The same bytes in every run."""

import hashlib
import random
from pathlib import Path

MIB = 1 << 20


def hundred_files(folder: Path) -> Path:
    """A hundred files in nested folders: empty, alike, and with names that need care among them."""
    chance = random.Random(100)
    special = {
        "empty": b"",
        "twin-a.txt": b"the same bytes under two names",
        "deep/er/twin-b.txt": b"the same bytes under two names",
        "with space/naïve ключ.txt": b"names are UTF-8",
        "plus+and=equals@at.txt": b"signs",
        "one-mib.bin": chance.randbytes(MIB),
    }
    plain = {f"run/{n % 7}/part-{n:03}.log": chance.randbytes(chance.randrange(1, 40_000)) for n in range(94)}
    for name, content in (special | plain).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def big_file(path: Path, mib: int) -> Path:
    """One file of so many MiB that neither compresses nor repeats."""
    chance = random.Random(mib)
    with path.open("wb") as sink:
        for _ in range(mib):
            sink.write(chance.randbytes(MIB))
    return path


def digests(folder: Path) -> dict[str, str]:
    """relative path → sha256 of every file below `folder`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def sha256(path: Path) -> str:
    """The digest of a file's bytes, `sha256:<hex>`."""
    with path.open("rb") as source:
        return f"sha256:{hashlib.file_digest(source, 'sha256').hexdigest()}"


def names(folder: Path) -> list[str]:
    """The relative paths of the files below `folder`, sorted."""
    return list(digests(folder))
