"""Where everything is in the folder of such a location (FORMAT.md has the protocol for people and robots).

<path>/
  content/<domain>/<hex[:2]>/<hex>     bytes at hand: just fetched, or on their way to the vault
  vault/                               what may be another disk, a tape's file system, or not be there now
    FORMAT                             says that it is there
    content/<domain>/<hex[:2]>/<hex>   the bytes, as they are in a local store
    staging/<domain>.<hex>             what is being written
  catalogue/<domain>/<hex[:2]>/<hex>   one for each object that the vault has taken, with its size
  requests/<domain>/<hex>              who answers puts the bytes to `content`
  requests/<domain>/<hex>.ongoing      the same, when the answer is under way
  fetched/<domain>/<hex>               what a restore command writes
  unsettled/<domain>/<hex>             what is on its way to the vault, or out of it
  deletions/<domain>/<hex>             what the vault did not have at hand when it was deleted
  writing/                             such files before they have their names
  staging/, quarantine/, index/        as in a local store
"""

from __future__ import annotations

from registry.dataplane.drivers.port import ObjectKey
from registry.dataplane.paths import Place, object_place

VAULT = "vault"
CATALOGUE = "catalogue"
REQUESTS = "requests"
FETCHED = "fetched"
DELETIONS = "deletions"
UNSETTLED = "unsettled"
WRITING = "writing"
ONGOING = ".ongoing"

FOLDERS = (CATALOGUE, REQUESTS, FETCHED, UNSETTLED, DELETIONS, WRITING)


def catalogue_place(key: ObjectKey) -> Place:
    path, name = object_place(key)
    return (CATALOGUE, *path[1:]), name


def vault_place(key: ObjectKey, suffix: str) -> Place:
    path, name = object_place(key)
    return (VAULT, *path), name + suffix


def note_place(folder: str, key: ObjectKey) -> Place:
    """Where requests, fetched bytes and deletions of an object are."""
    return (folder, key.domain), key.hex
