"""Pages by key: tags, repositories, referrers (distribution-spec, "Listing Tags", "Listing Referrers")."""

from __future__ import annotations

import json
from dataclasses import replace

from aiohttp import web

from oci.call import Call
from oci.request import ListReferrers, ListRepositories, ListTags, Request, target_of
from registry.contract.manifest import OCI_INDEX, Descriptor
from registry.contract.model import Page


async def list_tags(call: Call, asked: ListTags) -> web.StreamResponse:
    """Tags in byte order after `last`."""
    limit = _limit(asked.limit, call.limits.page)
    page = await call.session.manifests.tags(asked.repository, after=asked.last, limit=limit)
    following = replace(asked, limit=limit, last=page.next)
    return call.json({"name": asked.repository, "tags": page.items}, _link(following, page.next, limit))


async def list_repositories(call: Call, asked: ListRepositories) -> web.StreamResponse:
    """Repositories that the caller can pull from, in byte order after `last`."""
    limit = _limit(asked.limit, call.limits.page)
    page = await call.session.manifests.repositories(after=asked.last, limit=limit)
    following = replace(asked, limit=limit, last=page.next)
    return call.json({"repositories": page.items}, _link(following, page.next, limit))


async def list_referrers(call: Call, asked: ListReferrers) -> web.StreamResponse:
    """Descriptors of the manifests whose subject this is, as an image index; empty for what is not there."""
    limit = _limit(asked.limit, call.limits.referrers)
    while True:
        page = await _referrers(call, asked, limit)
        descriptors = [descriptor.to_json() for descriptor in page.items]
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        if len(body) <= call.limits.index_bytes or limit <= 1:
            break
        limit = max(1, min(limit, len(page.items)) // 2)  # annotations can be large
    headers = [("Content-Type", OCI_INDEX)]
    if asked.artifact_type is not None:
        headers.append(("OCI-Filters-Applied", "artifactType"))
    following = replace(asked, last=page.next)
    return call.answer(200, [*headers, *_link(following, page.next, limit)], body)


async def _referrers(call: Call, asked: ListReferrers, limit: int) -> Page[Descriptor]:
    return await call.session.manifests.referrers(
        asked.repository, asked.digest, artifact_type=asked.artifact_type, after=asked.last, limit=limit
    )


def _limit(asked: int | None, most: int) -> int:
    return most if asked is None else min(asked, most)


def _link(following: Request, after: str | None, limit: int) -> list[tuple[str, str]]:
    """RFC 8288, as a path: behind a proxy only the client knows the host. An empty page leads nowhere."""
    if after is None or limit == 0:
        return []
    return [("Link", f'<{target_of(following)}>; rel="next"')]
