"""An entry of the ledger as JSON: the one document that the API answers with and the event stream carries."""

from __future__ import annotations

from typing import Any

from registry.contract.model import LedgerEvent
from registry.contract.timestamps import rfc3339


def event_document(event: LedgerEvent) -> dict[str, Any]:
    """`{seq, time, kind, actor, scope, subject, data}`; times are RFC 3339, digests text."""
    return {
        "seq": event.seq,
        "time": rfc3339(event.time),
        "kind": event.kind,
        "actor": event.actor,
        "scope": event.scope,
        "subject": event.subject,
        "data": dict(event.data),
    }
