"""The mark of a location: says which one it is, so that no other and no empty place passes for it.

An empty folder where a disk should be mounted, or another prefix, holds nothing, and everything that had been
moved there would be absent. So a location is prepared once, and used only where its mark is.
"""

from __future__ import annotations

import os
from pathlib import Path

from registry.contract.errors import ErrorKind, StoreError

NAME = "LOCATION"
#: Bytes.
LONGEST_MARKER = 200


def marker_of(location: str) -> bytes:
    return f"artifact-store location {location}\n".encode()


def check_marker(found: bytes | None, location: str, where: str) -> None:
    """Raises UNAVAILABLE without a mark, and INTERNAL for another location's."""
    if found is None:
        raise StoreError(
            ErrorKind.UNAVAILABLE,
            f"{where} has no {NAME}: mount it, or say that it is the right place by "
            f"`artifact-store locations prepare {location}`",
        )
    if found != marker_of(location):
        raise StoreError(
            ErrorKind.INTERNAL, f"{where} is not the location {location}: its {NAME} has another name"
        )


def check_folder(root: Path, location: str) -> None:
    """The same for a folder. Raises OSError as well."""
    check_marker(_read(root), location, str(root))


def prepare_folder(root: Path, location: str) -> None:
    """Make the folder of a location, durably. Raises StoreError CONFLICT for what holds something else."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = _read(root)
    if found is not None:
        check_marker(found, location, str(root))
        return
    strange = sorted(entry.name for entry in root.iterdir() if entry.name != "lost+found")
    if strange:
        raise StoreError(
            ErrorKind.CONFLICT,
            f"{root} holds {strange[0]} and is not a location; name an empty folder for {location}",
        )
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(NAME, flags, 0o600, dir_fd=folder)
        try:
            os.write(fd, marker_of(location))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(root: Path) -> bytes | None:
    try:
        with (root / NAME).open("rb") as file:
            return file.read(LONGEST_MARKER)
    except FileNotFoundError:
        return None
