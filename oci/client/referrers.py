"""Referrers at registries that do not keep them: the client maintains the fallback tag.

Source: distribution-spec, "Pushing Manifests with Subject" and "Referrers Tag Schema".
"""

from __future__ import annotations

from oci.client.registry import RegistryClient
from registry.contract.digest import Digest
from registry.contract.jsonvalue import JsonValue, canonical
from registry.contract.manifest import OCI_INDEX, Descriptor
from registry.contract.names import Repository, fallback_tag


async def announce_referrer(
    registry: RegistryClient, repository: Repository, subject: Digest, referrer: Descriptor
) -> None:
    """Add `referrer` to the index under the fallback tag of `subject`, unless it is there.

    Two clients at once can lose one entry, which the specification accepts of this scheme.
    """
    index = await registry.fallback_index(repository, subject)
    entries = index.manifest.children if index is not None else ()
    if any(entry.digest == referrer.digest for entry in entries):
        return
    document: dict[str, JsonValue] = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [entry.to_json() for entry in (*entries, referrer)],
    }
    await registry.put_manifest(repository, fallback_tag(subject), OCI_INDEX, canonical(document))
