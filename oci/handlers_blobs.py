"""Blobs by digest (distribution-spec, "Pulling blobs", "Deleting Blobs")."""

from __future__ import annotations

from aiohttp import web

from oci.call import Call
from oci.request import DeleteBlob, GetBlob


async def get_blob(call: Call, asked: GetBlob) -> web.StreamResponse:
    """The bytes, under the digest they were asked for by."""
    reading = await call.session.blobs.get(asked.repository, asked.digest)
    headers = (
        ("Content-Type", "application/octet-stream"),
        ("Docker-Content-Digest", str(asked.digest)),
    )
    return await call.reading(reading, headers)


async def delete_blob(call: Call, asked: DeleteBlob) -> web.StreamResponse:
    """Unlink the blob from the repository."""
    await call.session.blobs.delete(asked.repository, asked.digest)
    return call.answer(202)
