"""Where a bucket is and how objects are kept in it. Nothing here needs the SDK."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

SCHEME = "s3"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*")


@dataclass(frozen=True, slots=True)
class S3Settings:
    """One bucket. Sizes are in bytes, times in seconds."""

    bucket: str
    prefix: str = ""
    """Comes before every key, so that several stores can share a bucket. Empty, or ends with `/`."""

    endpoint: str | None = None
    """URL of the service; None for the one that belongs to the region."""

    region: str | None = None
    path_style: bool | None = None
    """Whether the bucket is part of the path and not of the host name; None does so with an endpoint."""

    ca: Path | None = None
    """PEM file with the authorities to trust for the endpoint; None for the system's."""

    access_key: str | None = None
    secret_key: str | None = None
    """Both None leave credentials to the SDK's usual chain: environment, profile, role of the machine."""

    storage_class: str | None = None
    """Of content; uploads under way stay in the bucket's default, since they are gone in a moment."""

    restore_days: int = 7
    """How long a restored copy stays, where the storage class has objects restored first."""

    restore_tier: str = "Standard"
    """How fast, and for how much money: `Expedited`, `Standard` or `Bulk`."""

    sse: str | None = None
    """`AES256` (SSE-S3) or `aws:kms` (SSE-KMS); None leaves it to the bucket."""

    sse_key: str | None = None
    """Key id for `aws:kms`; None for the account's default key."""

    lock_mode: str | None = None
    """`GOVERNANCE` or `COMPLIANCE`: content is put under Object Lock for `lock_days`."""

    lock_days: int = 0
    redirect_bytes: int | None = None
    """Least size of blobs that `DataPlane.link` gives a presigned URL for; None for none."""

    redirect_for: float = 300.0
    """How long such a URL works."""

    redirect_endpoint: str | None = None
    """The endpoint as clients reach it, where that is another."""

    patience: float = 20.0
    """How long an operation is tried again while the service fails, before it counts as unavailable."""

    stall: int = 10
    """How long a deletion may be on its way, in whole seconds, until the service refuses it (permits.py)."""

    connections: int = 1024
    """Connections to the service. More requests at once wait for one, and a reader keeps one for as long as
    its client takes, so a few slow clients must not use them up."""


def bucket_of(url: str) -> S3Settings:
    """The settings that `s3://bucket/prefix?endpoint=…&region=…&path_style=…` names.

    Raises ValueError with a sentence. The sentence never repeats what may be a secret.
    """
    parts = urlsplit(url)
    if parts.scheme != SCHEME:
        raise ValueError("it must begin with s3://, as in s3://bucket/prefix?endpoint=https://host&region=x")
    if "@" in parts.netloc:
        raise ValueError("credentials do not belong into the URL; set access_key and secret_key")
    if not _BUCKET.fullmatch(parts.netloc):
        raise ValueError("it must name a bucket of 3 letters, digits, dots or hyphens at least: s3://bucket")
    prefix = unquote(parts.path).strip("/")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ValueError(
            "its prefix must be names of letters, digits and !_.*'()- with single slashes between"
        )
    try:
        given = dict(parse_qsl(parts.query, strict_parsing=True) if parts.query else ())
    except ValueError:
        raise ValueError("what follows its ? must be name=value, joined by &") from None
    unknown = given.keys() - {"endpoint", "region", "path_style"}
    if unknown:
        raise ValueError(
            f"it knows endpoint, region and path_style behind its ?, not {', '.join(sorted(unknown))}"
        )
    style = given.get("path_style")
    if style not in (None, "true", "false"):
        raise ValueError("path_style must be true or false")
    return S3Settings(
        bucket=parts.netloc,
        prefix=f"{prefix}/" if prefix else "",
        endpoint=given.get("endpoint"),
        region=given.get("region"),
        path_style=None if style is None else style == "true",
    )
