"""The files that a push names, and the relative path each gets in the artifact.

A file is called by its own name, the files of a folder by their path inside it. What cannot be kept, or would
be kept as something else, is refused and not left out silently.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from oci.client.errors import ContentError
from registry.contract.package_rules import path_fault


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A regular file at `path` that is to be `relative_path` in the artifact."""

    path: Path
    relative_path: str


def collect(paths: Iterable[Path]) -> tuple[LocalFile, ...]:
    """All files below `paths`, by relative path. Raises ContentError."""
    found: dict[str, LocalFile] = {}
    for path in paths:
        for file in _below(path):
            other = found.setdefault(file.relative_path, file)
            if other != file:
                raise ContentError(
                    f"{other.path} and {file.path} would both be {file.relative_path!r}; "
                    "push the folder that holds both"
                )
    ordered = tuple(found[name] for name in sorted(found))
    for file in ordered:
        fault = path_fault(file.relative_path)
        if fault is not None:
            raise ContentError(f"{os.fsencode(file.path)!r} cannot be pushed: {fault}")
    parents = {name[:end] for name in found for end, letter in enumerate(name) if letter == "/"}
    for clash in parents & found.keys():
        raise ContentError(f"{clash!r} would be both a file and a folder of the artifact")
    return ordered


def _below(path: Path) -> Iterator[LocalFile]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ContentError(f"cannot read {path}: {error.strerror}") from None
    if stat.S_ISREG(mode):
        yield LocalFile(path, path.name)
    elif stat.S_ISDIR(mode):
        yield from _inside(path, "")
    else:
        raise ContentError(f"{path} is neither a file nor a folder")


def _inside(folder: Path, prefix: str) -> Iterator[LocalFile]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ContentError(f"cannot read {folder}: {error.strerror}") from None
    for entry in entries:
        path = folder / entry.name
        if entry.is_file():
            yield LocalFile(path, prefix + entry.name)
        elif entry.is_dir(follow_symlinks=False):
            yield from _inside(path, f"{prefix}{entry.name}/")
        elif entry.is_symlink():
            raise ContentError(f"{path} is a symbolic link to no file; an artifact holds files only")
        else:
            raise ContentError(f"{path} is neither a file nor a folder")
