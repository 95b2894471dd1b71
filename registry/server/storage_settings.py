"""What the settings of the bucket that content may live in mean to the data plane."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from registry.server.settings_groups import Storage

if TYPE_CHECKING:
    from registry.dataplane import S3Settings


def bucket_of(storage: Storage) -> S3Settings | None:
    """The bucket as the data plane takes it; None for files. Raises ValueError with a sentence."""
    if storage.url is None:
        return None
    # Late: a server on files starts without it.
    from registry.dataplane.drivers.s3 import settings as s3

    try:
        place = s3.bucket_of(storage.url)
    except ValueError as error:
        raise ValueError(f"storage.url cannot be used: {error}") from None
    if (storage.access_key is None) != (storage.secret_key is None):
        raise ValueError("storage.access_key and storage.secret_key go together; one of them is missing")
    if (storage.lock_mode is None) == bool(storage.lock_days):
        raise ValueError("storage.lock_mode and storage.lock_days go together; one of them is missing")
    if storage.sse_key is not None and storage.sse != "aws:kms":
        raise ValueError("storage.sse_key is for storage.sse aws:kms")
    return dataclasses.replace(
        place,
        ca=storage.ca,
        access_key=storage.access_key,
        secret_key=storage.secret_key,
        storage_class=storage.storage_class,
        sse="AES256" if storage.sse == "aes256" else storage.sse,
        sse_key=storage.sse_key,
        lock_mode=storage.lock_mode.upper() if storage.lock_mode else None,
        lock_days=storage.lock_days,
        redirect_bytes=storage.redirect_bytes,
        redirect_for=storage.redirect_for,
        redirect_endpoint=storage.redirect_endpoint,
    )
