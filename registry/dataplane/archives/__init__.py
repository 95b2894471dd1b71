"""Where archives are: the folder `ledger` of a local store, or the objects below `ledger/` in a bucket."""

from __future__ import annotations

from pathlib import Path

from registry.contract.archive import Archive
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.archives.folder import FolderArchive
from registry.dataplane.drivers.s3.settings import S3Settings

__all__ = ["bucket_archive", "folder_archive"]


def folder_archive(root: Path) -> Archive:
    """The archive in the folder of a local store."""
    return FolderArchive(root)


def bucket_archive(where: S3Settings) -> Archive:
    """The archive beside content in a bucket. Raises StoreError INTERNAL without the SDK."""
    try:
        # Late, as everywhere: only who asks for a bucket needs the SDK installed.
        from registry.dataplane.archives.s3 import BucketArchive
    except ImportError as error:
        raise StoreError(
            ErrorKind.INTERNAL, f"storage on S3 needs `pip install artifact-store[s3]` ({error})"
        ) from None
    return BucketArchive(where)
