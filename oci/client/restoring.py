"""Content that is away is asked for, and waited for: all that one artifact names, or one content alone.

The native API does it (`POST /api/v1/content/{digest}/restore`), so the registry has to be one of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from oci.client.errors import ContentError
from oci.client.jsontext import read_object
from oci.client.parallel import each
from oci.client.registry import RegistryClient
from registry.contract.digest import Digest
from registry.contract.manifest import Descriptor
from registry.contract.names import Reference, Repository

AVAILABLE = "available"

#: Seconds between two questions: few at first, for what comes from a disk.
_FIRST, _LONGEST, _GROWTH = 1.0, 60.0, 1.5
_AT_ONCE = 8
#: Indexes in indexes.
_DEEPEST = 8


async def contents_of(
    registry: RegistryClient, repository: Repository, reference: Reference
) -> tuple[Digest, ...]:
    """Everything that a pull of the artifact reads beside manifests, each once. Raises ClientError."""
    found: dict[Digest, None] = {}
    async for descriptor in _named(registry, repository, reference, _DEEPEST):
        found[descriptor.digest] = None
    return tuple(found)


async def _named(
    registry: RegistryClient, repository: Repository, reference: Reference, depth: int
) -> AsyncIterator[Descriptor]:
    manifest = (await registry.manifest(repository, reference)).manifest
    if manifest.config is not None:
        yield manifest.config
    for layer in manifest.layers:
        yield layer
    for child in manifest.children if depth else ():
        async for descriptor in _named(registry, repository, child.digest, depth - 1):
            yield descriptor


async def ask(registry: RegistryClient, contents: Sequence[Digest]) -> dict[Digest, str]:
    """Ask for each; where it stands: `requested`, `ongoing` or `available`. Raises ClientError."""
    statuses: dict[Digest, str] = {}

    async def one(digest: Digest) -> None:
        location = f"/api/v1/content/{digest}/restore"
        reply = await registry.transport.request("POST", location, accept=(202,))
        status = read_object(reply.body, location).get("restore_status")
        if not isinstance(status, str):
            raise ContentError(f"{location} does not say where the restore stands")
        statuses[digest] = status

    await each(contents, _AT_ONCE, one)
    return {digest: statuses[digest] for digest in contents}


async def wait(
    registry: RegistryClient,
    contents: Sequence[Digest],
    progress: Callable[[dict[Digest, str]], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> dict[Digest, str]:
    """Ask until all of it can be read. There is no end of its own: an archive may take a day."""
    statuses, pause = await ask(registry, contents), _FIRST
    while left := [digest for digest, status in statuses.items() if status != AVAILABLE]:
        progress(statuses)
        await sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST)
        statuses |= await ask(registry, left)
    progress(statuses)
    return statuses
