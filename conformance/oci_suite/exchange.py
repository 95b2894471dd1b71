"""One request and its response, and how they are told to a person."""

from dataclasses import dataclass

import httpx

# what a reader needs to judge an answer; everything else is noise in a report
TELLING = (
    "content-type",
    "content-length",
    "content-range",
    "location",
    "range",
    "docker-content-digest",
    "oci-subject",
    "oci-tag",
    "oci-filters-applied",
    "link",
)


@dataclass(frozen=True)
class Request:
    """What was sent; `size` is the body's length, or None when it was streamed in pieces."""

    method: str
    target: str
    headers: httpx.Headers
    size: int | None

    def __str__(self) -> str:
        size = "streamed body" if self.size is None else f"{self.size} bytes" if self.size else ""
        shown = [f"{name}: {value}" for name, value in self.headers.items() if name in SENT]
        return " | ".join([f"{self.method} {_short(self.target)}", *shown, *([size] if size else [])])


SENT = ("content-type", "content-range", "range", "if-none-match", "if-range", "expect")


@dataclass(frozen=True)
class Exchange:
    """A request with the answer it got."""

    request: Request
    status: int
    headers: httpx.Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """A header's value; None where it is missing, several lines joined by commas."""
        value = self.headers.get(name)
        return None if value is None else str(value)

    def __str__(self) -> str:
        shown = [f"{name}: {_short(value)}" for name, value in self.headers.items() if name in TELLING]
        text = self.body[:300].decode("utf-8", "replace").strip() if self.status >= 400 else ""
        return " | ".join([str(self.status), *shown, *([text] if text else [])])


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:160]}…({len(text)} characters)"
