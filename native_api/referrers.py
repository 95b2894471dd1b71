"""Referrers of a package: manifests whose `subject` it is, and signatures under tags made of its digest.

Clients of the older scheme (cosign 2) keep signatures under `sha256-<hex>.sig`, `.att` and `.sbom`. They have
no subject, so they are looked up by tag and come first.
"""

from __future__ import annotations

from aiohttp import web

from native_api import render
from native_api.exchange import Exchange
from native_api.resources import PackageName
from registry.contract.errors import ErrorKind, StoreError
from registry.contract.manifest import Descriptor, parse_manifest
from registry.contract.model import Package
from registry.contract.names import Repository, Tag
from registry.contract.store import Session

_SUFFIXES = ("sig", "att", "sbom")
#: Cursors of the first part; the control plane's own never start so.
_BY_TAG = "tag."


async def list_referrers(exchange: Exchange, name: PackageName) -> web.StreamResponse:
    query, session = exchange.query, exchange.session
    artifact_type, after, limit = query.text("artifact_type"), query.after, query.limit
    package = await session.packages.get(name.repository, name.reference)
    items: list[render.Document] = []
    if after is None or after.startswith(_BY_TAG):
        for suffix in _suffixes_after(after):
            found = await _by_tag(session, package, suffix)
            if found is not None and artifact_type in (None, found[0].artifact_type):
                items.append(render.descriptor(found[0], name.repository, found[1]))
            if len(items) == limit:
                return exchange.document(render.page(items, f"{_BY_TAG}{suffix}"))
        after = None
    page = await session.manifests.referrers(
        name.repository,
        package.manifest_digest,
        artifact_type=artifact_type,
        after=after,
        limit=limit - len(items),
    )
    items += [render.descriptor(descriptor, name.repository) for descriptor in page.items]
    return exchange.document(render.page(items, page.next))


def _suffixes_after(after: str | None) -> tuple[str, ...]:
    if after is None:
        return _SUFFIXES
    suffix = after.removeprefix(_BY_TAG)
    if suffix not in _SUFFIXES:
        raise StoreError(ErrorKind.BAD_REQUEST, "query parameter 'after' is no page of this list")
    return _SUFFIXES[_SUFFIXES.index(suffix) + 1 :]


async def _by_tag(session: Session, package: Package, suffix: str) -> tuple[Descriptor, Tag] | None:
    digest = package.manifest_digest
    tag = Tag(f"{digest.algorithm.value}-{digest.hex}.{suffix}")
    if len(tag) > 128:
        return None
    return await _described(session, package.repository, tag)


async def _described(session: Session, repository: Repository, tag: Tag) -> tuple[Descriptor, Tag] | None:
    try:
        stored = await session.manifests.get(repository, tag)
    except StoreError as error:
        if error.kind is ErrorKind.MANIFEST_UNKNOWN:
            return None
        raise
    manifest = parse_manifest(stored.data, stored.media_type)
    descriptor = Descriptor(
        stored.media_type, stored.digest, len(stored.data), manifest.annotations, manifest.artifact_type
    )
    return descriptor, tag
