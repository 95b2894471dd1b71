"""From checked names to keys in the bucket, and back. The tree is that of a local store where both have it.

<prefix>FORMAT                                  format version of the store (opening.py)
<prefix>LOCATION                                the name of the location, where the store is no primary one
<prefix>permit                                  who may delete (permits.py)
<prefix>content/<domain>/<hex[:2]>/<hex>        blobs: whole, immutable, named by their BLAKE3
<prefix>quarantine/<domain>/<hex[:2]>/<hex>     what was found corrupt, kept for a person to look at
<prefix>uploads/<domain>/<id>/<offset>          segments of a stage; <offset> in 16 decimal digits
<prefix>uploads/<domain>/<id>/empty             a stage that was made and has no byte yet
<prefix>uploads/<domain>/<id>/joined-<n>        segments joined on the way to content of very many
<prefix>ledger/…                                archives of others than the driver (archives/s3.py)
<prefix>probe/<id>                              what readiness and `doctor` write and delete
"""

from __future__ import annotations

from typing import NamedTuple

from registry.contract.dataplane import DomainId
from registry.dataplane.drivers.port import Area, ObjectKey, StageKey
from registry.dataplane.paths import is_address, is_domain, is_stage, object_place

_UPLOADS = "uploads/"
_OFFSET_DIGITS = 16


class StagePart(NamedTuple):
    """What an object below `uploads/` is: `offset` is None for all but segments."""

    stage: StageKey
    offset: int | None


class Keys:
    """The keys of one store."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.format = f"{prefix}FORMAT"
        self.location = f"{prefix}LOCATION"
        self.permit = f"{prefix}permit"
        self.uploads = f"{prefix}{_UPLOADS}"
        #: Below these lies what multipart uploads make.
        self.joined = (*(f"{prefix}{area.value}/" for area in Area), self.uploads)

    def object(self, key: ObjectKey) -> str:
        path, name = object_place(key)
        return self._prefix + "/".join((*path, name))

    def area(self, area: Area, domain: DomainId | None = None) -> str:
        """What the keys of an area's objects begin with."""
        return f"{self._prefix}{area.value}/" + (f"{domain}/" if domain is not None else "")

    def object_at(self, area: Area, key: str) -> ObjectKey | None:
        """The object with that key; None for keys that are no object's of that area."""
        domain, _, rest = key.removeprefix(self.area(area)).partition("/")
        shard, _, address = rest.partition("/")
        if not (is_domain(domain) and is_address(address) and address.startswith(shard) and len(shard) == 2):
            return None
        return ObjectKey(area, DomainId(domain), address)

    def stage(self, stage: StageKey) -> str:
        """What everything of a stage begins with."""
        return f"{self.uploads}{stage.domain}/{stage.id}/"

    def segment(self, stage: StageKey, offset: int) -> str:
        return f"{self.stage(stage)}{offset:0{_OFFSET_DIGITS}d}"

    def empty(self, stage: StageKey) -> str:
        return f"{self.stage(stage)}empty"

    def joined_at(self, stage: StageKey, number: int) -> str:
        return f"{self.stage(stage)}joined-{number}"

    def part_at(self, key: str) -> StagePart | None:
        """What a key below `uploads/` is; None when it is none of ours."""
        domain, _, rest = key.removeprefix(self.uploads).partition("/")
        identifier, _, name = rest.partition("/")
        if not (is_domain(domain) and is_stage(identifier) and name):
            return None
        segment = len(name) == _OFFSET_DIGITS and name.isascii() and name.isdigit()
        return StagePart(StageKey(DomainId(domain), identifier), int(name) if segment else None)

    def probe(self, identifier: str) -> str:
        return f"{self._prefix}probe/{identifier}"
