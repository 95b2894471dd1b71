"""From checked names to places in the tree. Only a digest's own hex and checked ids ever become a path.

    <root>/
      FORMAT                              format version of the store (format.py)
      content/<domain>/<hex[:2]>/<hex>    loose blobs: whole, immutable, named by their BLAKE3
      quarantine/<domain>/<hex[:2]>/<hex> what was found corrupt, kept for a person to look at
      staging/<boot>/<domain>/<id>        what an upload has sent so far; <boot> is the kernel's boot id,
                                          see drivers/staging.py
      …/<hex>.sealed, …/<id>.sealed       the same in sealed domains, see sealing/files.py
      packs/<domain>/<id>.pack            many records in one file (FORMAT.md); <id> is a UUID in 32 digits
      packs/SESSION                       which index belongs to these packs (packs/session.py)
      index/content.sqlite                where in the packs what is; made again from the packs when lost
      index/open, change, maintain        empty files to lock, see index/locks.py
      index/permit                        who may delete just now, see drivers/taking.py
      keys/<domain>/<id>.key              data keys of sealed domains, wrapped; <id> are 32 digits
      keys/<domain>/destroyed             says that they were destroyed
      ledger/…                            archives of others than the drivers, see archives/folder.py

Folders are 0700, files 0600.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from registry.contract.dataplane import DomainId, Stage
from registry.contract.digest import Algorithm, Digest
from registry.contract.errors import ErrorKind, StoreError
from registry.dataplane.drivers.port import Area, ObjectKey, StageKey

_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ADDRESS = re.compile(r"[0-9a-f]{64}")
_STAGE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

#: Folder (relative to the root) and file name.
Place = tuple[tuple[str, ...], str]

STAGING = "staging"
PACKS = "packs"
INDEX = "index"
INDEX_FILE = "content.sqlite"
#: Beside the folders of domains, whose names have no capitals.
SESSION = "SESSION"
KEYS = "keys"

_PACK = re.compile(r"([0-9a-f]{32})\.pack")


class PackKey(NamedTuple):
    """Which pack: `id` are the 16 bytes of its UUID."""

    domain: DomainId
    id: bytes


def is_domain(name: str) -> bool:
    return _DOMAIN.fullmatch(name) is not None


def is_address(name: str) -> bool:
    return _ADDRESS.fullmatch(name) is not None


def is_stage(name: str) -> bool:
    return _STAGE.fullmatch(name) is not None


def checked_domain(domain: DomainId) -> DomainId:
    """`domain` itself; raises NAME_INVALID."""
    if not is_domain(domain):
        raise StoreError(
            ErrorKind.NAME_INVALID, "a domain is 1 to 63 of a-z, 0-9 and -, not beginning with -"
        )
    return domain


def object_key(domain: DomainId, address: Digest, area: Area = Area.CONTENT) -> ObjectKey:
    """The key of content; raises DIGEST_INVALID for all but a BLAKE3 address, and NAME_INVALID."""
    if address.algorithm is not Algorithm.BLAKE3 or not is_address(address.hex):
        raise StoreError(
            ErrorKind.DIGEST_INVALID, "content is addressed by blake3:<64 lower-case hex digits>"
        )
    return ObjectKey(area, checked_domain(domain), address.hex)


def stage_key(stage: Stage) -> StageKey:
    """The key of a stage; raises NAME_INVALID."""
    if not is_stage(stage.id):
        raise StoreError(ErrorKind.NAME_INVALID, "a stage is named by a UUID in canonical form")
    return StageKey(checked_domain(stage.domain), stage.id)


def object_place(key: ObjectKey) -> Place:
    """Where the tree keeps an object. 256 folders a domain keep each small up to millions of blobs."""
    return (key.area.value, key.domain, key.hex[:2]), key.hex


def stage_place(boot: str, stage: StageKey) -> Place:
    """Where the tree keeps a stage of this boot."""
    return (STAGING, boot, stage.domain), stage.id


def pack_folder(domain: DomainId) -> tuple[str, ...]:
    return (PACKS, domain)


def pack_name(pack: bytes) -> str:
    return f"{pack.hex()}.pack"


def pack_id(name: str) -> bytes | None:
    """The id of the pack with that file name; None for names that are no pack's."""
    found = _PACK.fullmatch(name)
    return bytes.fromhex(found[1]) if found else None
