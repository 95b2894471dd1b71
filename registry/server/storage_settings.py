"""The settings of the bucket that content may live in, and what they mean to the data plane."""

# ruff: noqa: RUF009  (setting is dataclasses.field with our metadata, evaluated once like it)

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry.server.values import COUNT, DURATION, PATH, SECRET, SIZE, TEXT, URL, one_of, setting

if TYPE_CHECKING:
    from registry.dataplane import S3Settings

_CHAIN = "the SDK's own chain"


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the bytes of content live. All but `url` is for a bucket."""

    url: str | None = setting(
        None,
        URL,
        "s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path_style=BOOL keeps content in a bucket; endpoint, "
        "region and path_style may be left out.",
        none="files in the data folder",
        flag="--storage",
    )
    access_key: str | None = setting(None, TEXT, "Credentials. Goes with secret_key.", none=_CHAIN)
    secret_key: str | None = setting(
        None, SECRET, "Better in the environment or the file than on a command line.", none=_CHAIN
    )
    ca: Path | None = setting(
        None, PATH, "PEM file of the authorities to trust for the endpoint.", none="the system's"
    )
    storage_class: str | None = setting(
        None, TEXT, "Of content, such as STANDARD_IA; it must answer at once.", none="the bucket's"
    )
    sse: str | None = setting(
        None,
        one_of("aes256", "aws:kms"),
        "Encryption by the service: SSE-S3 or SSE-KMS.",
        none="the bucket's",
    )
    sse_key: str | None = setting(None, TEXT, "Key id for aws:kms.", none="the account's default key")
    lock_mode: str | None = setting(
        None,
        one_of("governance", "compliance"),
        "Puts content under Object Lock, so that not even this program deletes it for lock_days.",
    )
    lock_days: int = setting(0, COUNT, "How long, from the last time that content came in.")
    redirect_bytes: int | None = setting(
        None,
        SIZE,
        "Sends readers of blobs from this size on to presigned URLs: saves bandwidth here, and gives away "
        "the access check for redirect_for.",
        none="never",
    )
    redirect_for: float = setting(300.0, DURATION, "How long such a URL works.")
    redirect_endpoint: str | None = setting(
        None, URL, "The endpoint as clients reach it, where that is another.", none="the URL's endpoint"
    )


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
