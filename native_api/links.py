"""Paths of the API's resources, percent-encoded. Links are paths, never absolute (decision 23)."""

from __future__ import annotations

from urllib.parse import quote

from registry.contract.digest import Digest
from registry.contract.names import Reference, Repository

ROOT = "/api/v1"
#: RFC 3986 `pchar` without the percent sign, and `/`: these need no encoding inside a path.
_PATH = "/:@!$&'()*+,;=-._~"
_SEGMENT = ":@!$&'()*+,;=-._~"


def package(repository: Repository, reference: Reference) -> str:
    mark = "@" if isinstance(reference, Digest) else ":"
    return f"{ROOT}/packages/{repository}{mark}{reference}"


def package_part(repository: Repository, reference: Reference, part: str) -> str:
    """A sub-resource such as `manifest.cbor` or `draft`."""
    return f"{package(repository, reference)}/{part}"


def package_file(repository: Repository, reference: Reference, path: str) -> str:
    return f"{package(repository, reference)}/files/{quote(path, safe=_PATH)}"


def versions(repository: Repository) -> str:
    return f"{ROOT}/packages/{repository}"


def oci_manifest(repository: Repository, reference: Reference) -> str:
    return f"/v2/{repository}/manifests/{reference}"


def content(address: Digest) -> str:
    return f"{ROOT}/content/{address}"


def upload(identifier: str) -> str:
    return f"{ROOT}/uploads/{identifier}"


def follower(name: str) -> str:
    return f"{ROOT}/followers/{name}"


def schema(variant: str) -> str:
    return f"{ROOT}/schemas/{quote(variant, safe=_SEGMENT)}"
