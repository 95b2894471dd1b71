"""Manifests by tag or digest (distribution-spec, "Pulling", "Pushing" and "Deleting Manifests")."""

from __future__ import annotations

from aiohttp import web

from oci.call import Call
from oci.request import DeleteManifest, GetManifest, PutManifest, target_of
from registry.contract.digest import Digest
from registry.http.conditional import etag, not_modified, precondition


async def get_manifest(call: Call, asked: GetManifest) -> web.StreamResponse:
    """The exact bytes that were pushed. `Accept` is no concern: nothing is ever converted."""
    stored = await call.session.manifests.get(asked.repository, asked.reference)
    reference = asked.reference
    digest = reference if isinstance(reference, Digest) else stored.digest
    headers = (
        ("Content-Type", stored.media_type),
        ("Docker-Content-Digest", str(digest)),
        ("ETag", etag(digest)),
    )
    if not_modified(call.http, digest):
        return call.answer(304, headers[1:])
    return call.answer(200, headers, stored.data)


async def put_manifest(call: Call, asked: PutManifest) -> web.StreamResponse:
    """Store the bytes; with tags in the query, set these too."""
    condition = precondition(call.http)
    data = await call.manifest_body()
    accepted = await call.session.manifests.put(
        asked.repository,
        asked.reference,
        _media_type(call.header("Content-Type")),
        data,
        tags=asked.tags,
        precondition=condition,
    )
    headers = [
        ("Location", target_of(GetManifest(asked.repository, accepted.digest))),
        ("Docker-Content-Digest", str(accepted.digest)),
        ("ETag", etag(accepted.digest)),
    ]
    if accepted.subject is not None:
        headers.append(("OCI-Subject", str(accepted.subject)))
    if asked.tags:
        headers += [("OCI-Tag", tag) for tag in accepted.tags]
    return call.answer(201, headers)


async def delete_manifest(call: Call, asked: DeleteManifest) -> web.StreamResponse:
    """A digest goes with its tags, a tag goes alone."""
    await call.session.manifests.delete(asked.repository, asked.reference)
    return call.answer(202)


def _media_type(header: str | None) -> str | None:
    """Content-Type without parameters; clients add a charset that is no part of the manifest's type."""
    return (header or "").partition(";")[0].strip() or None
