"""Query parameters as an operation's row has them: unknown, repeated and malformed ones are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from native_api.table.operation import Operation
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.package_rules import check_variant

_FIELD = re.compile(r"(?:label|metadata)\..+", re.DOTALL)
_INTEGER = re.compile(r"0|[1-9][0-9]{0,15}")
#: RFC 3339 section 5.6; a space before the offset is a "+" that somebody forgot to encode.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d+)?(?:([Zz])|([+\- ])(\d\d:\d\d))", re.ASCII)
_MOST_FIELDS = 32


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of one request; `fields` are those that search for labels and metadata."""

    values: dict[str, str]
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def limit(self) -> int:
        """Items on a page, 100 unless told, 1 to 1000."""
        return self.integer("limit", 1, 1000, 100)

    @property
    def after(self) -> str | None:
        after = self.values.get("after")
        if after == "":
            raise _refused("after", "must not be empty; leave it out for the first page")
        return after

    def text(self, name: str) -> str | None:
        """A parameter that must not be empty."""
        value = self.values.get(name)
        if value == "":
            raise _refused(name, "must not be empty")
        return value

    def variant(self, name: str) -> str | None:
        """The name of a kind of package."""
        value = self.values.get(name)
        try:
            return check_variant(value) if value is not None else None
        except StoreError as error:
            raise _refused(name, f"is refused: {error.message}") from None

    def integer(self, name: str, least: int, most: int, default: int) -> int:
        text = self.values.get(name)
        if text is None:
            return default
        if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
            raise _refused(name, f"is a number from {least} to {most}")
        return int(text)

    def time(self, name: str) -> int | None:
        """RFC 3339 as microseconds since the epoch."""
        text = self.values.get(name)
        return parse_time(text, name) if text is not None else None


def read_query(pairs: Sequence[tuple[str, str]], operation: Operation) -> Query:
    """Raises StoreError BAD_REQUEST for what `operation` does not take, and for what stands twice."""
    values: dict[str, str] = {}
    fields: list[tuple[str, str]] = []
    for name, value in pairs:
        if "\0" in name or "\0" in value:  # PostgreSQL holds none, and nothing is called by one
            raise _refused(name.replace("\0", ""), "holds a NUL")
        if operation.takes_fields and _FIELD.fullmatch(name):
            fields.append((name, value))
        elif name not in operation.query_names:
            fields_too = ("label.KEY", "metadata.PATH") if operation.takes_fields else ()
            known = ", ".join((*sorted(operation.query_names), *fields_too)) or "none"
            raise StoreError(
                ErrorKind.BAD_REQUEST, f"unknown query parameter {name[:64]!a}; known here are {known}"
            )
        elif name in values:
            raise _refused(name, "stands twice")
        else:
            values[name] = value
    if len(fields) > _MOST_FIELDS:
        raise StoreError(ErrorKind.BAD_REQUEST, f"at most {_MOST_FIELDS} labels and metadata paths")
    return Query(values, tuple(fields))


def parse_time(text: str, name: str) -> int:
    """RFC 3339 as microseconds since the epoch, finer fractions cut off. Raises StoreError BAD_REQUEST."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise _refused(name, "is a time such as 2026-01-31T12:00:00Z")
    day, clock, fraction, zulu, sign, offset = match.groups()
    zone = "+00:00" if zulu else f"{'-' if sign == '-' else '+'}{offset}"
    micros = int((fraction or ".0")[1:7].ljust(6, "0"))
    try:
        # A leap second is written :60 and read as the last one that datetime knows.
        clock = f"{clock[:-2]}59" if clock.endswith(":60") else clock
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
        delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _refused(name, "is a time such as 2026-01-31T12:00:00Z") from None
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + micros


def _refused(name: str, message: str) -> StoreError:
    return StoreError(ErrorKind.BAD_REQUEST, f"query parameter '{name}' {message}")


def read_sequence(text: str) -> int:
    """A `Last-Event-ID`. Raises StoreError BAD_REQUEST."""
    if not _INTEGER.fullmatch(text):
        raise StoreError(ErrorKind.BAD_REQUEST, "Last-Event-ID is the seq of an event")
    return int(text)
