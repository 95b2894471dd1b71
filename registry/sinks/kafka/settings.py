"""What a URL says of a topic: `kafka://[USER:PASSWORD@]HOST[:PORT][,HOST…]/TOPIC[?OPTION=VALUE&…]`.

| Option | |
|---|---|
| `format` | `json` (default) or `cbor`, the ledger's own bytes |
| `partitions`, `copies` | of a topic that is made where there is none; 1 each |
| `sasl` | `plain` (default), `scram-sha-256` or `scram-sha-512`, where there is a user |
| `ca`, `cert`, `key` | PEM files for `kafka+tls://`: authorities to trust, a client certificate and its key |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from registry.contract.errors import ErrorKind, StoreError

_T = TypeVar("_T")

_PORT = 9092
#: What a broker takes as the name of a topic (Kafka, `org.apache.kafka.common.internals.Topic`).
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")
_MECHANISMS = {"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512"}
_FORMATS = {"json": False, "cbor": True}


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """One topic. `servers` are `host:port`."""

    servers: tuple[str, ...]
    topic: str
    tls: bool = False
    user: str | None = None
    password: str = field(default="", repr=False)
    mechanism: str = "PLAIN"
    #: The ledger's CBOR in binary mode instead of JSON in structured mode.
    cbor: bool = False
    #: How a topic is made where there is none.
    partitions: int = 1
    copies: int = 1
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @classmethod
    def of(cls, url: str) -> KafkaSettings:
        """Read a URL. Raises StoreError BAD_REQUEST with a sentence that names no secret."""
        parts = urlsplit(url)
        who, _, where = parts.netloc.rpartition("@")
        user, _, password = who.partition(":")
        servers = tuple(_with_port(place) for place in where.split(",") if place)
        topic = unquote(parts.path.strip("/"))
        if not servers:
            raise _wrong("names no broker; write kafka://HOST:9092/TOPIC")
        if not _TOPIC.fullmatch(topic):
            raise _wrong("needs a topic of letters, digits, '.', '_' and '-'; write kafka://HOST:9092/TOPIC")
        options = _options(parts.query)
        return cls(
            servers,
            topic,
            tls=parts.scheme.lower() == "kafka+tls",
            user=unquote(user) or None,
            password=unquote(password),
            mechanism=_take(options, "sasl", "plain", _MECHANISMS.get, " or ".join(_MECHANISMS)),
            cbor=_take(options, "format", "json", _FORMATS.get, "json or cbor"),
            partitions=_take(options, "partitions", "1", _count, "a number from 1"),
            copies=_take(options, "copies", "1", _count, "a number from 1"),
            ca=_path(options.get("ca")),
            cert=_path(options.get("cert")),
            key=_path(options.get("key")),
        )


def _with_port(place: str) -> str:
    host, colon, port = place.rpartition(":")
    if colon and port.isdigit():
        return place
    if colon and not place.endswith("]"):
        raise _wrong(f"has a broker whose port is no number: {host or place}")
    return f"{place}:{_PORT}"


def _options(query: str) -> Mapping[str, str]:
    found = dict(parse_qsl(query, keep_blank_values=True))
    known = ("ca", "cert", "copies", "format", "key", "partitions", "sasl")
    for name in found:
        if name not in known:
            raise _wrong(f"has an option that nobody knows: {name}; there are {', '.join(known)}")
    return found


def _take(
    options: Mapping[str, str], name: str, default: str, read: Callable[[str], _T | None], wanted: str
) -> _T:
    value = read(options.get(name, default).lower())
    if value is None:
        raise _wrong(f"has an option {name} that is not {wanted}")
    return value


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() and 0 < int(text) <= 32_767 else None


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def _wrong(reason: str) -> StoreError:
    return StoreError(ErrorKind.BAD_REQUEST, f"the URL for Kafka {reason}")
