"""Entries of the ledger as CloudEvents 1.0.2, in its JSON format or with the ledger's own CBOR as data.

| Attribute         | Here |
|-------------------|------|
| `id`              | `<seq>-<32 hex>`: the place, and half of the leaf hash, SHA-256(0x00 ‖ envelope) |
| `source`          | the ledger, `urn:uuid:…` made from the leaf hash of its first entry, unless one is set |
| `type`            | `dev.artifact-store.` and the kind |
| `subject`         | `repository:tag`, `repository@digest`, `repository`, or what else it is about |
| `time`            | the entry's, RFC 3339 with microseconds |
| `datacontenttype` | `application/json`, or `application/cbor` for the envelope's very bytes |
| `sequence`        | the seq in 16 digits, whose order as text is the ledger's (sequence extension) |

The id is made from the entry's bytes, so that it is the same each time the entry is sent, and no other
ledger, nor one that went another way after a restore, has it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from registry.contract.event_json import event_document
from registry.contract.model import LedgerEvent
from registry.contract.timestamps import rfc3339
from registry.contract.tlog.merkle import leaf_hash

JSON_EVENT = "application/cloudevents+json"
TYPE_PREFIX = "dev.artifact-store."
_SPEC = "1.0"
_SEQUENCE_DIGITS = 16


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One entry with its context attributes."""

    id: str
    source: str
    type: str
    subject: str | None
    time: str
    sequence: str
    event: LedgerEvent


def source_of(first: bytes) -> str:
    """The name of the ledger that begins with the envelope `first`: an absolute URI, the same for ever."""
    number = int.from_bytes(leaf_hash(first)[:16])
    # RFC 9562 section 5.8, by hand: Python knows version 8 from 3.14 on.
    number = number & ~(0xF << 76) & ~(0b11 << 62) | 8 << 76 | 0b10 << 62
    return uuid.UUID(int=number).urn


def cloud_event(event: LedgerEvent, source: str) -> CloudEvent:
    """The entry as an event from `source`."""
    return CloudEvent(
        id=f"{event.seq}-{leaf_hash(event.envelope).hex()[:32]}",
        source=source,
        type=TYPE_PREFIX + event.kind,
        subject=_subject(event),
        time=rfc3339(event.time),
        sequence=f"{event.seq:0{_SEQUENCE_DIGITS}d}",
        event=event,
    )


def structured(event: CloudEvent) -> bytes:
    """The JSON format: UTF-8, attributes and data in one object, of the media type JSON_EVENT."""
    document = {
        **attributes(event),
        "datacontenttype": "application/json",
        "data": event_document(event.event),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def binary(event: CloudEvent) -> tuple[Mapping[str, str], bytes]:
    """The binary mode of the HTTP and NATS bindings: `ce-` header fields, and the CBOR envelope as data."""
    headers = {f"ce-{name}": _header(value) for name, value in attributes(event).items()}
    return {**headers, "content-type": "application/cbor"}, event.event.envelope


def attributes(event: CloudEvent) -> dict[str, str]:
    """The context attributes by their names, without the data's content type."""
    subject = {} if event.subject is None else {"subject": event.subject}
    return {
        "specversion": _SPEC,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        **subject,
        "time": event.time,
        "sequence": event.sequence,
    }


def _header(value: str) -> str:
    """Percent-encoded where the bindings want it (section 3.1.3.2): printable ASCII but `"` and `%` stays."""
    return "".join(
        letter if "!" <= letter <= "~" and letter not in '"%' else _percent(letter) for letter in value
    )


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode())


def _subject(event: LedgerEvent) -> str | None:
    if event.scope is None or event.subject is None:
        return event.scope or event.subject
    # A digest has a colon, a tag has none.
    return f"{event.scope}{'@' if ':' in event.subject else ':'}{event.subject}"
