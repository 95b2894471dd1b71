"""What a recovery did, or would do."""

from __future__ import annotations

from dataclasses import dataclass, field

from registry.contract.dataplane import DomainId
from registry.contract.digest import Digest

#: Contents that are named one by one; more are only counted.
MOST_NAMED = 1000


@dataclass(frozen=True, slots=True)
class Orphan:
    """Bytes that no event names. `manifest` says what they are where they read as a manifest."""

    domain: DomainId
    address: Digest
    size: int
    manifest: str | None = None


@dataclass(slots=True)
class Recovered:
    """`events` are those of the checkpoint. `present` contents are in storage, `missing` are not.

    With `faults` nothing was written. `aside` are objects of the export that no checkpoint covered.
    """

    origin: str = ""
    events: int = 0
    signed_by: str | None = None
    replayed: int = 0
    manifests: int = 0
    contents: int = 0
    present: int = 0
    present_bytes: int = 0
    missing: list[tuple[DomainId, Digest]] = field(default_factory=list)
    missing_count: int = 0
    orphans: list[Orphan] = field(default_factory=list)
    orphan_count: int = 0
    orphan_bytes: int = 0
    followers: int = 0
    aside: int = 0
    faults: list[str] = field(default_factory=list)
    step: str = "reading the export"
