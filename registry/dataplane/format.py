"""The store's format version: written when a store is made, checked whenever one is opened."""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from registry.contract.errors import ErrorKind, StoreError

#: 1: loose blobs only. 2: packs and their index, of which a program that knows only 1 would see nothing.
FORMAT = 2
NAME = "FORMAT"
_LINE = re.compile(r"artifact-store data plane, format ([0-9]{1,9})\n")


def ensure_format(root: Path) -> int:
    """Check the format file of the store at `root`, or make it (durably) in a folder that holds no store yet.

    Returns the format found. The file comes before the first folder of a store, so content without it is a
    store that lost it. Raises INTERNAL for an unknown format, with what to do.
    """
    try:
        text = (root / NAME).read_text("ascii", errors="replace")
    except FileNotFoundError:
        if (root / "content").exists():
            raise StoreError(
                ErrorKind.INTERNAL,
                f"{root} holds content but no file {NAME}; put that file back from a backup, or choose an "
                "empty folder for a new store",
            ) from None
        _write(root)
        return FORMAT
    found = _LINE.fullmatch(text)
    if found is None:
        raise StoreError(
            ErrorKind.INTERNAL, f"{root / NAME} is damaged; put it back from a backup of the store"
        )
    if int(found[1]) > FORMAT:
        raise StoreError(
            ErrorKind.INTERNAL,
            f"the store at {root} has format {found[1]} and this program knows up to {FORMAT}; open it with "
            "the artifact-store version that wrote it, or a newer one",
        )
    return int(found[1])


def raise_format(root: Path) -> None:
    """Make the store at `root` one of this format, durably, before anything is written that needs it."""
    if ensure_format(root) < FORMAT:
        _write(root, replace=True)


def _write(root: Path, *, replace: bool = False) -> None:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # others may make the same store; the close lets them on
        if not replace and (root / NAME).exists():
            return
        temporary = root / f".{NAME}"  # always the same name: what a crash left here is overwritten
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(temporary, flags, 0o600)
        try:
            os.write(fd, f"artifact-store data plane, format {FORMAT}\n".encode("ascii"))
            os.fsync(fd)
        finally:
            os.close(fd)
        temporary.replace(root / NAME)
        os.fsync(folder)
    finally:
        os.close(folder)
