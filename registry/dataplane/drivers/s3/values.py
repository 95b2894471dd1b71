"""What passes between the bucket and who works with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import NamedTuple

from registry.dataplane.drivers.port import Standing


class Body(NamedTuple):
    """Bytes to send: `data` is sent from its beginning, and `crc32` is the checksum of all of it."""

    data: BytesIO
    crc32: str

    @property
    def size(self) -> int:
        with self.data.getbuffer() as buffer:
            return buffer.nbytes


@dataclass(frozen=True, slots=True)
class Head:
    """What the bucket says of an object. `version` is None where nothing keeps versions."""

    size: int
    etag: str
    version: str | None
    writer: str | None
    held: str | None
    """Why Object Lock keeps it, in words; None when it does not."""
    held_until: datetime | None
    standing: Standing
    """Whether it can be read, by its storage class and what was restored."""


class Signed(NamedTuple):
    """A request as a URL, signed `at` this machine's clock, to the second."""

    url: str
    at: datetime


class Listed(NamedTuple):
    """An object of a listing; `touched` in microseconds since the epoch."""

    key: str
    size: int
    etag: str
    touched: int


class Version(NamedTuple):
    """A version of an object, or a `marker` that it was deleted."""

    key: str
    id: str
    marker: bool


class Unfinished(NamedTuple):
    """A multipart upload that was begun; `begun` in microseconds since the epoch."""

    key: str
    upload: str
    begun: int


class Source(NamedTuple):
    """Bytes `start` to `end` (exclusive) of an object that has this etag and is `size` bytes long."""

    key: str
    etag: str
    size: int
    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Examination:
    """What is known of a bucket: `text` for what works, `notices` for what somebody should know."""

    text: str
    notices: tuple[str, ...] = ()
