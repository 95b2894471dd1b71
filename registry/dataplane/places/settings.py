"""What a place beside the primary is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from registry.contract.dataplane import Place
from registry.dataplane.drivers.folder.settings import FolderSettings
from registry.dataplane.drivers.s3.settings import S3Settings

#: A folder on a disk that answers at once, one that has to be fetched from, or a bucket.
Medium = Path | FolderSettings | S3Settings


@dataclass(frozen=True, slots=True)
class Secondary:
    """A place and its medium."""

    place: Place
    medium: Medium
